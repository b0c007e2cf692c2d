"""What the recorder makes of facts that a real database refuses: a fake would take them all."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from cobot_meter.background.wake_hub import WakeHub
from cobot_meter.domain.errors import MovedOn, Quarantined, ReleasesStopped
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Cost, CostStanding
from cobot_meter.domain.topup import events as of_topup
from cobot_meter.domain.topup.machine import advance as advance_topup
from cobot_meter.domain.transitions.topups import open_topup
from cobot_meter.flows.record_event import RecordEvent
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.ports.books import Books
from tests.contracts.books.books_lookups import at
from tests.contracts.books.books_samples import NODE, RETENTION, Sale, topup
from tests.fakes.clock import FakeClock

INVOICED = of_topup.TopupInvoiced(payment_request="lnbcrt1", expires_at_s=1)
# Beyond our bound, beyond what an account can hold, beyond a column, and beyond JSON's integers.
FIGURES = (10**17, 9_100_000_000_000_000_000, 9_300_000_000_000_000_000, 10**30, -(10**19))


def recording(books: Books) -> tuple[RecordEvent, ReleaseGate]:
    """The recorder over these books, and its gate."""
    gate = ReleaseGate()
    recorder = RecordEvent(
        books=books,
        wakes=WakeHub(),
        clock=FakeClock(leaping=True),
        retention=RETENTION,
        release_gate=gate,
        observe=lambda _: None,
    )
    return recorder, gate


def confirmed(cost_pusd: int, text: str = "1") -> ran.CostConfirmed:
    """The upstream's record says so."""
    cost = Cost(cost_pusd=cost_pusd, text=text, standing=CostStanding.CONFIRMED)
    return ran.CostConfirmed(cost=cost)


class RecorderOnBooks:
    """Of the fixture `books`, which are real."""

    @pytest.mark.parametrize("figure", FIGURES)
    async def test_a_figure_that_no_column_holds_parks_one_escrow(
        self, books: Books, figure: int
    ) -> None:
        """Its neighbours of the same moment are written, the gate stays open, it can be lifted."""
        recorder, gate = recording(books)
        bad, good = await at(books, "esc_1", "settled"), await at(books, "esc_2", "settled")
        outcomes = await asyncio.gather(
            recorder.record(bad.escrow, confirmed(figure)),
            recorder.record(good.escrow, confirmed(5)),
            return_exceptions=True,
        )
        assert isinstance(outcomes[0], Quarantined)
        neighbour = await books.escrow("esc_2")
        assert neighbour is not None
        assert (neighbour.cost_pusd, neighbour.quarantine) == (5, None)
        (parked,) = await books.quarantined(after="", limit=9)
        assert parked.quarantine is not None
        assert parked.quarantine.startswith("cost_confirmed: ")
        gate.check()
        assert not (await books.releases()).stopped
        row = await books.escrow("esc_1")
        assert row is not None
        lifted = await recorder.record(row, on.QuarantineLifted())
        assert lifted.quarantine is None
        released = await recorder.record(lifted, on.CompletionDelivered())
        assert released.state.value == "released"

    async def test_a_text_that_no_column_holds_is_written_as_it_can_be(self, books: Books) -> None:
        """Half an emoji parks no sale: the row holds what its recorder goes on with."""
        recorder, gate = recording(books)
        sale = await at(books, "esc_1", "settled")
        recorded = await recorder.record(sale.escrow, confirmed(5, text="Deep \ud83d"))
        assert recorded.run.cost is not None
        assert recorded.run.cost.text == "Deep \ufffd"
        assert await books.escrow("esc_1") == recorded
        assert await books.quarantined(after="", limit=9) == ()
        gate.check()

    @pytest.mark.parametrize("state", ["invoiced", "costed"])
    async def test_a_row_that_lies_about_its_reservation_stops_releases(
        self, books: Books, state: str
    ) -> None:
        """It is parked all the same, so that opened again the gate is not closed by it anew."""
        recorder, gate = recording(books)
        sale: Sale = await at(books, "esc_1", state)
        run = sale.escrow.run
        held_pusd = run.budget_held_pusd + 1
        forged = replace(sale.escrow, run=replace(run, budget_held_pusd=held_pusd))
        event: on.EscrowEvent = on.InvoiceCanceled(payment_hash=str(forged.payment_hash))
        if state == "costed":
            event = confirmed(5)
        with pytest.raises(Quarantined):
            await recorder.record(forged, event)
        with pytest.raises(ReleasesStopped):
            gate.check()
        assert (await books.releases()).stopped
        assert len(await books.quarantined(after="", limit=9)) == 1
        await recorder.keep_releases.open("looked at")
        assert not (await books.releases()).stopped

    async def test_a_payment_that_cannot_be_booked_is_written_off_at_what_it_was(
        self, books: Books
    ) -> None:
        """The operator's word books it as credit, under the bounds that every amount has."""
        recorder, _ = recording(books)
        sale = await at(books, "esc_1", "invoiced")
        alias, pubkey = NODE
        huge = replace(sale.settlement(), paid_msat=10**25)
        with pytest.raises(Quarantined):
            await recorder.record(sale.escrow, huge)
        row = await books.escrow("esc_1")
        assert row is not None
        written_off = on.WrittenOff(
            reason="looked at",
            payment_hash=str(row.payment_hash),
            paid_msat=9_000,
            settle_index=4,
            node_alias=alias,
            node_pubkey=pubkey,
        )
        ended = await recorder.record(row, written_off)
        assert (ended.state.value, ended.paid_msat, ended.quarantine) == ("expired", 9_000, None)
        standing = await books.standing(row.caller_id)
        assert standing.available_msat == 9_000 + row.credit_used_msat
        assert await books.settle_cursor(pubkey) == 4

    async def test_a_top_up_is_told_by_one_of_two(self, books: Books) -> None:
        """Who says it second finds the row as it stands, and hears that others wrote it."""
        recorder, _ = recording(books)
        first = topup("top_1")
        with pytest.raises(MovedOn):
            await recorder.record_topup(first, INVOICED)
        await recorder.apply(open_topup(first))
        invoiced, ours = await recorder.record_topup(first, INVOICED)
        assert (invoiced, ours) == (advance_topup(first, INVOICED), True)
        assert await recorder.record_topup(first, INVOICED) == (invoiced, False)
        with pytest.raises(MovedOn):
            await recorder.record_topup(first, of_topup.TopupLapsed())
        assert await books.topup("top_1") == invoiced

    async def test_a_payment_that_no_column_holds_parks_one_top_up(self, books: Books) -> None:
        """It waits where it was, under the name of what happened, until it is let go on."""
        recorder, gate = recording(books)
        first = topup("top_1")
        await recorder.apply(open_topup(first))
        alias, pubkey = NODE
        paid = of_topup.TopupCredited(
            payment_hash=first.payment_hash,
            paid_msat=10**30,
            settle_index=1,
            node_alias=alias,
            node_pubkey=pubkey,
        )
        with pytest.raises(Quarantined):
            await recorder.record_topup(first, paid)
        parked = await books.topup("top_1")
        assert parked is not None
        assert parked.quarantine is not None
        assert parked.quarantine.startswith("topup_credited: ")
        assert parked == advance_topup(first, of_topup.TopupQuarantined(reason=parked.quarantine))
        gate.check()
        with pytest.raises(MovedOn):
            await recorder.record_topup(first, paid)
        lifted, _ = await recorder.record_topup(parked, of_topup.TopupLifted())
        credited, _ = await recorder.record_topup(lifted, replace(paid, paid_msat=1_500))
        assert (credited.state.value, credited.paid_msat) == ("credited", 1_500)
        assert (await books.standing(first.caller_id)).available_msat == 1_500
