"""One order's run: its answers, what it costs, and the record and charge it comes to.

Must not know: HTTP. Costs are exact Decimals; what is *said* of them is made in `usage_told`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from openrouter_simulator.answers.answers import Answer
from openrouter_simulator.book.bills import NOTHING, Bill, bill_of
from openrouter_simulator.book.credit_book import Generation
from openrouter_simulator.book.usage import (
    ABSURD,
    NOT_A_NUMBER,
    OVERFLOWING,
    Told,
    scientific,
    usage_object,
)
from openrouter_simulator.routing.routing import Order

_WRONG_MODEL = "acme/never-asked-1.0"
_LOOK_UP_FAULTS = frozenset(
    {"record_bad_json", "record_hangs", "record_reset"}
    | {"record_fails_402", "record_fails_429", "record_fails_500"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended: after `tokens` of its answer, charged for them unless `free`."""

    tokens: int
    finish_reason: str | None
    free: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An order with its answers. `faults` are names of `fault_table.RUN_FAULTS`.

    `beside_id` names a second generation of the same request; `source_id` the generation whose
    answer came out of the response cache.
    """

    order: Order
    generation_id: str
    request_id: str
    beside_id: str
    source_id: str | None
    created_at_ms: int
    answers: tuple[Answer, ...]
    faults: frozenset[str]

    @property
    def streamed(self) -> bool:
        """Whether the answer comes as a stream."""
        return self.order.ask.stream and "plain_json" not in self.faults

    @property
    def model_said(self) -> str:
        """What the answer calls its model."""
        return _WRONG_MODEL if "wrong_model" in self.faults else self.order.model.slug

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.answers[0].text

    @property
    def finish_reason(self) -> str | None:
        """How the first choice ended."""
        return self.answers[0].finish_reason

    @property
    def completion_tokens(self) -> int:
        """Native tokens of all choices, their thoughts included."""
        return sum(answer.tokens for answer in self.answers)

    @property
    def reasoning_tokens(self) -> int:
        """Native tokens of all thoughts."""
        return sum(answer.reasoning_tokens for answer in self.answers)

    def ended(self) -> RunEnd:
        """The end of a run that goes through."""
        return RunEnd(
            tokens=self.completion_tokens,
            finish_reason=self.finish_reason,
            free="empty_answer_insured" in self.faults,
        )

    def failed(self) -> RunEnd:
        """The end of a run that breaks down: the zero-completion insurance pays."""
        return RunEnd(tokens=0, finish_reason="error", free=True)

    def cancelled(self, tokens: int) -> RunEnd:
        """The end of a run whose reader leaves; some providers run on and charge in full."""
        if self.streamed and self.order.endpoint.host.stops:
            return RunEnd(tokens=tokens, finish_reason=None, cancelled=True)
        return self.ended()

    def bill(self, end: RunEnd) -> Bill:
        """What this run costs, ended so."""
        return bill_of(self.order, end.tokens, self.faults, free=end.free)

    def usage(self) -> dict[str, object] | None:
        """The `usage` object of the answer, as the run's faults distort it."""
        bill = self.bill(self.ended())
        told = Told(
            prompt_tokens=self.order.ask.prompt_tokens,
            completion_tokens=self.completion_tokens,
            reasoning_tokens=self.reasoning_tokens,
            bill=bill,
            beside_usd=self._beside_bill().exact if self.beside_id else NOTHING,
            searches=bool(bill.tools),
        )
        return usage_object(told, self.faults)

    def generations(self, end: RunEnd, *, ready_at_ms: int | None) -> Iterator[Generation]:
        """The record and charge of this run, which ended so; a second one before it, if any."""
        if self.beside_id:
            yield self._beside(ready_at_ms)
        bill = self.bill(end)
        from_cache = self.source_id is not None
        mixed_up = "record_of_another" in self.faults
        (look_up_fault,) = self.faults & _LOOK_UP_FAULTS or ("",)
        yield Generation(
            generation_id=self.generation_id,
            recorded_id=f"{self.generation_id[:-4]}0000" if mixed_up else self.generation_id,
            model_id=self.order.model.model_id,
            slug=self.order.model.slug,
            provider=self.order.endpoint.provider,
            created_at_ms=self.created_at_ms,
            ready_at_ms=ready_at_ms,
            total_cost=bill.taken,
            upstream_inference_cost=bill.of_own_key,
            is_byok=bill.own_key,
            native_prompt=0 if from_cache else self.order.ask.prompt_tokens,
            native_completion=0 if from_cache else end.tokens,
            native_cached=bill.cached,
            native_reasoning=0 if from_cache else min(end.tokens, self.reasoning_tokens),
            streamed=self.order.ask.stream,
            cancelled=end.cancelled,
            finish_reason=end.finish_reason,
            user=self.order.ask.user,
            request_id=self.request_id,
            endpoint_tag=self.order.endpoint.tag,
            cache_discount=bill.saved,
            search_count=1 if bill.tools else None,
            source_id=self.source_id,
            said_cost=_said_cost(self.faults, bill.taken),
            look_up_fault=look_up_fault,
            tried=self.order.tried,
        )

    def _beside_bill(self) -> Bill:
        """A second model's call over the same prompt, half as long: what a server tool does."""
        return bill_of(self.order, self._beside_tokens, frozenset({"multi_generation"}))

    @property
    def _beside_tokens(self) -> int:
        return self.completion_tokens // 2 or 1

    def _beside(self, ready_at_ms: int | None) -> Generation:
        model = self.order.model
        return Generation(
            generation_id=self.beside_id,
            recorded_id=self.beside_id,
            model_id=model.model_id,
            slug=model.slug,
            provider=self.order.endpoint.provider,
            created_at_ms=self.created_at_ms,
            ready_at_ms=ready_at_ms,
            total_cost=self._beside_bill().taken,
            native_prompt=self.order.ask.prompt_tokens,
            native_completion=self._beside_tokens,
            streamed=False,
            cancelled=False,
            finish_reason="stop",
            user=self.order.ask.user,
            request_id=self.request_id,
            endpoint_tag=self.order.endpoint.tag,
            beside=True,
        )


def _said_cost(faults: frozenset[str], taken: Decimal) -> str | None:
    """What the record shows for its cost, when that is not the truth."""
    said = {
        "record_absurd_cost": ABSURD,
        "record_cost_1e400": OVERFLOWING,
        "record_cost_nan": NOT_A_NUMBER,
        "record_cost_scientific": scientific(taken),
        "record_negative_cost": format(-(taken or Decimal("0.00000001")), "f"),
        "record_no_cost": "",
    }
    return next((said[name] for name in faults & said.keys()), None)
