"""Run one completion upstream: opened → requested → generated or failed.

The request is committed before it is sent, and what was sent is never sent again. Must not
know: who asked, what it may cost, or how it is paid.
"""

from __future__ import annotations

from service.domain.completions import CompletionRequest, UpstreamCompletion
from service.domain.errors import (
    DependencyFault,
    OutcomeUnknown,
    SealBroken,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from service.domain.escrow_events import (
    Abandoned,
    CompletionReceived,
    EscrowEvent,
    GenerationStarted,
    UpstreamRequested,
)
from service.domain.escrow_events import OutcomeUnknown as OutcomeIsUnknown
from service.domain.escrow_events import UpstreamFailed as UpstreamHasFailed
from service.domain.escrow_record import Cost, CostStanding, Escrow, EscrowState, Failure, Run
from service.domain.ledger import StoredBodies
from service.domain.money import pusd_from_text
from service.domain.retention import Retention
from service.flows.record_event import EventRecorder
from service.ports.books import Books
from service.ports.clock import Clock
from service.ports.escrow_runs import JustOpened
from service.ports.identifiers import Sealer
from service.ports.replicas import Replicas
from service.ports.upstream import Upstream

RESTARTED = Failure(
    code=OutcomeUnknown.code,
    message=(
        "The service restarted while this request was running upstream, so its answer is lost. "
        "You are not charged. Ask again if you want another run."
    ),
)


def request_label(escrow_id: str) -> str:
    """What the sealed request is bound to."""
    return f"{escrow_id}/request"


def run_request(escrow: Escrow, body: bytes) -> CompletionRequest:
    """What is sent upstream: the caller's body on the terms of the quote."""
    return CompletionRequest(
        body=body,
        model=escrow.quote.model,
        max_tokens=escrow.quote.max_tokens,
        caller_tag=escrow.caller_id,
    )


def completion_label(escrow_id: str) -> str:
    """What the sealed completion is bound to."""
    return f"{escrow_id}/completion"


class RunCompletion:
    """The two states in which the upstream owns the facts."""

    def __init__(
        self,
        *,
        books: Books,
        recorder: EventRecorder,
        upstream: Upstream,
        sealer: Sealer,
        replicas: Replicas,
        clock: Clock,
        retention: Retention,
    ) -> None:
        """Every part is a port or a flow."""
        self._books = books
        self._recorder = recorder
        self._upstream = upstream
        self._sealer = sealer
        self._replicas = replicas
        self._clock = clock
        self._retention = retention

    async def opened(self, escrow: Escrow) -> Escrow:
        """Send what is stored, once, unless it is too old to start now."""
        try:
            stored = await self._stored(escrow)
        except SealBroken:
            return await self._recorder.record(escrow, Abandoned())
        return await self.just_opened(stored)

    async def just_opened(self, opened: JustOpened) -> Escrow:
        """The same with the request at hand, which may be requested already or wait its turn."""
        escrow = opened.escrow
        if escrow.state is EscrowState.REQUESTED:
            return await self._send(escrow, opened.request, opened.wrapped_key)
        if self._clock.now_ms() - escrow.opened_at_ms > self._retention.abandoned_ms:
            return await self._recorder.record(escrow, Abandoned())
        own_id = self._replicas.own_id
        requested = await self._recorder.record(escrow, UpstreamRequested(requested_by=own_id))
        if requested.state is not EscrowState.REQUESTED or requested.requested_by != own_id:
            return requested  # another process was first: the request is its to send
        return await self._send(requested, opened.request, opened.wrapped_key)

    async def orphaned(self, escrow: Escrow) -> Escrow:
        """Requested, and no run of this process owns it: it may have been charged.

        Left alone while the process that asked may still be at work on it.
        """
        asked_by = escrow.requested_by
        if asked_by not in {None, self._replicas.own_id} and await self._replicas.alive(asked_by):
            return escrow
        return await self._recorder.record(escrow, OutcomeIsUnknown(failure=RESTARTED))

    async def _stored(self, escrow: Escrow) -> JustOpened:
        bodies = await self._books.bodies(escrow.escrow_id)
        if bodies is None or bodies.request is None or bodies.wrapped_key is None:
            message = f"the request of {escrow.escrow_id} is not stored"
            raise SealBroken(message)
        body = self._sealer.open(
            bodies.wrapped_key, bodies.request, label=request_label(escrow.escrow_id)
        )
        return JustOpened(
            escrow=escrow, request=run_request(escrow, body), wrapped_key=bodies.wrapped_key
        )

    async def _send(self, escrow: Escrow, request: CompletionRequest, wrapped_key: bytes) -> Escrow:
        current = escrow

        async def started(generation_id: str) -> None:
            nonlocal current
            current = await self._recorder.record(
                current, GenerationStarted(generation_id=generation_id)
            )

        try:
            completion = await self._upstream.complete(
                request, price_cap=escrow.quote.prices, on_started=started
            )
        except DependencyFault as fault:
            return await self._recorder.record(current, _failure_event(fault))
        sealed = self._sealer.seal(
            wrapped_key, completion.body, label=completion_label(escrow.escrow_id)
        )
        return await self._recorder.record(
            current,
            _received(completion, self._clock.now_ms()),
            bodies=StoredBodies(completion=sealed, drop_request=True),
        )


def _received(completion: UpstreamCompletion, now_ms: int) -> CompletionReceived:
    return CompletionReceived(
        generation_id=completion.generation_id,
        run=Run(
            completed_at_ms=now_ms,
            inline_cost=completion.inline_cost,
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
        ),
    )


def _failure_event(fault: DependencyFault) -> EscrowEvent:
    """Certainly not charged, charged with or without a figure, or unknown: never mixed up."""
    status = fault.status if isinstance(fault, UpstreamRefused) else 0
    failure = Failure(code=fault.code, message=fault.message, status=status)
    match fault:
        case UpstreamRefused() | UpstreamUnreachable():
            return UpstreamHasFailed(failure=failure, charged=False)
        case UpstreamFailed():
            cost = inline_cost(fault.inline_cost)
            return UpstreamHasFailed(failure=failure, charged=True, cost=cost)
        case OutcomeUnknown():
            return OutcomeIsUnknown(failure=failure)
        case _:
            raise fault


def inline_cost(text: str | None) -> Cost | None:
    """The provisional cost that an answer named; None for none, zero or nonsense."""
    try:
        cost_pusd = pusd_from_text(text) if text else 0
    except ValueError:
        return None
    if not text or not cost_pusd:
        return None
    return Cost(cost_pusd=cost_pusd, text=text, standing=CostStanding.PROVISIONAL)
