"""Books that contradict themselves stop every sale and release until the operator has looked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.domain.errors import (
    BooksBusy,
    Broken,
    CobotMeterError,
    Quarantined,
    ReleasesStopped,
    RequestInvalid,
)
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.flows.release_gate import KeepReleases, ReleaseGate
from cobot_meter.ports.books import Applied, Books
from tests.fakes.books import FakeBooks
from tests.fakes.clock import FakeClock
from tests.fakes.twin_books import twin_books
from tests.flows.rigs.process import RETENTION, Process
from tests.flows.rigs.stories import Stage, ask, ask_another, claim, hear, pay
from tests.flows.sale.test_crash_points import staged


async def contradicted(stage: Stage) -> None:
    """An invoiced escrow is read with another reservation than its journal has."""
    run = stage.escrow.run
    forged = replace(stage.escrow, run=replace(run, budget_held_pusd=run.budget_held_pusd - 1))
    with pytest.raises(Quarantined):
        await stage.process.record_event.record(
            forged, on.InvoiceCanceled(payment_hash=forged.payment_hash or "")
        )


async def test_a_reservation_that_the_books_do_not_have_stops_everything(tmp_path: Path) -> None:
    """Nothing is released, nothing sold and nothing quoted; the escrow itself is parked."""
    async with staged(tmp_path / "node") as stage:
        await ask(stage)
        await contradicted(stage)
        with pytest.raises(ReleasesStopped, match="stopped until the operator"):
            await stage.process.release_gate.ping()
        standing = await stage.process.books.releases()
        assert standing.stopped
        assert "was reserved as" in standing.reason
        (parked,) = await stage.process.books.quarantined(after="", limit=9)
        assert parked.quarantine is not None
        assert parked.quarantine.startswith("invoice_canceled: ")
        upstream = stage.process.lasting.upstream
        asked = upstream.posts
        await ask_another(stage)
        assert isinstance(stage.fault, ReleasesStopped)
        assert upstream.posts == asked


async def test_what_was_stopped_stays_stopped_over_a_restart(tmp_path: Path) -> None:
    """Until the operator says so; his reason is in the journal."""
    async with staged(tmp_path / "node") as stage:
        await ask(stage)
        await contradicted(stage)
        await stage.process.kill()
        fresh = Process(stage.process.lasting)
        fresh.release_gate.check()
        await fresh.start()
        with pytest.raises(ReleasesStopped):
            fresh.release_gate.check()
        await fresh.record_event.keep_releases.open("a row was forged; it is mended")
        fresh.release_gate.check()
        again = Process(stage.process.lasting)
        await again.start()
        again.release_gate.check()
        standing = await again.books.releases()
        assert (standing.words, standing.reason) == (2, "a row was forged; it is mended")


class Refusing(FakeBooks):
    """Books that take nothing, in one way or another."""

    fault: CobotMeterError | None = None

    async def apply(self, transition: Transition) -> Applied:
        if self.fault is not None:
            raise self.fault
        return await super().apply(transition)


def keeper(books: Books) -> tuple[ReleaseGate, KeepReleases, list[Transition]]:
    """A gate on these books, and the words that were new."""
    gate = ReleaseGate()
    told: list[Transition] = []
    keep = KeepReleases(books=books, clock=FakeClock(), release_gate=gate, observe=told.append)
    return gate, keep, told


async def test_the_word_is_kept_as_soon_as_the_books_take_it() -> None:
    """The gate closes at once all the same, and does not open because the books know nothing."""
    books = Refusing()
    gate, keep, told = keeper(books)
    books.fault = BooksBusy("not now")
    await keep.stop("a hold differs")
    assert (gate.closed_by, gate.kept) == ("a hold differs", False)
    await keep.follow()
    assert gate.closed_by is not None
    books.fault = None
    await keep.follow()
    assert gate.kept
    assert (await books.releases()).reason == "a hold differs"
    assert len(told) == 1
    await keep.follow()
    assert gate.closed_by == "a hold differs"


async def test_books_that_do_not_take_the_word_end_the_process() -> None:
    """What nobody can read about after a restart must not go on."""
    books = Refusing()
    gate, keep, _ = keeper(books)
    books.fault = Broken("the ledger could not be written: malformed")
    await keep.stop("the ledger could not be written: malformed")
    with pytest.raises(Broken, match="do not take the word"):
        await gate.end()


async def test_two_who_stop_say_one_word_and_both_open(tmp_path: Path) -> None:
    """Replicas on the same books: the gate of each follows the last word."""
    async with twin_books(FakeBooks(), tmp_path, retention=RETENTION) as (books, _):
        one, keep_one, _ = keeper(books)
        other, keep_other, _ = keeper(books)
        await keep_one.stop("a hold differs")
        await keep_other.stop("a hold differs")
        assert (await books.releases()).words == 1
        await keep_other.open("looked at")
        with pytest.raises(ReleasesStopped):
            one.check()
        await keep_one.follow()
        one.check()
        other.check()
        with pytest.raises(RequestInvalid, match="not stopped"):
            await keep_one.open("again")


async def test_what_cannot_be_booked_stops_nothing_else(tmp_path: Path) -> None:
    """The node says less than the invoice: this escrow is parked, and all others are sold."""
    async with staged(tmp_path / "node") as stage:
        await ask(stage)
        escrow = stage.escrow
        short = on.InvoiceSettled(
            payment_hash=escrow.payment_hash or "",
            paid_msat=escrow.due_msat - 1,
            settle_index=1,
            node_alias="dev",
            node_pubkey="02",
        )
        with pytest.raises(Quarantined) as refused:
            await stage.process.record_event.record(escrow, short)
        assert "settled below what was due" in refused.value.why
        await stage.process.release_gate.ping()
        for step in (pay(), hear, claim):
            await step(stage)
        assert stage.answer is not None, "the node's whole payment is booked all the same"
