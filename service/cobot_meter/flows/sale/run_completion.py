"""Run one completion upstream: opened → requested → generated or failed.

The request is committed before it is sent, and what may have been received is never sent to the
same model again. Must not know: how a sale goes on with another model.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import (
    BodyKeysUnusable,
    Broken,
    Conflict,
    DependencyFault,
    OutcomeUnknown,
    SealBroken,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.retention import later_lookup_ms
from cobot_meter.domain.run.events import (
    Abandoned,
    CompletionCosted,
    CompletionReceived,
    RunFailed,
    RunOutcomeUnknown,
    UpstreamRequested,
)
from cobot_meter.domain.run.record import Cost, CostStanding, Failure, Run, Summary
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.domain.upstream.completions import UpstreamCall, UpstreamCompletion
from cobot_meter.domain.upstream.fallback import (
    BACKOFF_MAX_MS,
    Circumstances,
    Step,
    chain_after,
    step_after,
)
from cobot_meter.flows.answer.answer_room import AnswerRoom
from cobot_meter.flows.answer.started_run import ALONG_S, StartedRun
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.offer.choose_model import ChooseModel
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.escrow_runs import UNFOLLOWED, AnswerListener, JustOpened
from cobot_meter.ports.process import Replicas
from cobot_meter.ports.upstream import TellGeneration, Upstream

Answered = CompletionReceived | CompletionCosted | RunFailed
ATTEMPT_MIN_MS = 1_000
UNREADABLE = Failure(
    code=UpstreamFailed.code,
    message="The upstream's answer is nothing that can be written as one. You are not charged.",
)
RESTARTED = Failure(
    code=OutcomeUnknown.code,
    message=(
        "The service restarted while this request was running upstream, so its answer is lost. "
        "You are not charged. Ask again if you want another run."
    ),
)


def upstream_call(escrow: Escrow, body: Body) -> UpstreamCall:
    """What is sent upstream: the caller's body on the terms of the quote."""
    return UpstreamCall(
        body=body,
        model=escrow.model,
        max_tokens=escrow.quote.max_tokens,
        caller_tag=escrow.caller_id,
        stoppable=escrow.quote.grows,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTerms:
    """`timeout_ms` is shared by all attempts of one ask.

    Of the answers on credit that said what they cost, one in `confirm_one_in` is looked up later.
    """

    timeout_ms: int
    confirm_one_in: int = 1


@dataclass(frozen=True, slots=True)
class Attempted:
    """Where one run left its escrow.

    While others are `left` to be asked, `ended` is how it failed, which nobody has written down
    yet: `left` has the request once more, and the models of the chain that were not asked.
    """

    escrow: Escrow
    ended: RunFailed | RunOutcomeUnknown | None = None
    left: JustOpened | None = None


class RunCompletion:
    """Drives a run while it is opened or requested: then its facts are the upstream's to tell."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        upstream: Upstream,
        choose_model: ChooseModel,
        replicas: Replicas,
        terms: RunTerms,
    ) -> None:
        """Every part is a port or a flow; `terms` are the operator's."""
        self._ledger = ledger
        self._vault = vault
        self._upstream = upstream
        self._choose_model = choose_model
        self._terms = terms
        self._replicas = replicas

    async def opened(self, escrow: Escrow, listener: AnswerListener = UNFOLLOWED) -> Escrow:
        """Send the stored request of an opened run, unless it is too old to start now.

        A request that cannot be read any more is abandoned too. Raises BodyKeysUnusable while its
        key may come back.
        """
        try:
            stored = await self._stored(escrow)
        except SealBroken:
            return await self._ledger.record(escrow, Abandoned())
        except BodyKeysUnusable:
            if self._too_old(escrow):
                return await self._ledger.record(escrow, Abandoned())
            raise
        return (await self.just_opened(replace(stored, listener=listener))).escrow

    async def just_opened(self, opened: JustOpened) -> Attempted:
        """Send the request at hand and read its answer, or abandon an opened run that is too old.

        A run that is only opened is recorded as requested first. Where another process was faster
        nothing is sent: the request is that one's.
        """
        escrow = opened.escrow
        if escrow.run.state is RunState.REQUESTED:
            return await self._send(escrow, opened)
        if self._too_old(escrow):
            return Attempted(await self._ledger.record(escrow, Abandoned()))
        own_id = self._replicas.own_id
        requested = await self._ledger.record(escrow, UpstreamRequested(requested_by=own_id))
        run = requested.run
        if run.state is not RunState.REQUESTED or run.requested_by != own_id:
            return Attempted(requested)  # another process was first: the request is its to send
        return await self._send(requested, opened)

    async def orphaned(self, escrow: Escrow) -> Escrow:
        """End a requested run that nobody drives: its outcome is unknown, it may be charged.

        It is left as it is while the process that asked may still be at work on it.
        """
        if await self.is_asked_elsewhere(escrow.run):
            return escrow
        return await self._ledger.record(escrow, RunOutcomeUnknown(failure=RESTARTED))

    async def is_asked_elsewhere(self, run: Run) -> bool:
        """Whether another process has asked it, and may still be at work on what came of it."""
        asked_by = run.requested_by
        if asked_by in {None, self._replicas.own_id}:
            return False
        return await self._replicas.alive(asked_by)

    def _too_old(self, escrow: Escrow) -> bool:
        """Whether it was opened too long ago to start now."""
        return self._ledger.ending_ms() - escrow.opened_at_ms > self._ledger.retention.abandoned_ms

    async def _stored(self, escrow: Escrow) -> JustOpened:
        wrapped_key, body = await self._vault.open_request(escrow.escrow_id)
        return JustOpened(
            escrow=escrow, call=upstream_call(escrow, Body(body)), wrapped_key=wrapped_key
        )

    async def _call_again(self, escrow: Escrow, opened: JustOpened) -> UpstreamCall | None:
        """The request once more; None where it cannot be read now: then the failure stands."""
        if opened.unstored:
            return replace(opened.call, body=Body(opened.unstored))
        try:
            return (await self._stored(escrow)).call
        except (DependencyFault, SealBroken):
            return None

    async def _send(self, escrow: Escrow, opened: JustOpened) -> Attempted:
        along_s = None if opened.wrapped_key is not None else ALONG_S
        started = StartedRun(self._ledger, escrow, along_s=along_s)
        room = AnswerRoom(self._ledger, escrow, opened.listener)
        try:
            completion = await self._completed(escrow, opened, started.named, room)
            await started.settle(room)
        except DependencyFault as fault:
            await started.settle(room)
            await started.say()
            return await self._failed(started.escrow, opened, fault)
        finally:
            started.close()
        if escrow.sells_several:
            taken = await self._one_taken(started, completion)
            opened.hand_over(completion.body)
            return Attempted(taken)
        return Attempted(await self._taken(started, completion, opened.wrapped_key))

    async def _one_taken(self, started: StartedRun, completion: UpstreamCompletion) -> Escrow:
        """A sale once one of its answers is booked: that is handed over, and stored nowhere.

        The books have room for one completion of a sale, which is what is made of all of them.
        """
        fact = self._one_answered(started.escrow, completion)
        return await self._recorded(started, fact, None)

    async def _taken(
        self, started: StartedRun, completion: UpstreamCompletion, wrapped_key: bytes | None
    ) -> Escrow:
        """The sale once the whole answer is booked, and stored or at hand."""
        escrow_id = started.escrow.escrow_id
        fact = self._answered(started.escrow, completion, kept=wrapped_key is not None)
        bodies = await self._bodies(started.escrow, fact, completion.body, wrapped_key)
        if bodies is None:
            self._vault.keep_briefly(escrow_id, completion.body)
        return await self._recorded(started, fact, bodies)

    async def _recorded(
        self, started: StartedRun, fact: Answered, bodies: StoredBodies | None
    ) -> Escrow:
        try:
            return await self._ledger.record(started.escrow, fact, bodies=bodies, lasting=True)
        except Conflict:
            if started.unsaid is None:
                raise
        # It was written after all and nobody heard of it: what was paid for follows on that.
        await started.say()
        return await self._ledger.record(started.escrow, fact, bodies=bodies, lasting=True)

    async def _bodies(
        self, escrow: Escrow, fact: Answered, body: bytes, wrapped_key: bytes | None
    ) -> StoredBodies | None:
        """What is stored of the answer: nothing where it is captured and nobody comes back."""
        if wrapped_key is not None:
            sealed = await self._vault.seal_completion(
                escrow.escrow_id, body, wrapped_key=wrapped_key
            )
            return StoredBodies(completion=sealed, drop_request=True)
        if isinstance(fact, CompletionCosted):
            return None
        # Nobody knows yet what it costs: it has to outlive this process until somebody does.
        wrapped_key, sealed = await self._vault.seal_unasked(
            escrow.escrow_id, body, day=escrow.quote.day
        )
        return StoredBodies(wrapped_key=wrapped_key, completion=sealed)

    def _answered(self, escrow: Escrow, completion: UpstreamCompletion, *, kept: bool) -> Answered:
        """What the whole answer means: on credit it is paid for at once, if it says what it cost.

        An answer that could never be handed over is not paid for. `kept` says that it is stored.
        """
        now_ms = self._ledger.now_ms()
        received = _received(completion, now_ms)
        if escrow.mode is not Mode.CREDIT or not self._vault.is_readable(completion.body):
            return received
        lookup_at_ms = self._lookup_at_ms(escrow.run.run_id, now_ms)
        return _costed(escrow, received, lookup_at_ms=lookup_at_ms, kept=kept) or received

    def _one_answered(self, escrow: Escrow, completion: UpstreamCompletion) -> Answered:
        """What one whole answer of several means: a task sums its cost up, if it says it.

        What cannot be handed over is not billed. Every cost is looked up: they are a stranger's.
        """
        if not self._vault.is_readable(completion.body):
            cost = inline_cost(escrow, completion.inline_cost)
            return RunFailed(failure=UNREADABLE, charged=True, cost=cost)
        now_ms = self._ledger.now_ms()
        received = _received(completion, now_ms)
        if escrow.mode is Mode.PANEL:
            return received  # priced by the upstream's record, as what is sold by invoice is
        lookup_at_ms = later_lookup_ms(now_ms, now_ms=now_ms)
        return _costed(escrow, received, lookup_at_ms=lookup_at_ms, kept=False) or received

    def _lookup_at_ms(self, run_id: str, now_ms: int) -> int | None:
        """When the upstream's record of a captured answer is asked for; None for never."""
        if zlib.crc32(run_id.encode()) % self._terms.confirm_one_in:
            return None
        return later_lookup_ms(now_ms, now_ms=now_ms)

    async def _completed(
        self, escrow: Escrow, opened: JustOpened, started: TellGeneration, room: AnswerRoom
    ) -> UpstreamCompletion:
        """One attempt, and one more where the first was certainly never run."""
        model, call = escrow.model, opened.call
        begun = False

        async def noticed(generation_id: str) -> None:
            nonlocal begun
            begun = True
            await started(generation_id)

        for first in (True, False):
            self._choose_model.tried(model)
            began_ms, within_ms = self._ledger.clock.monotonic_ms(), self._within_ms(opened)
            try:
                answer = self._upstream.complete(
                    call,
                    price_cap=escrow.prices,
                    on_started=noticed,
                    within_ms=within_ms,
                )
                completion = await room.read(answer)
            except DependencyFault as fault:
                under = Circumstances(
                    own_terms=opened.own_terms,
                    started=begun,
                    waited_ms=self._ledger.clock.monotonic_ms() - began_ms,
                    limit_ms=self._terms.timeout_ms if within_ms is None else within_ms,
                )
                self._choose_model.failed(model, fault, under)
                if not first or step_after(fault) is not Step.AGAIN:
                    raise
                await self._ledger.clock.sleep(_pause_s(fault, escrow.escrow_id))
                again = await self._call_again(escrow, opened)
                if again is None:
                    raise
                call = again
            else:
                self._choose_model.succeeded(model)
                return completion
        raise Broken("an attempt ended neither well nor badly")

    async def _failed(
        self, current: Escrow, opened: JustOpened, fault: DependencyFault
    ) -> Attempted:
        """The failure, booked unless somebody else of the chain can still be asked."""
        ended = _failure_event(current, fault)
        # What somebody has read of an answer can be neither unsaid nor followed by another.
        left = () if opened.listener.told else chain_after(fault, opened.chain)
        again = None
        if left and self._left_ms(opened) >= ATTEMPT_MIN_MS:
            again = await self._call_again(current, opened)
        if again is None:
            return Attempted(await self._ledger.record(current, ended, lasting=True))
        return Attempted(current, ended, replace(opened, call=again, chain=left))

    def _left_ms(self, opened: JustOpened) -> int:
        return opened.began_ms + self._terms.timeout_ms - self._ledger.ending_ms()

    def _within_ms(self, opened: JustOpened) -> int | None:
        """How long this attempt may take in ms: half of what is left while others can be asked.

        None without a chain: then the upstream's own limit alone holds.
        """
        if not opened.chain:
            return None
        left_ms = max(self._left_ms(opened), ATTEMPT_MIN_MS)
        return left_ms // 2 if len(opened.chain) > 1 else left_ms


def _pause_s(fault: DependencyFault, escrow_id: str) -> float:
    """Seconds to the second attempt: what was asked for, or a fraction that differs by escrow."""
    if fault.retry_after_s is not None:
        return float(fault.retry_after_s)
    return zlib.crc32(escrow_id.encode()) % BACKOFF_MAX_MS / 1_000


def _received(completion: UpstreamCompletion, now_ms: int) -> CompletionReceived:
    return CompletionReceived(
        generation_id=completion.generation_id,
        summary=Summary(
            completed_at_ms=now_ms,
            inline_cost=completion.inline_cost,
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
        ),
    )


def _failure_event(escrow: Escrow, fault: DependencyFault) -> RunFailed | RunOutcomeUnknown:
    """Certainly not charged, charged with or without a figure, or unknown: never mixed up."""
    status = fault.status if isinstance(fault, UpstreamRefused) else 0
    failure = Failure(code=fault.code, message=fault.message, status=status)
    failure = failure.asking_to_wait(fault.retry_after_s)
    match fault:
        case UpstreamRefused() | UpstreamUnreachable():
            return RunFailed(failure=failure, charged=False)
        case UpstreamFailed():
            cost = inline_cost(escrow, fault.inline_cost)
            return RunFailed(failure=failure, charged=True, cost=cost)
        case OutcomeUnknown():
            return RunOutcomeUnknown(failure=failure)
        case _:
            raise fault


def _costed(
    escrow: Escrow, received: CompletionReceived, *, lookup_at_ms: int | None, kept: bool
) -> CompletionCosted | None:
    """The answer with its cost; None where it does not say one that can be believed."""
    cost = inline_cost(escrow, received.summary.inline_cost)
    if cost is None:
        return None
    return CompletionCosted(
        generation_id=received.generation_id,
        summary=received.summary,
        cost=cost,
        price_msat=escrow.price_of_run(cost.cost_pusd).price_msat,
        lookup_at_ms=lookup_at_ms,
        kept=kept,
    )


def inline_cost(escrow: Escrow, text: str | None) -> Cost | None:
    """The provisional cost that an answer named; None for none, zero, nonsense or far too much."""
    try:
        cost_pusd = pusd_from_text(text) if text else 0
    except ValueError:
        return None
    if not text or not cost_pusd or not escrow.believes(cost_pusd):
        return None
    return Cost(cost_pusd=cost_pusd, text=text, standing=CostStanding.PROVISIONAL)
