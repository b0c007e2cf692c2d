"""The books in memory themselves: what every comparison rests on."""

from __future__ import annotations

import pytest

from cobot_meter.domain.errors import (
    AlreadyOpen,
    BooksBusy,
    ExposureExceeded,
    LedgerUnbalanced,
    MovedOn,
)
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import caller_accounts
from cobot_meter.domain.ledger.transfers import Guard, Reservation, Transfer
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.transitions.escrows import escrow_transition
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.domain.samples import CALLER, FAILURE, NOW_MS, RETENTION, Shape, opened, opening_of
from tests.fakes.books import Crash, FakeBooks, Killed, Moment

CREDIT = Reservation(hold_id="h1", debit=chart.available(CALLER), credit=chart.UNEARNED, amount=100)


def journal(*transfers: Transfer, key: str = "k", opens: bool = True) -> Transition:
    """A transition of nothing but transfers."""
    return Transition(
        key=key,
        kind="test",
        subject_id="operator",
        caller_id=CALLER,
        at_ms=NOW_MS,
        accounts=caller_accounts(CALLER) if opens else (),
        transfers=transfers,
    )


def test_it_is_books_and_reports() -> None:
    """The type checker holds the fake to both ports."""
    books = FakeBooks()
    writing: Books = books
    reading: LedgerReports = books
    assert {id(writing), id(reading)} == {id(books)}


async def test_a_guard_counts_what_is_reserved() -> None:
    """Two reservations cannot have the same credit, and a refusal writes nothing."""
    books = FakeBooks()
    credit = Reservation(
        hold_id="h0", debit=chart.UNEARNED, credit=chart.available(CALLER), amount=150
    )
    await books.apply(journal(*credit.pend(), key="a"))
    await books.apply(journal(*credit.post(150), key="b"))
    await books.apply(journal(*CREDIT.pend(Guard(name="available")), key="c"))
    second = Reservation(hold_id="h2", debit=CREDIT.debit, credit=CREDIT.credit, amount=51)
    rows = books.rows
    with pytest.raises(ExposureExceeded) as refused:
        await books.apply(journal(*second.pend(Guard(name="available")), key="d"))
    assert (refused.value.guard, refused.value.asked, refused.value.limit) == ("available", 51, 0)
    assert books.rows is rows


@pytest.mark.parametrize(
    "transfers",
    [
        pytest.param(CREDIT.pend(), id="taken twice"),
        pytest.param((*CREDIT.void(), *CREDIT.post(1)), id="resolved twice"),
        pytest.param(
            Reservation(hold_id="h1", debit=CREDIT.debit, credit=CREDIT.credit, amount=99).void(),
            id="another amount",
        ),
        pytest.param(
            Reservation(hold_id="h1", debit=chart.REVENUE, credit=CREDIT.credit, amount=100).void(),
            id="another account",
        ),
        pytest.param(
            Reservation(hold_id="h9", debit=CREDIT.debit, credit=CREDIT.credit, amount=1).void(),
            id="never taken",
        ),
    ],
)
async def test_a_hold_is_taken_and_resolved_once(transfers: tuple[Transfer, ...]) -> None:
    """Whatever else is tried with a hold is refused as a whole."""
    books = FakeBooks()
    await books.apply(journal(*CREDIT.pend(), key="a"))
    with pytest.raises(LedgerUnbalanced):
        await books.apply(journal(*transfers, key="b"))
    assert len(books.rows.journal) == 1


async def test_guarded_accounts_must_have_been_opened() -> None:
    """A guard over a row that does not exist would guard nothing."""
    with pytest.raises(LedgerUnbalanced):
        await FakeBooks().apply(journal(*CREDIT.pend(), opens=False))


async def test_the_same_key_is_one_journal_row() -> None:
    """A transition told twice answers with the row as it stands and books nothing."""
    books = FakeBooks()
    escrow = opened()
    await books.apply(opening_of(escrow))
    moved = escrow_transition(escrow, ran.UpstreamRequested(), at_ms=NOW_MS, retention=RETENTION)
    await books.apply(moved)
    again = await books.apply(opening_of(escrow))
    assert (again.repeated, again.escrow) == (True, moved.escrow)
    assert len(books.rows.journal) == 2


async def test_a_row_that_moved_on_is_stale() -> None:
    """Two events from the same version: the second is refused."""
    books = FakeBooks()
    escrow = opened()
    await books.apply(opening_of(escrow))
    for event in (ran.UpstreamRequested(), ran.Abandoned()):
        moved = escrow_transition(escrow, event, at_ms=NOW_MS, retention=RETENTION)
        if isinstance(event, ran.Abandoned):
            with pytest.raises(MovedOn):
                await books.apply(moved)
        else:
            await books.apply(moved)


async def test_one_live_escrow_for_one_ask() -> None:
    """The same ask cannot open again while the first lives, and can once it has ended."""
    books = FakeBooks()
    first = opened(Shape(escrow_id="esc_1", request_key="r"))
    second = opened(Shape(escrow_id="esc_2", request_key="r"))
    await books.apply(opening_of(first))
    with pytest.raises(AlreadyOpen):
        await books.apply(opening_of(second))
    ended = escrow_transition(first, ran.Abandoned(), at_ms=NOW_MS, retention=RETENTION)
    await books.apply(ended)
    await books.apply(opening_of(second))
    assert await books.latest_ask("r") == second


async def test_one_live_escrow_for_one_idempotency_key() -> None:
    """Two asks with one key but other bodies cannot both be open."""
    books = FakeBooks()
    await books.apply(opening_of(opened(Shape(escrow_id="esc_1", idempotency_key="i"))))
    with pytest.raises(AlreadyOpen):
        await books.apply(opening_of(opened(Shape(escrow_id="esc_2", idempotency_key="i"))))


async def test_bodies_are_merged_dropped_and_shredded() -> None:
    """A completion joins the request, the request is dropped alone, a shred takes the rest."""
    books = FakeBooks()
    escrow = opened()
    await books.apply(opening_of(escrow))
    told = StoredBodies(completion=b"sealed answer", drop_request=True)
    moved = escrow_transition(
        escrow, ran.UpstreamRequested(), at_ms=NOW_MS, retention=RETENTION, bodies=told
    )
    await books.apply(moved)
    expected = StoredBodies(wrapped_key=b"key", completion=b"sealed answer")
    assert await books.bodies(escrow.escrow_id) == expected
    assert moved.escrow is not None
    unknown = ran.RunOutcomeUnknown(failure=FAILURE)
    shredded = escrow_transition(moved.escrow, unknown, at_ms=NOW_MS, retention=RETENTION)
    await books.apply(shredded)
    assert await books.bodies(escrow.escrow_id) is None


@pytest.mark.parametrize("moment", list(Moment))
async def test_a_crash_falls_on_one_side_of_its_commit(moment: Moment) -> None:
    """Killed before, nothing is there; killed after, all of it; and only once."""
    books = FakeBooks()
    books.crash = Crash(moment=moment, commits=1)
    await books.apply(journal(key="a"))
    with pytest.raises(Killed):
        await books.apply(journal(key="b"))
    assert ("b" in books.rows.journal) is (moment is Moment.AFTER)
    assert (await books.apply(journal(key="b"))).repeated is (moment is Moment.AFTER)


async def test_busy_books_take_nothing() -> None:
    """So many calls are refused, then the same transition goes through."""
    books = FakeBooks()
    books.busy = 1
    with pytest.raises(BooksBusy):
        await books.apply(journal())
    assert not (await books.apply(journal())).repeated


async def test_the_trial_balance_sums_what_is_many() -> None:
    """Callers' accounts appear once by kind, with their counters added up."""
    books = FakeBooks()
    for number in (1, 2):
        shape = Shape(escrow_id=f"esc_{number}", caller_id=f"c_{number}")
        await books.apply(opening_of(opened(shape)))
    rows = {row.account: row for row in await books.trial_balance()}
    assert rows["caller/*/receivable"].debits_pending == 20_000
    assert rows["escrow/unearned"].credits_pending == 20_000
    assert rows["exposure/network/*"].debits_pending == 20_000
    assert rows["exposure/unpaid/*"].debits_pending == 20_000
    assert [caller.open_msat for caller in await books.callers(after="", limit=9)] == [10_000] * 2
