"""What is driven again: after a start all that was under way, then whatever is due or open.

Recovery is not a second program: it only lists what to drive. What could not be driven comes back
later and later (kept in memory, so that after a restart everything is tried once), and nothing
stands before the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cobot_meter.domain.errors import Draining, NodeUnavailable
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.timers import next_timer_ms
from cobot_meter.domain.retention import Retention
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.ports.books import FIRST_TIMER, Books, DueTimer, OpenInvoice
from cobot_meter.ports.escrow_runs import EscrowRuns
from cobot_meter.ports.process import Clock

FIRST_MS = 2_000
LAST_MS = 3_600_000
NAMES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class _Held:
    until_ms: int
    delay_ms: int


class RetryLater:
    """Doubles the delay at each failure of one name, up to an hour."""

    def __init__(self, *, clock: Clock) -> None:
        """Nothing has failed."""
        self._clock = clock
        self._held: dict[str, _Held] = {}

    def holds(self, name: str) -> bool:
        """Whether it is not its time yet."""
        held = self._held.get(name)
        return held is not None and self._clock.monotonic_ms() < held.until_ms

    def failed(self, name: str) -> None:
        """It comes back after twice as long as before. Of too many the oldest is forgotten."""
        before = self._held.pop(name, None)
        delay_ms = min(2 * before.delay_ms, LAST_MS) if before else FIRST_MS
        if len(self._held) >= NAMES_MAX:
            del self._held[next(iter(self._held))]
        self._held[name] = _Held(self._clock.monotonic_ms() + delay_ms, delay_ms)

    def went_well(self, name: str) -> None:
        """It begins anew, should it fail again."""
        self._held.pop(name, None)


PAGE = 500
# Rows that one turn looks at beyond those it starts: what waits is passed over, not waited for.
PAGES_MAX = 20
# So many silences in a row are the node's, and not of single invoices.
SILENCES_MAX = 3

Once = Callable[[str, Callable[[], Awaitable[object]]], Awaitable[bool]]


async def unguarded(_name: str, act: Callable[[], Awaitable[object]]) -> bool:
    """Do it. Raises what it raises."""
    await act()
    return True


class Recover:
    """Pages through what is to be driven, so that its memory is bounded."""

    def __init__(
        self,
        *,
        books: Books,
        runs: EscrowRuns,
        settle_invoice: SettleInvoice,
        clock: Clock,
        retention: Retention,
        once: Once = unguarded,
    ) -> None:
        """`runs` drives; `once` keeps a fault of one invoice from ending the sweep."""
        self._books = books
        self._runs = runs
        self._settle_invoice = settle_invoice
        self._clock = clock
        self._retention = retention
        self._once = once
        self._later = RetryLater(clock=clock)
        self._driven: set[str] = set()
        self._beyond = FIRST_TIMER

    async def unfinished(self) -> int:
        """Start a run for every escrow before `invoiced`; how many there were."""
        count, after = 0, ""
        while page := await self._books.unfinished(after=after, limit=PAGE):
            for escrow_id in page:
                self._start(DueTimer(at_ms=0, escrow_id=escrow_id), until_ms=None)
            count, after = count + len(page), page[-1]
        return count

    async def due(self, now_ms: int, *, limit: int = PAGE) -> int:
        """Start a run for at most `limit` escrows whose timer has passed; how many were started.

        The next turn goes on where this one ended, so that what is passed over hides nothing.
        """
        started = 0
        for _ in range(PAGES_MAX):
            page = await self._books.due(now_ms, limit=limit, after=self._beyond)
            for timer in page:
                if started == limit:
                    return started
                started += self._start(timer, until_ms=now_ms)
                self._beyond = timer
            if len(page) < limit:
                self._beyond = FIRST_TIMER
                break
        return started

    async def open_invoices(self) -> int:
        """Ask the node about every open invoice; how many were asked about.

        This sweep is the truth that the settle stream only hints at. One that fails does not
        end it. Raises NodeUnavailable when the node is silent several times in a row.
        """
        count, answered, after = 0, False, ""
        silent: list[OpenInvoice] = []
        fault: NodeUnavailable | None = None
        while page := await self._books.open_invoices(after=after, limit=PAGE):
            for invoice in page:
                if self._later.holds(invoice.subject_id):
                    continue
                count += 1
                silence = await self._asked(invoice)
                if silence is None:
                    answered = True
                    self._held_back(silent)
                else:
                    fault = silence
                    silent.append(invoice)
                if fault is not None and len(silent) >= SILENCES_MAX:
                    raise fault
            after = page[-1].subject_id
        if fault is not None and not answered:
            raise fault
        self._held_back(silent)
        return count

    def _held_back(self, silent: list[OpenInvoice]) -> None:
        """Others were answered for: the trouble is these invoices' own."""
        for invoice in silent:
            self._later.failed(invoice.subject_id)
        silent.clear()

    async def _asked(self, invoice: OpenInvoice) -> NodeUnavailable | None:
        """What the node's silence was, None when it spoke; any other fault is this invoice's."""
        silence: NodeUnavailable | None = None

        async def ask() -> None:
            nonlocal silence
            try:
                await self._settle_invoice.ask_node(invoice.payment_hash)
            except NodeUnavailable as fault:
                silence = fault

        well = await self._once("open invoice", ask)
        if not well:
            self._later.failed(invoice.subject_id)
        elif silence is None:
            self._later.went_well(invoice.subject_id)
        return silence

    def _start(self, timer: DueTimer, *, until_ms: int | None) -> bool:
        """Whether a run was started. With `until_ms` it must leave what was due by then behind."""
        name = f"run {timer.run_id}" if timer.run_id else timer.escrow_id
        if name in self._driven or self._later.holds(name):
            return False
        run = self._runs.start(timer.escrow_id, run_id=timer.run_id)
        self._driven.add(name)
        run.add_done_callback(lambda ended: self._ended(name, ended, until_ms))
        return True

    def _ended(self, name: str, run: asyncio.Future[Escrow], until_ms: int | None) -> None:
        self._driven.discard(name)
        if run.cancelled():
            return
        fault = run.exception()
        if isinstance(fault, Draining):
            return
        if fault is not None or self._still_due(run.result(), until_ms):
            self._later.failed(name)
        else:
            self._later.went_well(name)

    def _still_due(self, escrow: Escrow, until_ms: int | None) -> bool:
        timer_ms = next_timer_ms(escrow, self._retention)
        if until_ms is None or timer_ms is None:
            return False
        return timer_ms <= min(until_ms, self._clock.now_ms())
