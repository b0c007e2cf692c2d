"""Record one event of an escrow or a top-up: transition, commit, wake-up. The only writer of flows.

What cannot be booked is the trouble of that one escrow or top-up: it goes into quarantine. What
shows that the books contradict themselves stops all releases. `OurNode` holds the node whose word
counts in this process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from cobot_meter.domain.errors import (
    BooksBusy,
    Broken,
    CobotMeterError,
    Conflict,
    IllegalTransition,
    LedgerContradicted,
    LedgerUnbalanced,
    MovedOn,
)
from cobot_meter.domain.escrow.events import EscrowEvent, QuarantineBegun, TaskRunBegun
from cobot_meter.domain.escrow.on_runs import concerns_every_run
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.invoices import NodeIdentity
from cobot_meter.domain.outside import shown
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.topup.events import TopupEvent, TopupQuarantined
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.escrows import escrow_transition
from cobot_meter.domain.transitions.event_facts import event_kind, event_name
from cobot_meter.domain.transitions.topups import topup_transition
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.flows.escrow_faults import quarantined_fault
from cobot_meter.flows.release_gate import KeepReleases, ReleaseGate
from cobot_meter.flows.unwritten_facts import UnwrittenFacts
from cobot_meter.ports.books import Applied, Books
from cobot_meter.ports.process import Clock, Wakes

LOG = logging.getLogger(__name__)
Observer = Callable[[Transition], None]
# Whoever asks hears of busy books within a second; a commit whose answer was lost is found so.
BUSY_DELAYS_S = (0.1, 0.2, 0.5)
# A finished run waits for the books for a quarter of an hour.
WRITTEN_EVERY_S, WRITTEN_TRIES = 1.0, 900
# What spends more without opening anything.
BEGINS_A_RUN = event_kind(TaskRunBegun)
# What making or writing one transition raises for facts that no books can hold.
UNBOOKABLE = (LedgerUnbalanced, IllegalTransition, TypeError, ValueError, OverflowError)


class RecordEvent:
    """Turns facts into commits."""

    def __init__(
        self,
        *,
        books: Books,
        wakes: Wakes,
        clock: Clock,
        retention: Retention,
        release_gate: ReleaseGate,
        observe: Observer,
    ) -> None:
        """`observe` is told every transition that was new; only `unwritten` is state."""
        self.unwritten = UnwrittenFacts()
        self._books = books
        self._wakes = wakes
        self._clock = clock
        self._retention = retention
        self._observe = observe
        self.keep_releases = KeepReleases(
            books=books, clock=clock, release_gate=release_gate, observe=observe
        )

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
        Raises MovedOn when the row moved on, Quarantined when the event cannot be booked,
        ExposureExceeded when a guarded event was refused.
        """
        try:
            if concerns_every_run(escrow, type(event)):
                escrow = await self._with_every_run(escrow)
            applied = await self._written(self._transition(escrow, event, bodies), lasting=lasting)
        except UNBOOKABLE as fault:
            await self._stop_if_contradicted(fault)
            raise await self._parked(escrow, event, fault) from fault
        if applied.escrow is None:
            message = f"{escrow.escrow_id} is not in the books"
            raise MovedOn(message)
        return applied.escrow

    async def record_topup(self, topup: Topup, event: TopupEvent) -> tuple[Topup, bool]:
        """The top-up after `event`, durably, and whether it was this call that wrote it.

        Raises MovedOn when the row moved on, Quarantined when the event cannot be booked.
        """
        try:
            applied = await self._written(self._topup_transition(topup, event))
        except UNBOOKABLE as fault:
            await self._stop_if_contradicted(fault)
            raise await self._topup_parked(topup, event, fault) from fault
        if applied.topup is None:
            message = f"{topup.topup_id} is not in the books"
            raise MovedOn(message)
        return applied.topup, not applied.repeated

    def _topup_transition(self, topup: Topup, event: TopupEvent) -> Transition:
        return topup_transition(topup, event, at_ms=self._clock.now_ms())

    def _transition(
        self, escrow: Escrow, event: EscrowEvent, bodies: StoredBodies | None = None
    ) -> Transition:
        at_ms = self._clock.now_ms()
        return escrow_transition(
            escrow, event, at_ms=at_ms, retention=self._retention, bodies=bodies
        )

    async def _with_every_run(self, escrow: Escrow) -> Escrow:
        """What concerns all runs of a sale changes them all; most sales have no other one."""
        if escrow.runs_made == 1:
            return escrow
        return escrow.with_runs(await self._books.runs_of(escrow.escrow_id))

    async def apply(self, transition: Transition, *, lasting: bool = False) -> Applied:
        """Apply any other transition, patiently while the books are busy, and wake its waiters.

        What is `lasting` nobody will tell again: it waits for the books, for many minutes.
        """
        try:
            return await self._written(transition, lasting=lasting)
        except UNBOOKABLE as fault:
            await self._stop_if_contradicted(fault)
            raise

    async def _written(self, transition: Transition, *, lasting: bool = False) -> Applied:
        if transition.opens or transition.kind == BEGINS_A_RUN:
            self.unwritten.refuse_more()
        try:
            applied, again = await self._patiently(transition, lasting=lasting)
        except LedgerUnbalanced:
            raise
        except Broken as broken:  # nothing that one transition could have done
            await self.keep_releases.stop(broken.message)
            raise
        if again or not applied.repeated:  # the first try may have been written and not heard of
            self._observe(transition)
        self._wakes.wake(transition.subject_id)
        return applied

    async def _patiently(self, transition: Transition, *, lasting: bool) -> tuple[Applied, bool]:
        """What came of it, and whether it was tried before that."""
        for tries, delay_s in enumerate(BUSY_DELAYS_S):
            try:
                return await self._books.apply(transition), tries > 0
            except BooksBusy:
                await self._clock.sleep(delay_s)
        if lasting:
            with self.unwritten.keeping(transition):
                return await self._at_last(transition), True
        return await self._books.apply(transition), True

    async def _at_last(self, transition: Transition) -> Applied:
        for _ in range(WRITTEN_TRIES):
            try:
                return await self._books.apply(transition)
            except BooksBusy:
                await self._clock.sleep(WRITTEN_EVERY_S)
        LOG.error("%s could not be written for %d s: it is given up", transition.key, WRITTEN_TRIES)
        return await self._books.apply(transition)

    async def _stop_if_contradicted(self, fault: Exception) -> None:
        if isinstance(fault, LedgerContradicted):
            await self.keep_releases.stop(fault.message)

    async def _parked(
        self, escrow: Escrow, event: EscrowEvent, fault: Exception
    ) -> CobotMeterError:
        """Put the escrow into quarantine; the error to raise in place of `fault`."""
        current = await self._books.escrow_of_run(escrow.run.run_id)
        if current is None:
            return Broken(f"{escrow.escrow_id} is not in the books: {fault}")
        if current.versions != escrow.versions:
            return MovedOn(f"{escrow.escrow_id} has moved on: {fault}")
        name, why = event_name(event), shown(str(fault))
        if current.quarantine is None:
            parked = QuarantineBegun(event=name, reason=why)
            try:
                current = await self._with_every_run(current)
                await self._put_away(self._transition(current, parked), name, why)
            except Conflict as moved:
                return moved
        return quarantined_fault(escrow.escrow_id, why=why)

    async def _topup_parked(
        self, topup: Topup, event: TopupEvent, fault: Exception
    ) -> CobotMeterError:
        current = await self._books.topup(topup.topup_id)
        if current is None or current.version != topup.version:
            return MovedOn(f"{topup.topup_id} has moved on: {fault}")
        name, why = event_name(event), shown(str(fault))
        if current.quarantine is None:
            parked = TopupQuarantined(reason=f"{name}: {why}")
            try:
                await self._put_away(self._topup_transition(current, parked), name, why)
            except Conflict as moved:
                return moved
        return quarantined_fault(topup.topup_id, why=why, is_topup=True)

    async def _put_away(self, transition: Transition, event: str, why: str) -> None:
        """Nothing of what could not be booked is in this. If it fails too, the books are wrong."""
        try:
            await self._written(transition)
        except UNBOOKABLE as fault:
            await self.keep_releases.stop(f"{transition.key} cannot be booked either: {fault}")
            raise Broken(str(fault)) from fault
        LOG.error(
            "%s is in quarantine: %s cannot be booked: %s; look at it with "
            "`cobot-meter quarantine show %s`",
            *(transition.subject_id, event, why, transition.subject_id),
        )


class OurNode:
    """Who the node is; changes only when another is adopted."""

    def __init__(self, identity: NodeIdentity) -> None:
        """`identity` is the node's, as it was at start."""
        self.identity = identity
