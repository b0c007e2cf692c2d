"""A model that stops when it is left, and keys that ask it for more than is reserved at first."""

from __future__ import annotations

from dataclasses import replace

import orjson

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import Reasoning
from cobot_meter.flows.sale.ask_completion import Ask
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import Completes, fake_endpoint, fake_model
from tests.flows.rigs.stories import ask_of

MODEL = fake_model(
    "acme/stops",
    price=ModelPrice(prompt_pusd=1_000_000, completion_pusd=5_000_000),
    max_out=32_000,
    reasoning=Reasoning.NEVER,
)
WORD = "letters "


def offer_growing(upstream: FakeUpstream) -> None:
    """The model is on offer from now on, once its list is read anew."""
    upstream.offered = (*upstream.offered, MODEL)
    upstream.served_by[MODEL.model_id] = (fake_endpoint("acme", price=MODEL.price, stops=True),)


def asked_by(key: ApiKey, question: str = "?") -> Ask:
    """A long answer is wanted."""
    messages = [{"role": "user", "content": question}]
    body = orjson.dumps({"model": MODEL.model_id, "messages": messages})
    plain = ask_of(caller_id=key.caller_id, body=body)
    request = replace(
        plain.request, model=MODEL.model_id, max_tokens=32_000, prompt_bytes=len(body)
    )
    return replace(plain, request=request, key=key)


def long_answer(*, cut_cost: str | None = None) -> Completes:
    """4,800 bytes, which three extensions have room for."""
    return Completes(answer=(WORD * 600).strip(), cost="0.006", cut_cost=cut_cost, stops=True)
