"""What books promise of quarantine, and of the word that stops and opens releases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import CostStanding
from cobot_meter.domain.topup import events as of_topup
from cobot_meter.domain.topup.machine import advance as advance_topup
from cobot_meter.domain.transitions.operator import releases_transition
from cobot_meter.domain.transitions.topups import open_topup, topup_transition
from cobot_meter.ports.books import Books, Releases
from cobot_meter.ports.ledger_reports import LedgerReports, Standing
from tests.contracts.books.books_lookups import at
from tests.contracts.books.books_samples import COST_PUSD, START_MS, Sale, topup
from tests.domain.samples import UPSTREAM

PARKED = on.QuarantineBegun(event="cost_confirmed", reason="it is too large")
FAR_MS = START_MS + 10**12
STATES = (
    *("opened", "requested", "generated", "costed", "invoiced"),
    *("settled", "released", "failed", "expired", "refunded"),
)


async def brought_to(books: Books, state: str) -> Sale:
    """An escrow in any of the ten states."""
    if state == "requested":
        sale = await at(books, "esc_1", "opened")
        await sale.record(ran.UpstreamRequested())
        return sale
    if state == "expired":
        sale = await at(books, "esc_1", "invoiced")
        await sale.record(on.InvoiceCanceled(payment_hash=str(sale.escrow.payment_hash)))
        return sale
    if state in {"released", "refunded"}:
        sale = await at(books, "esc_1", "settled")
        await sale.record(on.CompletionDelivered() if state == "released" else on.CompletionLost())
        return sale
    return await at(books, "esc_1", state)


class BooksQuarantine:
    """Of the fixture `books`."""

    @pytest.mark.parametrize("state", STATES)
    async def test_what_is_in_quarantine_is_in_no_sweep(self, books: Books, state: str) -> None:
        """It is listed for the operator, and neither due, unfinished, open, awaited nor shared."""
        sale = await brought_to(books, state)
        await sale.record(PARKED)
        row = await books.escrow("esc_1")
        assert row is not None
        assert row == sale.escrow
        assert row.quarantine == "cost_confirmed: it is too large"
        assert row.progress.value == state
        assert await books.due(FAR_MS, limit=9) == ()
        assert await books.unfinished(after="", limit=9) == ()
        assert await books.open_invoices(after="", limit=9) == ()
        assert await books.unexplained(UPSTREAM, limit=9) == ()
        quiet = await books.quiet(UPSTREAM)
        assert (quiet.in_flight, quiet.awaited) == (False, False)
        assert await books.quarantined(after="", limit=9) == (row,)

    async def test_a_cost_that_no_record_confirmed_counts_in_quarantine_too(
        self, books: Books
    ) -> None:
        """What it says too much can still be missed elsewhere, whoever has to look at it."""
        sale = await at(books, "esc_1", "generated")
        await sale.cost(standing=CostStanding.PROVISIONAL)
        assert (await books.quiet(UPSTREAM)).unconfirmed_pusd == COST_PUSD
        await sale.record(PARKED)
        assert (await books.quiet(UPSTREAM)).unconfirmed_pusd == COST_PUSD

    async def test_what_the_operator_lets_go_on_is_found_again(self, books: Books) -> None:
        """Lifted, the row is as it was, two versions on, and its timer is back."""
        sale = await at(books, "esc_1", "invoiced")
        before = sale.escrow
        timers = await books.due(FAR_MS, limit=9)
        await sale.record(PARKED)
        await sale.record(on.QuarantineLifted())
        after = await books.escrow("esc_1")
        run, changed_at_ms = before.run, sale.escrow.changed_at_ms
        assert after == replace(
            before,
            version=before.version + 2,
            changed_at_ms=changed_at_ms,
            run=replace(run, version=run.version + 2, changed_at_ms=changed_at_ms),
        )
        assert await books.due(FAR_MS, limit=9) == timers
        assert await books.quarantined(after="", limit=9) == ()

    async def test_top_ups_wait_for_the_operator_too(self, books: Books) -> None:
        """One list of both, in the order of their ids, in pages."""
        sale = await at(books, "esc_1", "costed")
        await sale.record(PARKED)
        fresh = topup("top_1")
        await books.apply(open_topup(fresh))
        told = of_topup.TopupQuarantined(reason="topup_credited: it is too large")
        applied = await books.apply(topup_transition(fresh, told, at_ms=START_MS))
        parked = advance_topup(fresh, told)
        assert applied.topup == parked
        found = await books.quarantined(after="", limit=9)
        assert found == (sale.escrow, parked)
        assert await books.quarantined(after="", limit=1) == (sale.escrow,)
        assert await books.quarantined(after="esc_1", limit=9) == (parked,)
        lifted = advance_topup(parked, of_topup.TopupLifted())
        await books.apply(topup_transition(parked, of_topup.TopupLifted(), at_ms=START_MS))
        assert await books.topup("top_1") == lifted
        assert await books.quarantined(after="", limit=9) == (sale.escrow,)

    async def test_releases_are_stopped_by_one_word_and_opened_by_the_next(
        self, books: Books
    ) -> None:
        """Numbered words in the journal: a repeat of one changes nothing."""
        assert await books.releases() == Releases()
        assert not (await books.releases()).stopped
        stop = releases_transition(sequence=0, stopped=True, reason="a hold differs", at_ms=1)
        assert not (await books.apply(stop)).repeated
        assert (await books.apply(stop)).repeated
        assert await books.releases() == Releases(words=1, reason="a hold differs")
        assert (await books.releases()).stopped
        opened = releases_transition(sequence=1, stopped=False, reason="looked at", at_ms=2)
        await books.apply(opened)
        assert await books.releases() == Releases(words=2, reason="looked at")
        assert not (await books.releases()).stopped

    async def test_reports_tell_what_waits(self, books: Books, reports: LedgerReports) -> None:
        """For whoever only reads: the last word on releases, and the ids in quarantine."""
        assert await reports.alarms(limit=9) == Standing(releases=Releases(), quarantined=())
        for name in ("esc_2", "esc_1"):
            await (await at(books, name, "costed")).record(PARKED)
        stop = releases_transition(sequence=0, stopped=True, reason="a hold differs", at_ms=1)
        await books.apply(stop)
        assert await reports.alarms(limit=9) == Standing(
            releases=Releases(words=1, reason="a hold differs"), quarantined=("esc_1", "esc_2")
        )
        assert (await reports.alarms(limit=1)).quarantined == ("esc_1",)

    async def test_the_newest_entry_says_when_it_was_written(self, books: Books) -> None:
        """0 in empty books, then the time of the last entry, whatever the clock did."""
        assert await books.latest_at_ms() == 0
        for sequence, at_ms in enumerate((5_000, 9_000, 7_000)):
            word = releases_transition(
                sequence=sequence, stopped=sequence % 2 == 0, reason="", at_ms=at_ms
            )
            await books.apply(word)
            assert await books.latest_at_ms() == at_ms
