"""What books promise of a sale with several runs, whoever keeps them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.callers import CallerStanding, ExposureTerms
from cobot_meter.domain.errors import ExposureExceeded, MovedOn
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Cost, CostStanding, Run
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.transitions.escrows import (
    escrow_transition,
    next_run_transition,
    open_escrow,
)
from cobot_meter.ports.books import Books, DueTimer
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.contracts.books.books_samples import (
    CEILING_PUSD,
    COST_PUSD,
    RETENTION,
    START_MS,
    TERMS,
    Sale,
    opened,
)
from tests.domain.samples import UPSTREAM, Shape, fell_back, received
from tests.domain.samples import opened as opened_panel

MEMBERS = (4_000, 2_000, 4_000)

NAMED = ran.GenerationStarted(generation_id="gen-first")
CONFIRMED = ran.CostConfirmed(
    cost=Cost(cost_pusd=COST_PUSD, text="0.007", standing=CostStanding.CONFIRMED)
)


async def fallen(books: Books, escrow_id: str = "esc_1", *, named: bool = True) -> Sale:
    """A sale whose first run ended as nobody knows how, and whose second one is asked."""
    sale = Sale(books, opened(escrow_id))
    await sale.open()
    await sale.record(ran.UpstreamRequested(requested_by="r_one"))
    if named:
        await sale.record(NAMED)
    await sale.record(fell_back(sale.escrow))
    return sale


def under(escrow: Escrow, terms: ExposureTerms) -> ExposureTerms:
    """The same terms with room on its day for one run and not for two."""
    most = 2 * escrow.quote.opening_pusd - 1
    return replace(terms, address_day_pusd=most, newcomers_day_pusd=most)


async def seen(books: Books, run_id: str) -> Escrow:
    """The sale looked at from this run."""
    found = await books.escrow_of_run(run_id)
    assert found is not None
    return found


async def told(books: Books, view: Escrow, event: on.EscrowEvent) -> Escrow:
    """The event of a run, told from where the sale is looked at."""
    transition = escrow_transition(view, event, at_ms=START_MS + 60_000, retention=RETENTION)
    applied = await books.apply(transition)
    assert applied.escrow is not None
    return applied.escrow


class BooksRuns:
    """The promises of books about several runs of one sale, one a test."""

    async def test_a_sale_is_found_with_the_run_that_it_lives_by(self, books: Books) -> None:
        """By its id, and from each of its runs; all of them are found in their order."""
        sale = await fallen(books)
        found = await books.escrow("esc_1")
        assert found == sale.escrow
        assert found is not None
        assert (found.run_id, found.run.run_id, found.others) == ("esc_1.2", "esc_1.2", ())
        first, second = await books.runs_of("esc_1")
        assert (first, second) == sale.escrow.runs
        assert (await seen(books, "esc_1")).run == first
        assert await seen(books, "esc_1.2") == found
        assert (await seen(books, "esc_1")).looks_back
        assert await books.escrow_of_run("esc_1.3") is None
        assert await books.runs_of("esc_2") == ()

    async def test_ids_that_look_alike_are_not_runs_of_each_other(self, books: Books) -> None:
        """Of ten runs the tenth is the last; whatever begins with the same letters is another's."""
        sale = await fallen(books, named=False)
        for _ in range(8):
            await sale.record(fell_back(sale.escrow))
        await fallen(books, "esc_10")
        numbers = [run.number for run in await books.runs_of("esc_1")]
        assert numbers == list(range(1, 11))
        assert len(await books.runs_of("esc_10")) == 2

    async def test_a_fallback_told_again_is_the_same_one(self, books: Books) -> None:
        """The answer is the sale as it stands, and no row is written twice."""
        sale = await fallen(books)
        again = await books.apply(sale.transitions[-1])
        assert again.repeated
        assert again.escrow == await books.escrow("esc_1")
        assert len(await books.runs_of("esc_1")) == 2

    async def test_two_fallbacks_from_one_run_are_one(self, books: Books) -> None:
        """Whoever comes second finds that the sale has moved on, and nothing of it is written."""
        sale = Sale(books, opened("esc_1"))
        await sale.open()
        await sale.record(ran.UpstreamRequested(requested_by="r_one"))
        before = sale.escrow
        await sale.record(fell_back(before))
        failed = ran.RunOutcomeUnknown(failure=fell_back(before).failure)
        late = escrow_transition(before, failed, at_ms=START_MS, retention=RETENTION)
        with pytest.raises(MovedOn):
            await books.apply(late)
        assert await books.escrow("esc_1") == sale.escrow

    async def test_a_run_without_room_on_the_day_is_refused_whole(self, books: Books) -> None:
        """While the first one's reservation stands; then the failure is told alone."""
        sale = Sale(books, opened("esc_1"))
        await sale.open()
        await sale.record(ran.UpstreamRequested(requested_by="r_one"))
        event = fell_back(sale.escrow)
        refused = next_run_transition(
            sale.escrow,
            event,
            at_ms=START_MS,
            retention=RETENTION,
            terms=under(sale.escrow, TERMS),
        )
        with pytest.raises(ExposureExceeded) as exceeded:
            await books.apply(refused)
        assert exceeded.value.guard in {"address", "budget"}
        assert await books.escrow("esc_1") == sale.escrow
        assert len(await books.runs_of("esc_1")) == 1
        await sale.record(event.ended)
        assert sale.escrow.run.state is RunState.FAILED

    async def test_a_late_fact_of_an_earlier_run_moves_that_run_alone(self, books: Books) -> None:
        """Told twice it is one; the answer is looked at from where it was told."""
        await fallen(books)
        view = await seen(books, "esc_1")
        sale = await books.escrow("esc_1")
        after = await told(books, view, CONFIRMED)
        assert after.looks_back
        assert await books.escrow("esc_1") == sale
        again = await told(books, view, CONFIRMED)
        assert again == after == await seen(books, "esc_1")
        assert again.run.cost == CONFIRMED.cost
        assert [run.version for run in await books.runs_of("esc_1")] == [5, 1]

    async def test_a_stale_fact_of_an_earlier_run_is_refused(self, books: Books) -> None:
        """Its row has a version of its own."""
        await fallen(books)
        view = await seen(books, "esc_1")
        await told(books, view, ran.CostLookupMissed(lookup_at_ms=START_MS + 99_000))
        with pytest.raises(MovedOn):
            await told(books, view, CONFIRMED)

    async def test_an_earlier_run_is_due_by_itself(self, books: Books) -> None:
        """Named beside its escrow; the run that the sale lives by is due as the sale is."""
        sale = await fallen(books)
        at_ms = sale.at_ms
        timers = await books.due(at_ms, limit=10)
        assert timers == (DueTimer(at_ms=at_ms, escrow_id="esc_1", run_id="esc_1"),)
        await sale.record(ran.RunOutcomeUnknown(failure=fell_back(sale.escrow).failure))
        gives_up_ms = START_MS + 2 * 86_400_000
        due = {(one.escrow_id, one.run_id) for one in await books.due(gives_up_ms, limit=10)}
        assert due == {("esc_1", "esc_1"), ("esc_1", "")}
        assert await books.due(gives_up_ms, limit=10, after=timers[0]) != timers

    async def test_an_earlier_run_waits_to_be_explained(self, books: Books) -> None:
        """In the order in which the runs opened, each with its sale; its share is its own."""
        await fallen(books, "esc_1", named=False)
        other = await fallen(books, "esc_2", named=False)
        await other.record(ran.RunOutcomeUnknown(failure=fell_back(other.escrow).failure))
        waiting = await books.unexplained(UPSTREAM, limit=10)
        assert [one.run.run_id for one in waiting] == ["esc_1", "esc_2", "esc_2.2"]
        assert [one.escrow_id for one in waiting] == ["esc_1", "esc_2", "esc_2"]
        assert await books.unexplained(UPSTREAM, limit=1) == waiting[:1]
        await told(books, waiting[0], ran.CostAttributed(cost_pusd=5))
        assert (await seen(books, "esc_1")).run.budget_held_pusd == 0
        left = await books.unexplained(UPSTREAM, limit=10)
        assert [one.run.run_id for one in left] == ["esc_2", "esc_2.2"]

    async def test_costs_are_not_compared_while_any_run_is_awaited(self, books: Books) -> None:
        """An earlier one too; what it cost is in the sum of its upstream."""
        sale = await fallen(books)
        await sale.record(ran.RunFailed(failure=fell_back(sale.escrow).failure, charged=False))
        quiet = await books.quiet(UPSTREAM)
        assert (quiet.in_flight, quiet.awaited) == (False, True)
        await told(books, await seen(books, "esc_1"), CONFIRMED)
        quiet = await books.quiet(UPSTREAM)
        assert (quiet.awaited, quiet.booked_pusd) == (False, COST_PUSD)

    async def test_quarantine_parks_every_run(self, books: Books) -> None:
        """No timer of any of them is found, and let go on all are there again."""
        sale = await fallen(books)
        parked = on.QuarantineBegun(event="cost_confirmed", reason="out of range")
        await sale.record(parked)
        assert [run.parked for run in await books.runs_of("esc_1")] == [True, True]
        assert await books.due(START_MS + 10**10, limit=10) == ()
        assert await books.unexplained(UPSTREAM, limit=10) == ()
        await sale.record(on.QuarantineLifted())
        assert [run.parked for run in await books.runs_of("esc_1")] == [False, False]
        assert await books.due(START_MS + 10**10, limit=10) != ()

    async def test_reports_have_every_run(self, books: Books, reports: LedgerReports) -> None:
        """Newest first, each escrow once, and each run's row with what its index stands on."""
        await fallen(books, "esc_1")
        await fallen(books, "esc_2")
        runs: list[Run] = [run async for run in reports.runs()]
        assert [run.run_id for run in runs] == ["esc_2.2", "esc_2", "esc_1.2", "esc_1"]
        assert [one.run_id async for one in reports.escrows()] == ["esc_2.2", "esc_1.2"]
        marks = {mark.subject_id: mark async for mark in reports.run_marks()}
        opened_at = [marks[run.run_id].opened_sequence for run in reversed(runs)]
        assert opened_at == [1, 4, 5, 8]
        assert marks["esc_1"].due_at_ms == runs[-1].lookup_at_ms
        assert marks["esc_1.2"].due_at_ms is None

    async def test_each_run_holds_its_own_place_on_the_day(self, books: Books) -> None:
        """Both count, until the one is known and the other paid for."""
        sale = await fallen(books)
        assert [run.budget_held_pusd for run in await books.runs_of("esc_1")] == [
            CEILING_PUSD,
            CEILING_PUSD,
        ]
        await sale.record(ran.RunFailed(failure=fell_back(sale.escrow).failure, charged=False))
        assert (await seen(books, "esc_1.2")).run.budget_held_pusd == 0
        assert (await seen(books, "esc_1")).run.budget_held_pusd == CEILING_PUSD

    async def test_a_panel_opens_with_all_its_runs_or_with_none(self, books: Books) -> None:
        """Each reserves its own of one day, under one guard that counts them all."""
        row = opened_panel(Shape(panel=MEMBERS, escrow_id="esc_panel"))
        standing = CallerStanding(caller_id=row.caller_id, cap_override_msat=10**9)
        tight = replace(TERMS, address_day_pusd=sum(MEMBERS) - 1)
        with pytest.raises(ExposureExceeded) as refused:
            await books.apply(open_escrow(row, standing=standing, terms=tight, bodies=None))
        assert refused.value.guard == "address"
        assert await books.runs_of("esc_panel") == ()
        opening = open_escrow(row, standing=standing, terms=TERMS, bodies=None)
        assert not (await books.apply(opening)).repeated
        assert (await books.apply(opening)).repeated
        assert await books.runs_of("esc_panel") == row.runs
        found = await books.escrow("esc_panel")
        assert found == row
        first = await seen(books, "esc_panel")
        moved = await told(books, first, received())
        assert moved.run.state is RunState.GENERATED
        assert await books.escrow("esc_panel") == row
