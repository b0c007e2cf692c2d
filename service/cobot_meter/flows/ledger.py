"""The books as a flow sees them: read by key, written by events, dated and ended by the clocks.

Must not know: what an event means, or who may see a row.
"""

from __future__ import annotations

from cobot_meter.domain.errors import EscrowNotFound
from cobot_meter.domain.escrow.events import EscrowEvent
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.topup.events import TopupEvent
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.flows.record_event import RecordEvent
from cobot_meter.flows.steady_clock import SteadyClock
from cobot_meter.ports.books import Applied, Books
from cobot_meter.ports.process import Clock


class Ledger:
    """`books` are for reading, `clock` is for waiting; `retention` says how long what is kept."""

    def __init__(
        self,
        *,
        books: Books,
        record_event: RecordEvent,
        clock: Clock,
        steady_clock: SteadyClock,
        retention: Retention,
    ) -> None:
        """`record_event` writes to these very books; by `steady_clock` things end."""
        self.books = books
        self.clock = clock
        self.retention = retention
        self._record_event = record_event
        self._steady_clock = steady_clock

    def now_ms(self) -> int:
        """Unix ms by the wall clock: when something happened."""
        return self.clock.now_ms()

    def ending_ms(self) -> int:
        """Unix ms for what ends by itself: no wall clock that was just set ends anything early."""
        return self._steady_clock.ending_ms()

    def day_ms(self) -> int:
        """Unix ms: whose UTC day it is, as days are counted."""
        return self._steady_clock.day_ms()

    async def escrow(self, escrow_id: str) -> Escrow:
        """The row as it stands. Raises EscrowNotFound."""
        escrow = await self.books.escrow(escrow_id)
        if escrow is None:
            message = f"there is no escrow {escrow_id[:80]}"
            raise EscrowNotFound(message)
        return escrow

    async def escrow_of_run(self, run_id: str) -> Escrow:
        """The row looked at from this run. Raises EscrowNotFound."""
        escrow = await self.books.escrow_of_run(run_id)
        if escrow is None:
            message = f"there is no run {run_id[:80]}"
            raise EscrowNotFound(message)
        return escrow

    async def key_is_live(self, key_id: str) -> bool:
        """Whether its owner has not ended this API key."""
        key = await self.books.api_key(key_id)
        return key is not None and key.is_live

    async def is_blocked(self, caller_id: str) -> bool:
        """Whether the operator refuses what this caller asks."""
        return (await self.books.standing(caller_id)).blocked

    async def again(self, escrow: Escrow) -> Escrow:
        """The row as it stands by now, looked at from where it was. Raises EscrowNotFound."""
        if escrow.looks_back:
            return await self.escrow_of_run(escrow.run.run_id)
        return await self.escrow(escrow.escrow_id)

    async def record(
        self,
        escrow: Escrow,
        event: EscrowEvent,
        *,
        bodies: StoredBodies | None = None,
        lasting: bool = False,
    ) -> Escrow:
        """The escrow after `event`, durably; the stored row when it was recorded before.

        Raises MovedOn, Quarantined when it cannot be booked, ExposureExceeded, BooksBusy.
        """
        return await self._record_event.record(escrow, event, bodies=bodies, lasting=lasting)

    async def record_topup(self, topup: Topup, event: TopupEvent) -> tuple[Topup, bool]:
        """The top-up after `event`, durably, and whether it was this call that wrote it.

        Raises MovedOn, Quarantined when it cannot be booked, BooksBusy.
        """
        return await self._record_event.record_topup(topup, event)

    async def apply(self, transition: Transition, *, lasting: bool = False) -> Applied:
        """Apply any other transition. Raises as `RecordEvent.apply`."""
        return await self._record_event.apply(transition, lasting=lasting)
