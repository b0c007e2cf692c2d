"""`cobot/auto:verify`: asked cheaply, checked, and asked of a better model where that fails."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.run.states import RunState
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import Completes, Outcome, Refused
from tests.http_api.consensus.panel_face import audited, summed_pusd
from tests.http_api.consensus.test_consensus import price_msat
from tests.http_api.face_rig import FaceRig, ask_of, open_face
from tests.http_api.routing.test_auto import FACTUAL, offered

SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
GOOD = Completes(answer='{"city": "Lima", "people": 10000000}', cost="0.00003")


@contextlib.asynccontextmanager
async def checked_face(folder: Path, *outcomes: Outcome) -> AsyncIterator[FaceRig]:
    """A face with the models of the table, whose next runs come to these in order."""
    upstream = FakeUpstream(usually=replace(GOOD, cost="0.00007"))
    upstream.offered = offered()
    upstream.then(*outcomes)
    async with open_face(folder, upstream=upstream) as rig:
        yield rig


def checked(**fields: object) -> dict[str, Any]:
    """A question whose answer has a schema."""
    return {
        **ask_of(FACTUAL),
        "model": "cobot/auto:verify",
        "response_format": SCHEMA,
        "max_tokens": 200,
        **fields,
    }


async def test_what_passes_is_sold_and_nobody_else_is_asked(tmp_path: Path) -> None:
    """The ceiling is that of the whole chain, the price that of the one who answered."""
    async with checked_face(tmp_path, GOOD) as rig:
        bought, _ = await rig.buy(checked())
        told = bought.json()["cobot"]
        assert told["verify"]["passed"]
        assert [one["passed"] for one in told["verify"]["checks"]] == [True]
        assert rig.upstream.posts == 1
        assert rig.last.price_msat == price_msat(rig, summed_pusd(GOOD.cost))
        assert rig.last.price_msat < rig.last.quote.ceiling_msat
        states = [run.state for run in rig.last.runs]
        assert states == [RunState.COSTED, *[RunState.FAILED] * (len(states) - 1)]
        assert told["route"]["model"] == told["attempts"][0]["model"] == bought.json()["model"]
        assert [one["billed"] for one in told["attempts"]] == [True] + [False] * (len(states) - 1)
        assert await audited(rig) == []


BAD = [
    ('{"town": "Lima"}', {}, "lacks city"),
    ('{"city": "Lima", "people": "many"}', {}, "$.people is not of the type"),
    ("Lima is the capital.", {}, "it is no JSON"),
    ("```python\ndef f(:\n```", {"response_format": None}, "does not parse"),
]


@pytest.mark.parametrize(("answer", "fields", "why"), BAD)
async def test_what_fails_its_checks_is_asked_of_the_next_model_and_both_are_billed(
    tmp_path: Path, answer: str, fields: dict[str, object], why: str
) -> None:
    """One invoice, two receipts, one rounding of the sum; the second answer is the one sold."""
    poor = Completes(answer=answer, cost="0.00002")
    async with checked_face(tmp_path, poor, GOOD) as rig:
        bought, _ = await rig.buy(checked(**fields))
        told = bought.json()["cobot"]
        assert told["verify"]["passed"]
        assert why in told["verify"]["checks"][0]["why"]
        assert bought.json()["choices"][0]["message"]["content"] == GOOD.answer
        assert rig.upstream.posts == 2
        assert rig.last.price_msat == price_msat(rig, summed_pusd("0.00002", GOOD.cost))
        assert [one["billed"] for one in told["attempts"][:2]] == [True, True]
        assert bought.json()["model"] == told["attempts"][1]["model"]
        assert await audited(rig) == []


async def test_a_model_that_fails_is_passed_over_unbilled(tmp_path: Path) -> None:
    """As in any chain; where nobody answers the sale fails, and where none passes that is said."""
    async with checked_face(tmp_path, Refused(status=429), GOOD) as rig:
        bought, _ = await rig.buy(checked())
        assert rig.last.price_msat == price_msat(rig, summed_pusd(GOOD.cost))
        assert bought.json()["cobot"]["verify"]["passed"]
        assert await audited(rig) == []
    async with checked_face(tmp_path / "none", *[Refused(status=400)] * 4) as rig:
        assert (await rig.ask(checked())).status == 400
        assert rig.last.state is EscrowState.FAILED
        assert await audited(rig) == []
    poor = Completes(answer="no JSON", cost="0.00001")
    async with checked_face(tmp_path / "poor", *[poor] * 4) as rig:
        bought, _ = await rig.buy(checked())
        assert not bought.json()["cobot"]["verify"]["passed"]
        assert rig.upstream.posts == len(rig.last.runs) == 3
        assert await audited(rig) == []


async def test_the_hint_does_it_too_and_nothing_else_may_bear_it(tmp_path: Path) -> None:
    """With a task; beside a model that was named it is refused. A quote says the whole chain."""
    async with checked_face(tmp_path, GOOD) as rig:
        hinted = checked(model="cobot/auto:factual", cobot={"verify": True})
        quoted = (await rig.send("POST", "/v1/quotes", hinted)).json()
        assert len(quoted["panel"]["members"]) == 3
        asked = await rig.ask(hinted, headers={"X-Cobot-Quote": quoted["quote"]})
        assert asked.status == 402, asked.body
        assert rig.last.quote.ceiling_msat == quoted["ceiling"]["msat"]
        posts = rig.upstream.posts
        for fields in ({"model": GOOD_MODEL}, {"cobot": {"verify": "yes"}}):
            refused = await rig.ask({**hinted, **fields})
            assert (refused.status, refused.error["param"]) == (400, "cobot.verify")
        assert rig.upstream.posts == posts


GOOD_MODEL = "openai/gpt-5-mini"


async def test_a_key_pays_for_it_too(tmp_path: Path) -> None:
    """The chain's ceilings are reserved of its credit, and the price is captured."""
    async with checked_face(tmp_path, Completes(answer="no", cost="0.00001"), GOOD) as rig:
        key, _ = await rig.key(50_000)
        bought = await rig.ask(checked(stream=True), token=f"Bearer {key}")
        assert bought.status == 200
        assert b"Lima" in bought.body
        assert rig.last.credit_used_msat == price_msat(rig, summed_pusd("0.00001", GOOD.cost))
        assert await audited(rig) == []
