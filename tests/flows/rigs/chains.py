"""Chains of models, and asks that name them."""

from __future__ import annotations

from dataclasses import replace

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.flows.sale.ask_completion import Ask
from tests.fakes.upstream_outcomes import PRICED_MODEL, Completes, Outcome, fake_model
from tests.flows.rigs.stories import COST, Stage, ask_of

FIRST = PRICED_MODEL
SECOND = fake_model("meta/second", price=ModelPrice(prompt_pusd=90_000, completion_pusd=900_000))
THIRD = fake_model("qwen/third", price=ModelPrice(prompt_pusd=50_000, completion_pusd=50_000))
LOCAL = replace(
    fake_model("ollama/local", price=ModelPrice(prompt_pusd=10, completion_pusd=10)),
    upstream="ollama",
    has_providers=False,
)
WASTED = "0.0000300"
GOOD = Completes(cost=COST)


def chained(*models: Model, idempotency_key: str | None = None) -> Ask:
    """An ask of FIRST that may go on with others."""
    asked = ask_of()
    names = tuple(model.model_id for model in models)
    request = replace(asked.request, fallback_models=names)
    return replace(asked, request=request, idempotency_key=idempotency_key)


def anew(number: int, *models: Model) -> Ask:
    """Another caller's ask, from another address."""
    return replace(
        chained(*models),
        caller_id=f"c_{number}",
        address=f"203.0.113.{number}",
        request_sha256=f"{number}",
    )


def come_to(stage: Stage, **outcomes: Outcome) -> None:
    """What each model's runs come to: `first`, `second`, `third` and `local`."""
    models = {"first": FIRST, "second": SECOND, "third": THIRD, "local": LOCAL}
    stage.lasting.upstream.by_model = {
        models[name].model_id: outcome for name, outcome in outcomes.items()
    }


def escrows(stage: Stage) -> list[Escrow]:
    """All of them, oldest first."""
    return list(stage.books.rows.escrows.values())


def runs(stage: Stage) -> list[Run]:
    """All runs of all escrows, oldest first."""
    return [run for escrow in escrows(stage) for run in escrow.runs]
