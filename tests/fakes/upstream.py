"""An upstream in memory, whose next outcomes a test writes down beforehand.

Held to tests/contracts/upstream/upstream_suite.py like the real one. It keeps its own credit book:
what it charged is `spent_pusd`, whatever the flow under test believes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from cobot_meter.domain.errors import (
    CostNotYetKnown,
    DependencyFault,
    OutcomeUnknown,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.accounts import UpstreamAccount
from cobot_meter.domain.upstream.completions import (
    GenerationCost,
    Model,
    UpstreamCall,
    UpstreamCompletion,
)
from cobot_meter.domain.upstream.endpoints import Endpoint
from cobot_meter.ports.upstream import AccountHolder, AnswerFeed, TellGeneration
from tests.contracts.upstream.answer_feeds import FakePiece, spoken
from tests.fakes.upstream_outcomes import (
    EPOCH_S,
    FAKE,
    FREE_MODEL,
    NEVER,
    OTHER_MODEL,
    PRICED_MODEL,
    Completes,
    Failed,
    Outcome,
    Refused,
    Unknown,
    Unreachable,
    completion_body,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeRun:
    """One `complete` that reached the upstream and was run there."""

    generation_id: str
    call: UpstreamCall
    body: bytes
    price_cap: ModelPrice
    cost_pusd: int


@dataclass(slots=True)
class _Record:
    """What the upstream's own book says of one generation, once it says anything."""

    total_cost: str
    fruitless_lookups: int
    model: str = ""
    lookups: int = field(default=0)


class FakeUpstream:
    """The port `Upstream`, in memory. Without a script every run `Completes()`."""

    name = FAKE

    def __init__(
        self,
        *,
        models: tuple[Model, ...] = (PRICED_MODEL, OTHER_MODEL, FREE_MODEL),
        usually: Outcome | None = None,
    ) -> None:
        """`usually` is what a run that nothing was scripted for comes to (free models: cost 0).

        While `open` is cleared nothing is answered; `reached` is set by every `complete`, and
        `left` counts the answers that nobody read to their end.
        """
        self.offered = models
        self.served_by: dict[str, tuple[Endpoint, ...]] = {}
        self.asked_for_endpoints: list[str] = []
        self.usually: Outcome = usually or Completes()
        self.runs: list[FakeRun] = []
        self.posts = 0
        self.left = 0
        self.limits_ms: list[int | None] = []
        self.by_model: dict[str, Outcome] = {}
        self.lookups = 0
        self.spent_pusd = 0
        self.looks = 0
        self.says_of_account: UpstreamAccount | None = None
        self.reachable = True
        self.key_accepted = True
        self.open = asyncio.Event()
        self.open.set()
        self.reached = asyncio.Event()
        self._script: deque[Outcome] = deque()
        self._lookup_faults: deque[DependencyFault] = deque()
        self._records: dict[str, _Record] = {}

    def then(self, *outcomes: Outcome) -> None:
        """Script the next runs, in order."""
        self._script.extend(outcomes)

    def lookups_fail(self, *faults: DependencyFault) -> None:
        """Script the next look-ups of any generation to raise these, in order."""
        self._lookup_faults.extend(faults)

    def record_appears(self, generation_id: str) -> None:
        """Let the record of a generation be found from now on."""
        self._records[generation_id].fruitless_lookups = 0

    async def complete(
        self,
        call: UpstreamCall,
        *,
        price_cap: ModelPrice,
        on_started: TellGeneration,
        within_ms: int | None = None,
    ) -> AnswerFeed:
        self.posts += 1
        self.limits_ms.append(within_ms)
        self.reached.set()
        body = call.body.take()  # as whoever sends it does
        await self.open.wait()
        price = self._price(call.model)
        outcome = self._next_outcome(call.model, price)
        self._refuse(outcome)
        _check_cap(price, price_cap)
        assert isinstance(outcome, Completes | Failed | Unknown)
        generation_id = self._run(outcome, call, body, price_cap)
        if not isinstance(outcome, Unknown) or outcome.announced:
            await on_started(generation_id)
        if not isinstance(outcome, Failed) and outcome.gate:
            await outcome.gate.wait()
        left = True
        try:
            for piece in _said(outcome, generation_id, call.model):
                yield piece
                await asyncio.sleep(0)
                if isinstance(outcome, Completes) and outcome.dawdles:
                    await asyncio.Event().wait()
                if isinstance(outcome, Completes) and outcome.held:
                    await outcome.held.wait()
            left = False
        finally:
            self.left += left
            if left and isinstance(outcome, Completes) and outcome.cut_cost is not None:
                self._cut(generation_id, outcome.cost, outcome.cut_cost)
        yield _ended(outcome, generation_id, call.model)

    async def generation_cost(self, generation_id: str, *, upstream: str) -> GenerationCost:
        self.lookups += 1
        self._check_connection()
        if self._lookup_faults:
            raise self._lookup_faults.popleft()
        record = self._records.get(generation_id)
        if record is None or not self._has_appeared(record):
            raise CostNotYetKnown(f"no record of {generation_id} yet")
        return GenerationCost(
            generation_id=generation_id,
            total_cost=record.total_cost,
            cost_pusd=pusd_from_text(record.total_cost),
            provider="Mistral",
            model=record.model,
            record_sha256="5e" * 32,
        )

    async def models(self) -> tuple[Model, ...]:
        self._check_connection()
        return self.offered

    async def endpoints(self, model_id: str) -> tuple[Endpoint, ...]:
        self._check_connection()
        self.asked_for_endpoints.append(model_id)
        return self.served_by.get(model_id, ())

    async def usage_pusd(self) -> int:
        self._check_connection()
        return self.spent_pusd

    def account_holders(self) -> tuple[AccountHolder, ...]:
        return (self,)

    async def account(self) -> UpstreamAccount:
        self._check_connection()
        self.looks += 1
        return self.says_of_account or UpstreamAccount(usage_pusd=self.spent_pusd)

    async def ping(self) -> None:
        self._check_connection()

    def _check_connection(self) -> None:
        if not self.reachable:
            raise UpstreamUnreachable("the upstream cannot be reached")
        if not self.key_accepted:
            raise UpstreamRefused("the upstream does not accept our key", status=401)

    def _refuse(self, outcome: Outcome) -> None:
        self._check_connection()
        if isinstance(outcome, Unreachable):
            raise UpstreamUnreachable("the upstream cannot be reached")
        if isinstance(outcome, Refused):
            raise UpstreamRefused(
                f"the upstream answered {outcome.status}",
                status=outcome.status,
                retry_after_s=outcome.retry_after_s,
            )

    def _price(self, model_id: str) -> ModelPrice:
        for model in self.offered:
            if model.model_id == model_id:
                return model.price
        raise UpstreamRefused(f"{model_id} is not a valid model ID", status=400)

    def _next_outcome(self, model_id: str, price: ModelPrice) -> Outcome:
        if model_id in self.by_model:
            return self.by_model[model_id]
        if self._script:
            return self._script.popleft()
        return Completes(cost="0") if price.free else self.usually

    def _run(
        self,
        outcome: Completes | Failed | Unknown,
        call: UpstreamCall,
        body: bytes,
        cap: ModelPrice,
    ) -> str:
        number = len(self.runs) + 1
        generation_id = f"gen-{EPOCH_S + number}-{number:020d}"
        cost_pusd = pusd_from_text(outcome.cost)
        self.runs.append(
            FakeRun(
                generation_id=generation_id,
                call=call,
                body=body,
                price_cap=cap,
                cost_pusd=cost_pusd,
            )
        )
        self.spent_pusd += cost_pusd
        self._records[generation_id] = _Record(
            outcome.cost, outcome.lookups_before_record, model=call.model
        )
        return generation_id

    def _cut(self, generation_id: str, cost: str, cut_cost: str) -> None:
        """It was charged as whole when it began."""
        self.spent_pusd += pusd_from_text(cut_cost) - pusd_from_text(cost)
        self._records[generation_id].total_cost = cut_cost

    @staticmethod
    def _has_appeared(record: _Record) -> bool:
        record.lookups += 1
        return record.fruitless_lookups != NEVER and record.lookups > record.fruitless_lookups


def _said(
    outcome: Completes | Failed | Unknown, generation_id: str, model: str
) -> Iterator[FakePiece]:
    """What comes of the answer before its end."""
    head = {"id": generation_id, "created": EPOCH_S, "model": model, "provider": "Mistral"}
    match outcome:
        case Completes():
            usage = {"prompt_tokens": outcome.prompt_tokens}
            finish = outcome.finish_reason
            yield from spoken(
                outcome.answer, head=head, finish_reason=finish, usage=usage, stops=outcome.stops
            )
        case Unknown():
            yield from itertools.islice(spoken(Completes().answer, head=head), outcome.words)
        case Failed():
            return


def _ended(
    outcome: Completes | Failed | Unknown, generation_id: str, model: str
) -> UpstreamCompletion:
    """The summary. Raises what came in its place."""
    match outcome:
        case Failed():
            raise UpstreamFailed(
                "the provider failed mid-stream",
                inline_cost=outcome.cost if outcome.says_cost else None,
            )
        case Unknown():
            raise OutcomeUnknown("the stream was cut before its end")
    inline_cost = (outcome.inline_cost or outcome.cost) if outcome.says_cost else None
    return UpstreamCompletion(
        generation_id=generation_id,
        body=completion_body(generation_id, model, outcome, inline_cost),
        inline_cost=inline_cost,
        finish_reason=outcome.finish_reason,
        prompt_tokens=outcome.prompt_tokens,
        completion_tokens=outcome.completion_tokens,
    )


def _check_cap(price: ModelPrice, cap: ModelPrice) -> None:
    if not price.is_within(cap):
        raise UpstreamRefused("no endpoint at or under max_price", status=404)
