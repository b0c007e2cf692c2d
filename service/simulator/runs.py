"""One order and the run it leads to: text, tokens, cost, and the usage that is said of it.

Must not know: HTTP. Costs are exact Decimals; what is *said* in the answer is a double with the
noise doubles have, because that is what OpenRouter says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import orjson

from service.simulator.credit_book import Generation, as_charged
from service.simulator.models import SimulatedModel

BYTES_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_PIECE_WORDS = 4
_SAYS_NO_COST = frozenset({"zero_cost", "zero_cost_confirmed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A chat request that can be run."""

    model: SimulatedModel
    prompt: str
    prompt_bytes: int
    message_count: int
    max_tokens: int
    stream: bool
    user: str | None

    @property
    def prompt_tokens(self) -> int:
        """Native tokens of the prompt: a quarter of its bytes, and the template's own."""
        return tokens_of(self.prompt_bytes) + _TOKENS_PER_MESSAGE * self.message_count

    @property
    def reserved_usd(self) -> Decimal:
        """What the account must be able to pay before this runs."""
        return self.prompt_tokens * self.model.prompt + self.max_tokens * self.model.completion


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended: after `tokens` of its answer, charged for them unless `free`."""

    tokens: int
    finish_reason: str | None
    free: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An order with its answer. `fault` is `` or one of `faults.RUN_FAULTS`."""

    order: Order
    generation_id: str
    created_at_ms: int
    text: str
    finish_reason: str
    fault: str

    @property
    def completion_tokens(self) -> int:
        """Native tokens of the whole answer."""
        return tokens_of(len(self.text.encode()))

    @property
    def cached_tokens(self) -> int:
        """Prompt tokens that were in the provider's cache."""
        return self.order.prompt_tokens * 3 // 4 if self.fault == "cached_prompt" else 0

    def ended(self) -> RunEnd:
        """The end of a run that goes through."""
        return RunEnd(tokens=self.completion_tokens, finish_reason=self.finish_reason)

    def cancelled(self, tokens: int) -> RunEnd:
        """The end of a run whose reader leaves; some providers run on and charge in full."""
        if self.order.model.cancellable:
            return RunEnd(tokens=tokens, finish_reason=None, cancelled=True)
        return self.ended()

    def pieces(self) -> Iterator[str]:
        """The answer as a stream delivers it, a few words at a time."""
        words = self.text.split(" ")
        for start in range(0, len(words), _PIECE_WORDS):
            piece = " ".join(words[start : start + _PIECE_WORDS])
            yield piece if start == 0 else f" {piece}"

    def costs(self, completion_tokens: int) -> tuple[Decimal, Decimal]:
        """What prompt and answer cost, exactly."""
        model = self.order.model
        cached = self.cached_tokens
        cached_price = model.prompt if model.cache_read is None else model.cache_read
        prompt = (self.order.prompt_tokens - cached) * model.prompt + cached * cached_price
        return prompt, completion_tokens * model.completion

    def usage(self) -> dict[str, object]:
        """The `usage` object of the answer, as the run's fault distorts it."""
        if self.fault == "zero_usage":
            return _usage_object(prompt=0, completion=0, cached=0, costs=(Decimal(0), Decimal(0)))
        costs = self.costs(self.completion_tokens)
        usage = _usage_object(
            prompt=self.order.prompt_tokens,
            completion=self.completion_tokens,
            cached=self.cached_tokens,
            costs=costs,
        )
        if self.fault in _SAYS_NO_COST:
            usage["cost"] = 0
            usage.pop("cost_details")
        elif self.fault == "byok":
            usage.update(cost=0, is_byok=True)
        elif self.fault == "no_cost":
            usage.pop("cost")
        return usage

    def generation(self, end: RunEnd, *, ready_at_ms: int | None) -> Generation:
        """The record and charge of this run, which ended so."""
        model = self.order.model
        exact = sum(self.costs(end.tokens), Decimal(0))
        byok = self.fault == "byok"
        mixed_up = self.fault == "record_of_another"
        nothing = end.free or byok or self.fault == "zero_cost_confirmed"
        return Generation(
            generation_id=self.generation_id,
            recorded_id=f"{self.generation_id[:-4]}0000" if mixed_up else self.generation_id,
            model_id=model.model_id,
            slug=model.slug,
            provider=model.provider,
            created_at_ms=self.created_at_ms,
            ready_at_ms=ready_at_ms,
            total_cost=Decimal(0) if nothing else as_charged(exact),
            upstream_inference_cost=as_charged(exact) if byok else Decimal(0),
            is_byok=byok,
            native_prompt=self.order.prompt_tokens,
            native_completion=end.tokens,
            native_cached=self.cached_tokens,
            streamed=self.order.stream,
            cancelled=end.cancelled,
            finish_reason=end.finish_reason,
            user=self.order.user,
        )


def tokens_of(size_bytes: int) -> int:
    """Tokens of a text of this size."""
    return -(-size_bytes // BYTES_PER_TOKEN)


def cut_to_tokens(text: str, max_tokens: int) -> tuple[str, str]:
    """The text as far as `max_tokens` go, and the finish reason."""
    data = text.encode()
    if tokens_of(len(data)) <= max_tokens:
        return text, "stop"
    return data[: max_tokens * BYTES_PER_TOKEN].decode(errors="ignore"), "length"


def _usage_object(
    *, prompt: int, completion: int, cached: int, costs: tuple[Decimal, Decimal]
) -> dict[str, object]:
    prompt_cost, completion_cost = float(costs[0]), float(costs[1])
    cost = _double(prompt_cost + completion_cost)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "cost": cost,
        "is_byok": False,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": 0,
            "audio_tokens": 0,
            "video_tokens": 0,
        },
        "cost_details": {
            "upstream_inference_cost": cost,
            "upstream_inference_prompt_cost": _double(prompt_cost),
            "upstream_inference_completions_cost": _double(completion_cost),
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "image_tokens": 0,
            "audio_tokens": 0,
        },
    }


def _double(value: float) -> orjson.Fragment:
    """A double as JavaScript and Python write it: noise and exponents included."""
    return orjson.Fragment(repr(value) if value else "0")
