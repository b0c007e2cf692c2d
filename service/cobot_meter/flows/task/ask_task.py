"""Ask one run of a task: begin it within what is left, wait for it, and hand its answer over.

It is one commit before the request is sent (the run begins, and what it may cost is reserved of the
day) and one when it is answered. The answer is nowhere but in the hands of whoever asked. Must not
know: HTTP, or who asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from cobot_meter.domain.callers import ExposureTerms
from cobot_meter.domain.errors import BooksBusy, Conflict, OutcomeUnknown
from cobot_meter.domain.escrow.events import TaskRunBegun
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.tasks import RUNS_MAX
from cobot_meter.domain.money import sat_text
from cobot_meter.domain.pricing.quotes import most_tokens
from cobot_meter.domain.task_faults import TaskCeilingReached, TaskNotOpen
from cobot_meter.domain.transitions.escrows import next_run_transition
from cobot_meter.domain.upstream.completions import CompletionRequest, UpstreamCall
from cobot_meter.flows.escrow_faults import failure_fault, waiting_fault
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.offer.make_offer import MakeOffer, RunOffer
from cobot_meter.flows.offer.quote_request import Offer
from cobot_meter.flows.sale.follow_run import FollowRun
from cobot_meter.flows.sale.open_escrow import UNSTORED_BYTES_MAX
from cobot_meter.flows.task.find_task import FindTask, busy, open_terms
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.escrow_runs import JustOpened, TakeTurn
from cobot_meter.ports.process import Replicas

HandOver = Callable[[bytes], None]
TRIES = 3
# A look-up of an earlier run may be under way for the same sale: it is waited for so long.
FREE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAnswer:
    """The task after the run, looked at from it, and the `chat.completion` JSON of its answer."""

    escrow: Escrow
    body: bytes


class _Call:
    """One request of a task on its way: the same one that comes meanwhile joins it."""

    def __init__(self, request_sha256: str) -> None:
        self.request_sha256 = request_sha256
        self.body = b""
        self.run: asyncio.Future[Escrow] | None = None

    def hand_over(self, body: bytes) -> None:
        """Take the whole answer, once it is booked."""
        self.body = body


class AskTask:
    """One run at a time for each task, whichever process it is asked in."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        find_task: FindTask,
        begin_run: BeginRun,
        follow_run: FollowRun,
    ) -> None:
        """`follow_run` waits for runs of this service, whoever stops waiting."""
        self._ledger = ledger
        self._vault = vault
        self._find_task = find_task
        self._begin_run = begin_run
        self._follow_run = follow_run
        self._calls: dict[str, _Call] = {}

    async def answer(
        self, escrow: Escrow, request: CompletionRequest, *, request_sha256: str
    ) -> TaskAnswer:
        """What the run answered. Raises what refuses it, and what it failed of.

        Raises TaskNotOpen, TaskBusy, TaskCeilingReached, TaskKeyInvalid, CallerBlocked, and as
        `QuoteRequest.offer`: then nothing was sent.
        """
        self._vault.check()
        terms = open_terms(escrow, ending_ms=self._ledger.ending_ms())
        await self._find_task.refuse_gone(terms)
        await self._until_free(escrow.escrow_id)
        call = self._calls.get(escrow.escrow_id)
        if call is None:
            call = self._begun(escrow.escrow_id, request, request_sha256)
        elif call.request_sha256 != request_sha256:
            raise busy()
        return await self._answered(call, escrow.escrow_id)

    async def _until_free(self, escrow_id: str) -> None:
        """Return when nothing is driven for the task but a request of it. Raises TaskBusy."""
        deadline = asyncio.get_running_loop().time() + FREE_S
        while escrow_id not in self._calls:
            run = self._follow_run.under_way(escrow_id)
            left_s = deadline - asyncio.get_running_loop().time()
            if run is None:
                return
            if left_s <= 0:
                raise busy()
            await asyncio.wait((run,), timeout=left_s)

    def _begun(self, escrow_id: str, request: CompletionRequest, request_sha256: str) -> _Call:
        """The call, whose run is under way from here on: nobody comes between."""
        call = _Call(request_sha256)
        opening = partial(self._begin_run.begin, escrow_id, request, call.hand_over)
        call.run = self._follow_run.begin(escrow_id, opening)
        self._calls[escrow_id] = call
        call.run.add_done_callback(lambda _: self._calls.pop(escrow_id, None))
        return call

    async def _answered(self, call: _Call, escrow_id: str) -> TaskAnswer:
        if call.run is None:
            raise busy()
        escrow = await self._follow_run.finished(call.run, escrow_id)
        if call.body and (escrow.run.summary is not None or escrow.run.failure is None):
            return TaskAnswer(escrow=escrow, body=call.body)
        if escrow.run.failure is not None:
            raise failure_fault(escrow.run.failure)
        if escrow.run.in_flight:
            raise waiting_fault(escrow)
        raise OutcomeUnknown("The answer of this run was not kept; what it cost is booked.")


class BeginRun:
    """Another run of a task, requested in the commit that begins it."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        make_offer: MakeOffer,
        node_gate: NodeGate,
        replicas: Replicas,
        exposure: ExposureTerms,
    ) -> None:
        """`exposure` is the operator's setting."""
        self._ledger = ledger
        self._vault = vault
        self._make_offer = make_offer
        self._node_gate = node_gate
        self._replicas = replicas
        self._exposure = exposure

    async def begin(
        self,
        escrow_id: str,
        request: CompletionRequest,
        hand_over: HandOver,
        *,
        at_once: TakeTurn,
    ) -> JustOpened:
        """The run, requested already, with what is sent; `hand_over` is given its answer.

        Raises TaskNotOpen, TaskBusy, TaskCeilingReached, ExposureExceeded for the day's budget,
        NodeUnavailable, ReleasesStopped, UpstreamCreditLow, ServiceBusy, and as
        `QuoteRequest.offer`.
        """
        self._node_gate.check()
        began_ms = self._ledger.now_ms()
        asked = await self._make_offer.of_task(request, escrow_id)
        call_id = self._vault.caller_id()
        for _ in range(TRIES):
            escrow = await self._ledger.escrow(escrow_id)
            self._refuse(escrow, asked.offer)
            at_once(pays=True, address=escrow.ask.address)
            try:
                begun = await self._requested(escrow, asked, call_id)
            except Conflict:
                continue  # a cost was confirmed meanwhile, or another process was first
            content = request.body.content
            return JustOpened(
                escrow=begun,
                call=UpstreamCall(
                    body=request.body,
                    model=asked.model.model_id,
                    max_tokens=asked.offer.max_tokens,
                    caller_tag=begun.caller_id,
                ),
                wrapped_key=None,
                unstored=content if len(content) <= UNSTORED_BYTES_MAX else b"",
                began_ms=began_ms,
                own_terms=request.own_terms,
                hand_over=hand_over,
            )
        message = "This task is being changed many times over; repeat the request in a moment."
        raise BooksBusy(message, retry_after_s=1)

    def _refuse(self, escrow: Escrow, offer: Offer) -> None:
        open_terms(escrow, ending_ms=self._ledger.ending_ms())
        if escrow.quarantine is not None:
            raise waiting_fault(escrow)
        if escrow.run.in_flight:
            raise busy()
        if escrow.runs_made >= RUNS_MAX:
            message = f"This task has had its {RUNS_MAX - 1} runs, and no more: close it."
            raise TaskNotOpen(message)
        if offer.ceiling.cost_pusd > escrow.left_pusd:
            raise _ceiling_reached(escrow, offer)

    async def _requested(self, escrow: Escrow, asked: RunOffer, call_id: str) -> Escrow:
        model, most_pusd = asked.model, asked.offer.ceiling.cost_pusd
        event = TaskRunBegun(
            run_id=escrow.next_run_id,
            call=call_id,
            upstream=model.upstream,
            model=model.model_id,
            prices=model.price,
            most_pusd=most_pusd,
            requested_by=self._replicas.own_id,
            route=asked.route,
        )
        transition = next_run_transition(
            escrow,
            event,
            at_ms=self._ledger.now_ms(),
            retention=self._ledger.retention,
            terms=self._exposure,
        )
        begun = transition.escrow or escrow
        with self._make_offer.room(begun.run, most_pusd):
            applied = await self._ledger.apply(transition)
        return applied.escrow or begun


def left_msat(escrow: Escrow) -> int:
    """What is left of a task's ceiling at our price; while one runs, without what that may cost."""
    spent_pusd = escrow.priced_pusd
    if escrow.run.in_flight:
        spent_pusd += escrow.run.most_pusd or 0
    return escrow.quote.ceiling_msat - escrow.price_of(spent_pusd).price_msat


def _ceiling_reached(escrow: Escrow, offer: Offer) -> TaskCeilingReached:
    there = left_msat(escrow)
    ours = replace(offer, rate=escrow.quote.rate, terms=escrow.quote.terms)

    def needed(tokens: int) -> int:
        return ours.costs(ours, ours.models, tokens) or 0

    needed_msat = needed(offer.max_tokens)
    fits = most_tokens(lambda tokens: needed(tokens) <= there, below=offer.max_tokens)
    advice = f"max_tokens {fits} would fit" if fits else "not even one token of an answer would fit"
    message = (
        f"The ceiling of this task is reached: {sat_text(there)} sat of it are left, and this run "
        f"may cost up to {sat_text(needed_msat)} sat; {advice}."
    )
    return TaskCeilingReached(
        message, left_msat=there, needed_msat=needed_msat, fits_max_tokens=fits
    )
