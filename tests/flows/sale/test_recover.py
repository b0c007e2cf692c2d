"""What is driven again, and what must not stand in its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.errors import Broken, NodeUnavailable
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.flows.sale.recover import Recover
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.ports.books import Books
from cobot_meter.ports.escrow_runs import EscrowRuns, Follower, OpensEscrow
from tests.contracts.books.books_lookups import at
from tests.contracts.books.books_samples import RETENTION, START_MS, digest
from tests.fakes.books import FakeBooks
from tests.fakes.clock import FakeClock
from tests.fakes.twin_books import twin_books

A_DAY_LATER_MS = START_MS + 86_400_000


class StartedRuns:
    """The port `EscrowRuns`: remembers what was started."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, escrow_id: str, *, run_id: str = "") -> asyncio.Future[Escrow]:
        self.started.append(run_id or escrow_id)
        return asyncio.get_running_loop().create_future()

    def under_way(self, escrow_id: str) -> asyncio.Future[Escrow] | None:
        raise AssertionError(f"somebody looks for {escrow_id}")

    def begin(self, escrow_id: str, opening: OpensEscrow) -> asyncio.Future[Escrow]:
        raise AssertionError(f"{escrow_id} was opened by {opening}")

    def follow(self, escrow_id: str) -> Follower | None:
        raise AssertionError(f"{escrow_id} was followed")

    def keep(self, escrow_id: str) -> None:
        raise AssertionError(f"somebody waits for {escrow_id}")


@pytest.fixture
def fake() -> FakeBooks:
    """What the books hold, in memory."""
    return FakeBooks(retention=RETENTION)


@pytest.fixture
async def books(fake: FakeBooks, tmp_path: Path) -> AsyncIterator[Books]:
    """Empty books, in memory and in a file."""
    async with twin_books(fake, tmp_path, retention=RETENTION) as (books, _):
        yield books


def recovering(
    books: Books,
    runs: EscrowRuns,
    settlements: SettleInvoice | None = None,
    clock: FakeClock | None = None,
) -> Recover:
    """The flow over these parts."""
    return Recover(
        books=books,
        runs=runs,
        settle_invoice=cast("SettleInvoice", settlements),
        clock=clock or FakeClock(),
        retention=RETENTION,
        once=Supervisor(clock=FakeClock(), report=lambda _: None).once,
    )


async def test_what_waits_for_the_node_stands_in_no_ones_way(books: Books) -> None:
    """However many are priced beside a node that is away, a timer that has passed is heard."""
    runs = StartedRuns()
    costed = [f"esc_{number}" for number in range(5)]
    for escrow_id in costed:
        await at(books, escrow_id, "costed")
    await at(books, "esc_x", "generated")
    await at(books, "esc_y", "invoiced")
    recover = recovering(books, runs)
    assert await recover.due(A_DAY_LATER_MS, limit=2) == 2
    assert runs.started == ["esc_x", "esc_y"]
    runs.started.clear()
    assert await recover.unfinished() == len(costed) + 1
    assert runs.started == costed, "what runs already is not started again"


class Failing(StartedRuns):
    """Runs that end at once: those of `stuck` without having got anywhere."""

    def __init__(self, books: FakeBooks, stuck: set[str]) -> None:
        super().__init__()
        self.books = books
        self.stuck = stuck

    def start(self, escrow_id: str, *, run_id: str = "") -> asyncio.Future[Escrow]:
        run = super().start(escrow_id, run_id=run_id)
        if escrow_id in self.stuck:
            run.set_exception(Broken("it cannot be driven"))
        else:
            run.set_result(self.books.rows.escrows[escrow_id])
        return run


async def turn(recover: Recover, *, limit: int) -> None:
    """One turn of the timers, and what their runs came to."""
    await recover.due(A_DAY_LATER_MS, limit=limit)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_however_many_are_stuck_the_rest_is_reached(fake: FakeBooks, books: Books) -> None:
    """More stuck rows than one turn takes, the longest overdue of all: others are still driven."""
    stuck = {f"esc_{number:02}" for number in range(8)}
    for escrow_id in sorted(stuck):
        await at(books, escrow_id, "opened", caller_id=f"c_{escrow_id}")
    await at(books, "esc_well", "invoiced")
    runs = Failing(fake, stuck)
    recover = recovering(books, runs)
    for _ in range(4):
        await turn(recover, limit=3)
    assert "esc_well" in runs.started


async def test_what_is_stuck_comes_back_later_and_later(fake: FakeBooks, books: Books) -> None:
    """After 2, 4, 8 s and so on, never more than an hour apart."""
    clock = FakeClock()
    await at(books, "esc_1", "opened")
    runs = Failing(fake, {"esc_1"})
    recover = recovering(books, runs, clock=clock)
    gaps: list[int] = []
    waited = 0
    while len(gaps) < 15:
        await turn(recover, limit=5)
        if runs.started:
            gaps.append(waited)
            runs.started.clear()
            waited = 0
        clock.advance(1)
        waited += 1
    assert gaps[1:5] == [2, 4, 8, 16]
    assert max(gaps) == gaps[-1] == 3_600
    runs.stuck.clear()
    clock.advance(3_600)
    await turn(recover, limit=5)
    assert runs.started == ["esc_1"]


class Asked:
    """Stands for `SettleInvoice`: `faults` is what the look-up of a hash raises."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.faults: dict[str, Exception] = {}

    async def ask_node(self, payment_hash: str) -> None:
        self.asked.append(payment_hash)
        if payment_hash in self.faults:
            raise self.faults[payment_hash]


async def open_invoices(books: Books, count: int) -> list[str]:
    """So many open invoices in the books, and their hashes in the order of the sweep."""
    for number in range(count):
        await at(books, f"esc_{number}", "invoiced", caller_id=f"c_{number}")
    return [digest(f"esc_{number}", 0) for number in range(count)]


async def test_one_invoice_that_fails_does_not_end_the_sweep(books: Books) -> None:
    """Silence of the node about one, and a bug at another: those behind are asked about."""
    hashes = await open_invoices(books, 5)
    asked = Asked()
    asked.faults = {hashes[0]: NodeUnavailable("it hangs"), hashes[2]: TypeError("a bug")}
    recover = recovering(books, StartedRuns(), cast("SettleInvoice", asked))
    assert await recover.open_invoices() == 5
    assert asked.asked == hashes
    asked.asked.clear()
    assert await recover.open_invoices() == 3
    assert asked.asked == [hashes[1], hashes[3], hashes[4]]


async def test_a_silent_node_ends_the_sweep_and_holds_nothing_back(books: Books) -> None:
    """After three in a row nobody else is asked about; back again, all are."""
    hashes = await open_invoices(books, 6)
    asked = Asked()
    asked.faults = {one: NodeUnavailable("away") for one in hashes}
    recover = recovering(books, StartedRuns(), cast("SettleInvoice", asked))
    with pytest.raises(NodeUnavailable):
        await recover.open_invoices()
    assert asked.asked == hashes[:3]
    asked.faults.clear()
    assert await recover.open_invoices() == 6


async def test_a_single_invoice_and_a_silent_node_are_no_end_of_a_sweep(books: Books) -> None:
    """Nothing was answered at all: the node is away, and that is said."""
    hashes = await open_invoices(books, 1)
    asked = Asked()
    asked.faults = {hashes[0]: NodeUnavailable("away")}
    recover = recovering(books, StartedRuns(), cast("SettleInvoice", asked))
    with pytest.raises(NodeUnavailable):
        await recover.open_invoices()
