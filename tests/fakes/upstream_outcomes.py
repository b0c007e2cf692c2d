"""What a run of the upstream in memory can come to, and the models it offers.

Plain values that a test writes into `FakeUpstream.then`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import orjson

from cobot_meter.domain.pricing.prices import ImagePrice, ModelPrice
from cobot_meter.domain.upstream.completions import Model, Reasoning
from cobot_meter.domain.upstream.endpoints import Endpoint

FAKE = "fake"
COST = "0.0002658"
NEVER = -1
EPOCH_S = 1_795_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Completes:
    """The run ends well.

    `cost` is what it really costs; the answer says `inline_cost`, by default the same, or nothing
    when `says_cost` is off. The record comes after `lookups_before_record` fruitless look-ups
    (NEVER: not at all). The run waits for `gate` between its start and its answer, and one that
    `dawdles` never comes beyond its first word; one that is `held` waits there. Closed before its
    end it costs `cut_cost`, None: as much as ever; where its provider `stops` its pieces say so.
    """

    cost: str = COST
    inline_cost: str | None = None
    says_cost: bool = True
    lookups_before_record: int = 0
    answer: str = "Lightning settles in a second."
    finish_reason: str = "stop"
    prompt_tokens: int = 14
    completion_tokens: int = 7
    gate: asyncio.Event | None = None
    dawdles: bool = False
    held: asyncio.Event | None = None
    cut_cost: str | None = None
    stops: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Answered with an error before anything ran."""

    status: int = 429
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """No byte gets through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Started and failed, at `cost`; the error says so only when `says_cost`."""

    cost: str = "0"
    says_cost: bool = False
    lookups_before_record: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Runs and is charged, but its answer is lost after so many words of it.

    `announced` tells whether its id got through.
    """

    cost: str = COST
    announced: bool = True
    lookups_before_record: int = 0
    gate: asyncio.Event | None = None
    words: int = 0


Outcome = Completes | Refused | Unreachable | Failed | Unknown


def fake_model(
    model_id: str,
    *,
    price: ModelPrice,
    context_length: int = 131_072,
    max_out: int = 16_384,
    image_price: ImagePrice | None = None,
    reasoning: Reasoning = Reasoning.UNASKED,
) -> Model:
    """A model on offer of the fake's own account, with a document of OpenRouter's shape."""
    document = orjson.dumps(
        {
            "id": model_id,
            "canonical_slug": model_id,
            "name": model_id,
            "context_length": context_length,
            "top_provider": {"max_completion_tokens": max_out},
        }
    )
    return Model(
        model_id=model_id,
        price=price,
        context_length=context_length,
        max_completion_tokens=max_out,
        document=document,
        upstream=FAKE,
        has_providers=True,
        image_price=image_price,
        reasoning=reasoning,
    )


def fake_endpoint(
    tag: str,
    *,
    provider: str = "",
    price: ModelPrice | None = None,
    image_price: ImagePrice | None = None,
    stops: bool = False,
) -> Endpoint:
    """One who serves a model, at the listed price unless another is given."""
    provider = provider or tag.title()
    document = {"tag": tag, "provider_name": provider, "status": 0, "quantization": "fp8"}
    return Endpoint(
        tag=tag,
        provider=provider,
        price=price or PRICED_MODEL.price,
        document=orjson.dumps(document),
        image_price=image_price,
        stops=stops,
    )


PRICED_MODEL = fake_model(
    "mistralai/mistral-small-2603",
    price=ModelPrice(prompt_pusd=150_000, completion_pusd=600_000),
)
OTHER_MODEL = fake_model(
    "qwen/qwen3-coder", price=ModelPrice(prompt_pusd=90_000, completion_pusd=700_000)
)
FREE_MODEL = fake_model(
    "meta-llama/llama-3.3-70b-instruct:free", price=ModelPrice(prompt_pusd=0, completion_pusd=0)
)


def completion_body(
    generation_id: str, model: str, outcome: Completes, inline_cost: str | None
) -> bytes:
    """The `chat.completion` JSON object of a run that ended well."""
    usage: dict[str, object] = {
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
        "total_tokens": outcome.prompt_tokens + outcome.completion_tokens,
    }
    if inline_cost is not None:
        usage["cost"] = orjson.Fragment(inline_cost)
    choice = {
        "index": 0,
        "logprobs": None,
        "finish_reason": outcome.finish_reason,
        "native_finish_reason": outcome.finish_reason,
        "message": {"role": "assistant", "content": outcome.answer, "refusal": None},
    }
    return orjson.dumps(
        {
            "id": generation_id,
            "object": "chat.completion",
            "created": EPOCH_S,
            "model": model,
            "provider": "Mistral",
            "choices": [choice],
            "usage": usage,
        }
    )
