"""A13: what the upstream took and no generation explains, found by comparing sums."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.domain import accounts as chart
from service.domain.escrow_record import EscrowState
from service.domain.money import pusd_from_text
from tests.fakes.upstream_outcomes import NEVER, Completes, Failed, Unknown
from tests.flows.process import EXPOSURE
from tests.flows.stories import COST, Stage, ask, ask_another, upstream
from tests.flows.test_crash_points import staged

OVERRUN, CHEAP = "0.0003000", "0.0000100"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A started process over empty books."""
    async with staged(tmp_path / "node") as ready:
        yield ready


def unattributed(stage: Stage) -> int:
    """What stands on the account of unexplained spend."""
    return stage.books.rows.ledger.of(chart.COST_UNATTRIBUTED).net


def budgets(stage: Stage) -> int:
    """What all days' budgets count, reservations included."""
    counters = stage.books.rows.ledger.counters
    return sum(at.claimed for code, at in counters.items() if code.startswith("exposure/unpaid/"))


async def unknown(stage: Stage, *costs: str) -> None:
    """Runs whose answers were lost before they named a generation."""
    for cost, asked in zip(costs, (ask, ask_another), strict=False):
        await upstream(Unknown(cost=cost, announced=False))(stage)
        await asked(stage)


async def test_a_drop_is_shared_in_opening_order_up_to_each_ceiling(stage: Stage) -> None:
    """The first takes its whole ceiling, the second what is left of the drop."""
    await unknown(stage, OVERRUN, CHEAP)
    first, second = stage.books.rows.escrows.values()
    drop = pusd_from_text(OVERRUN) + pusd_from_text(CHEAP)
    assert await stage.process.compare() == drop
    shares = [
        entry.transfers[0].amount
        for entry in stage.books.rows.journal.values()
        if entry.kind == "cost_attributed"
    ]
    ceiling = first.quote.ceiling_pusd
    assert shares == [ceiling, min(drop - ceiling, second.quote.ceiling_pusd)]
    assert unattributed(stage) == drop
    assert budgets(stage) == sum(shares)
    assert stage.books.rows.ledger.open_holds() == {}


async def test_no_drop_gives_every_reservation_back(stage: Stage) -> None:
    """Nothing was taken: nothing is booked, and the budget keeps only what every ask counts."""
    await upstream(Unknown(cost="0", announced=False))(stage)
    await ask(stage)
    assert budgets(stage) > 0
    assert await stage.process.compare() == 0
    assert (unattributed(stage), budgets(stage)) == (0, EXPOSURE.ask_least_pusd)


async def test_one_reading_is_not_believed(stage: Stage) -> None:
    """The figure may lag: only a second, equal reading is booked."""
    await unknown(stage, COST)
    assert await stage.process.costs.compare() is None
    assert unattributed(stage) == 0
    stage.lasting.upstream.spent_pusd += 1
    assert await stage.process.costs.compare() is None
    assert await stage.process.costs.compare() == pusd_from_text(COST) + 1


async def test_what_happens_in_between_puts_the_comparison_off(stage: Stage) -> None:
    """A commit between the readings may have moved the sums."""
    await unknown(stage, COST)
    assert await stage.process.costs.compare() is None
    await upstream(Completes(cost=COST))(stage)
    await ask_another(stage)
    assert await stage.process.costs.compare() is None
    assert await stage.process.costs.compare() == pusd_from_text(COST)


async def test_nothing_is_compared_while_a_cost_is_awaited(stage: Stage) -> None:
    """What a look-up may still explain is not called unexplained."""
    await upstream(Failed(cost=COST, lookups_before_record=NEVER))(stage)
    await ask(stage)
    assert stage.escrow.state is EscrowState.FAILED
    assert stage.escrow.lookup_at_ms is not None
    assert await stage.process.compare() is None
    assert unattributed(stage) == 0


async def test_too_much_booked_is_reversed(stage: Stage) -> None:
    """The upstream took less than an unconfirmed answer said: the difference comes back."""
    outcome = Completes(cost=CHEAP, inline_cost=COST, lookups_before_record=NEVER)
    await upstream(outcome)(stage)
    await ask(stage)
    for _ in range(3):
        stage.lasting.clock.advance(25 * 3_600)
        await stage.process.tick()
    assert await stage.process.compare() == pusd_from_text(CHEAP) - pusd_from_text(COST)
    booked = stage.books.rows.ledger.of(chart.UPSTREAM_CREDITS).net
    assert -booked == stage.lasting.upstream.spent_pusd


async def test_what_the_key_had_spent_before_is_nobodys(tmp_path: Path) -> None:
    """The first reading is the zero of all later ones, and is taken once."""
    async with staged(tmp_path / "node") as stage:
        baseline = (await stage.books.quiet()).baseline_pusd
        stage.lasting.upstream.spent_pusd += 77
        await stage.process.costs.baseline()
        assert (await stage.books.quiet()).baseline_pusd == baseline == 0
        assert await stage.process.compare() == 77
