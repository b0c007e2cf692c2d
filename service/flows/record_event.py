"""Record one event of an escrow: transition, commit, wake-up. The only writer of flows.

Must not know: why the event happened or what is driven next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from service.domain.errors import BooksBusy, Broken, DependencyFault, StaleEscrow
from service.domain.escrow_events import EscrowEvent
from service.domain.escrow_record import Escrow
from service.domain.ledger import StoredBodies, Transition
from service.domain.retention import Retention
from service.domain.transitions import escrow_transition
from service.flows.unwritten_facts import UnwrittenFacts
from service.ports.books import Applied, Books
from service.ports.clock import Clock
from service.ports.wakes import Wakes

LOG = logging.getLogger(__name__)
Observer = Callable[[Transition], None]
# Whoever asks hears of busy books within a second; a commit whose answer was lost is found so.
BUSY_DELAYS_S = (0.1, 0.2, 0.5)
# A finished run waits for the books for a quarter of an hour.
WRITTEN_EVERY_S, WRITTEN_TRIES = 1.0, 900


class ReleaseGate:
    """Closed for good when we find ourselves broken: nothing is released until somebody looks."""

    def __init__(self) -> None:
        """Open."""
        self.closed_by: Broken | None = None

    async def ping(self) -> None:
        """Return while completions may be released. Raises DependencyFault."""
        if self.closed_by is not None:
            message = "Releases are stopped until the operator has looked at the books."
            raise DependencyFault(message, retry_after_s=60)


class EventRecorder:
    """Turns facts into commits."""

    def __init__(
        self,
        *,
        books: Books,
        wakes: Wakes,
        clock: Clock,
        retention: Retention,
        gate: ReleaseGate,
        observe: Observer,
    ) -> None:
        """`observe` is told every transition that was new; only `unwritten` is state."""
        self.unwritten = UnwrittenFacts()
        self._books = books
        self._wakes = wakes
        self._clock = clock
        self._retention = retention
        self._gate = gate
        self._observe = observe

    async def record(
        self,
        escrow: Escrow,
        event: EscrowEvent,
        *,
        bodies: StoredBodies | None = None,
        lasting: bool = False,
    ) -> Escrow:
        """The escrow after `event`, durably; the stored row when it was recorded before.

        What is `lasting` nobody will tell again: it waits for the books, for many minutes.
        Raises StaleEscrow when the row moved on, IllegalTransition when the event cannot happen,
        ExposureExceeded when a guarded event was refused.
        """
        applied = await self.apply(self._transition(escrow, event, bodies), lasting=lasting)
        if applied.escrow is None:
            message = f"{escrow.escrow_id} is not in the books"
            raise StaleEscrow(message)
        return applied.escrow

    def _transition(
        self, escrow: Escrow, event: EscrowEvent, bodies: StoredBodies | None
    ) -> Transition:
        at_ms = self._clock.now_ms()
        try:
            return escrow_transition(
                escrow, event, at_ms=at_ms, retention=self._retention, bodies=bodies
            )
        except Broken as broken:
            self._gate.closed_by = broken
            raise

    async def apply(self, transition: Transition, *, lasting: bool = False) -> Applied:
        """Apply any transition, patiently while the books are busy, and wake its waiters."""
        if transition.escrow is not None and transition.escrow.version == 1:
            self.unwritten.refuse_more()
        applied = await self._patiently(transition, lasting=lasting)
        if not applied.repeated:
            self._observe(transition)
        self._wakes.wake(transition.subject_id)
        return applied

    async def _patiently(self, transition: Transition, *, lasting: bool) -> Applied:
        for delay_s in BUSY_DELAYS_S:
            try:
                return await self._once(transition)
            except BooksBusy:
                await self._clock.sleep(delay_s)
        if lasting:
            with self.unwritten.keeping(transition):
                return await self._at_last(transition)
        return await self._once(transition)

    async def _at_last(self, transition: Transition) -> Applied:
        for _ in range(WRITTEN_TRIES):
            try:
                return await self._once(transition)
            except BooksBusy:
                await self._clock.sleep(WRITTEN_EVERY_S)
        LOG.error("%s could not be written for %d s: it is given up", transition.key, WRITTEN_TRIES)
        return await self._once(transition)

    async def _once(self, transition: Transition) -> Applied:
        try:
            return await self._books.apply(transition)
        except StaleEscrow:
            raise
        except Broken as broken:
            self._gate.closed_by = broken
            raise
