"""After a start: every escrow that was under way goes back to the driver, then the invoices.

Recovery is not a second program: it only lists what to drive. Must not know: what crashed.
"""

from __future__ import annotations

from service.flows.settle_invoice import SettleInvoice
from service.ports.books import Books
from service.ports.escrow_runs import EscrowRuns

PAGE = 500


class Recover:
    """Pages through what is unfinished, in id order, so that its memory is bounded."""

    def __init__(self, *, books: Books, runs: EscrowRuns, settlements: SettleInvoice) -> None:
        """`runs` drives; this only starts."""
        self._books = books
        self._runs = runs
        self._settlements = settlements

    async def unfinished(self) -> int:
        """Start a run for every escrow before `invoiced`; how many there were."""
        count, after = 0, ""
        while page := await self._books.unfinished(after=after, limit=PAGE):
            for escrow_id in page:
                self._runs.start(escrow_id)
            count, after = count + len(page), page[-1]
        return count

    async def open_invoices(self) -> int:
        """Ask the node about every open invoice; how many were asked about.

        This sweep is the truth that the settle stream only hints at. Raises NodeUnavailable.
        """
        count, after = 0, ""
        while page := await self._books.open_invoices(after=after, limit=PAGE):
            for invoice in page:
                await self._settlements.ask_node(invoice.payment_hash)
            count, after = count + len(page), page[-1].subject_id
        return count

    async def due(self, now_ms: int, *, limit: int = PAGE) -> int:
        """Start a run for every escrow whose timer has passed; how many were started."""
        overdue = await self._books.due(now_ms, limit=limit)
        for timer in overdue:
            self._runs.start(timer.escrow_id)
        return len(overdue)
