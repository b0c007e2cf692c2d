"""A13: what the upstream took and no generation explains, found by comparing sums."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from cobot_meter.domain.errors import BooksBusy, RequestInvalid
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.flows.operate.compare_costs import CompareCosts
from tests.fakes.upstream_outcomes import FAKE, NEVER, Completes, Failed, Unknown
from tests.flows.audit.audit_rig import ToldNode, audited
from tests.flows.rigs.process import EXPOSURE, Process
from tests.flows.rigs.stories import COST, Stage, ask, ask_another, upstream
from tests.flows.sale.test_crash_points import staged

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
    assert stage.books.rows.ledger.open_reservations() == {}


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
    assert await stage.process.compare_costs.compare() is None
    assert unattributed(stage) == 0
    stage.lasting.upstream.spent_pusd += 1
    assert await stage.process.compare_costs.compare() is None
    assert await stage.process.compare_costs.compare() == pusd_from_text(COST) + 1


async def test_what_happens_in_between_puts_the_comparison_off(stage: Stage) -> None:
    """A commit between the readings may have moved the sums."""
    await unknown(stage, COST)
    assert await stage.process.compare_costs.compare() is None
    await upstream(Completes(cost=COST))(stage)
    await ask_another(stage)
    assert await stage.process.compare_costs.compare() is None
    assert await stage.process.compare_costs.compare() == pusd_from_text(COST)


async def test_nothing_is_compared_while_a_cost_is_awaited(stage: Stage) -> None:
    """What a look-up may still explain is not called unexplained."""
    await upstream(Failed(cost=COST, lookups_before_record=NEVER))(stage)
    await ask(stage)
    assert stage.escrow.progress is Progress.FAILED
    assert stage.escrow.run.lookup_at_ms is not None
    assert await stage.process.compare() is None
    assert unattributed(stage) == 0


async def test_what_an_answer_told_too_much_comes_back(stage: Stage) -> None:
    """The upstream took less than an unconfirmed answer said: the difference comes back."""
    outcome = Completes(cost=CHEAP, inline_cost=COST, lookups_before_record=NEVER)
    await upstream(outcome)(stage)
    await ask(stage)
    for _ in range(3):
        stage.lasting.clock.advance(25 * 3_600)
        await stage.process.tick()
    assert await stage.process.compare() == pusd_from_text(CHEAP) - pusd_from_text(COST)
    booked = stage.books.rows.ledger.of(chart.upstream_credits(FAKE)).net
    assert -booked == stage.lasting.upstream.spent_pusd


async def test_what_the_key_had_spent_before_is_nobodys(tmp_path: Path) -> None:
    """The first reading is the zero of all later ones, and is taken once."""
    async with staged(tmp_path / "node") as stage:
        baseline = (await stage.books.quiet(FAKE)).baseline_pusd
        stage.lasting.upstream.spent_pusd += 77
        await stage.process.compare_costs.baseline()
        assert (await stage.books.quiet(FAKE)).baseline_pusd == baseline == 0
        assert await stage.process.compare() == 77


async def sold_at(stage: Stage, cost: str) -> None:
    """One run whose record confirms this cost, and a comparison that finds nothing."""
    await upstream(Completes(cost=cost))(stage)
    await ask(stage)
    assert await stage.process.compare() == 0


async def test_usage_that_falls_books_nothing_and_rings(stage: Stage) -> None:
    """K3.1: the counter begins anew: no cost is reversed, no reservation given back."""
    await sold_at(stage, COST)
    await upstream(Unknown(cost="0", announced=False))(stage)
    await ask_another(stage)
    held = stage.books.rows.ledger.open_reservations()
    stage.lasting.upstream.spent_pusd = 0
    for _ in range(3):
        assert await stage.process.compare() is None
    assert unattributed(stage) == 0
    assert stage.books.rows.ledger.open_reservations() == held
    alarm = stage.process.compare_costs.alarm
    assert alarm is not None
    assert alarm.code == "upstream_usage_fell"
    assert "rebase" in alarm.message


async def test_a_fall_is_remembered_over_a_restart_and_past_the_old_figure(stage: Stage) -> None:
    """Only the operator's word ends it, though the counter climbs above what it was."""
    await sold_at(stage, COST)
    stage.lasting.upstream.spent_pusd = 0
    await stage.process.compare()
    stage.lasting.upstream.spent_pusd = 10 * pusd_from_text(COST)
    await stage.process.kill()
    stage.process = Process(stage.lasting)
    await stage.process.start()
    assert stage.process.compare_costs.alarm is not None
    assert await stage.process.compare() is None
    assert unattributed(stage) == 0


async def test_a_single_lower_reading_is_not_a_fall(stage: Stage) -> None:
    """The upstream's figure flickers: nothing is booked from it, and nothing waits for a word."""
    await sold_at(stage, COST)
    stage.lasting.upstream.spent_pusd -= 1
    assert await stage.process.compare_costs.compare() is None
    stage.lasting.upstream.spent_pusd += 1
    assert await stage.process.compare() == 0
    assert stage.process.compare_costs.alarm is None


async def test_another_key_is_noticed_at_the_start(stage: Stage) -> None:
    """K3.1: a key with a larger usage of its own books nothing either, until it is said."""
    await sold_at(stage, COST)
    await stage.process.kill()
    stage.lasting.upstream_key = "key two"
    stage.lasting.upstream.spent_pusd = 5 * pusd_from_text(COST)
    stage.process = Process(stage.lasting)
    await stage.process.start()
    alarm = stage.process.compare_costs.alarm
    assert alarm is not None
    assert alarm.code == "upstream_key_changed"
    assert "key two" in alarm.message
    assert await stage.process.compare() is None
    assert unattributed(stage) == 0


@pytest.mark.parametrize("usage", [0, 5_000_000])
async def test_the_operators_word_is_a_new_baseline(stage: Stage, usage: int) -> None:
    """From the rebase on costs are compared again, to the last pico-USD; the word names the key."""
    await sold_at(stage, COST)
    stage.lasting.upstream.spent_pusd = usage
    await stage.process.compare()
    await stage.process.rebase_usage.rebase("a new key since Monday")
    facts = stage.books.rows.journal["upstream/usage_rebased/0"].facts
    assert facts["reason"] == "a new key since Monday"
    assert facts["upstream_key"] == stage.lasting.upstream_key
    assert await stage.process.compare() == 0
    stage.lasting.upstream.spent_pusd += 3
    assert await stage.process.compare() == 3
    assert unattributed(stage) == 3
    assert stage.process.compare_costs.alarm is None
    findings = (await audited(stage.books, cast("ToldNode", stage.node))).findings
    assert findings == ()


async def test_a_word_without_a_reason_or_in_the_middle_of_a_run_is_refused(stage: Stage) -> None:
    """The reason stays in the journal; what a run costs must not fall into the new zero."""
    with pytest.raises(RequestInvalid, match="reason"):
        await stage.process.rebase_usage.rebase("  ")
    await upstream(Failed(cost=COST, lookups_before_record=NEVER))(stage)
    await ask(stage)
    with pytest.raises(BooksBusy, match="say it again"):
        await stage.process.rebase_usage.rebase("too early")
    assert "upstream/usage_rebased/0" not in stage.books.rows.journal


async def test_no_more_comes_back_than_was_not_confirmed(stage: Stage) -> None:
    """A figure below what records have confirmed, seen before any other, is not believed."""
    await upstream(Completes(cost=COST))(stage)
    await ask(stage)
    stage.lasting.upstream.spent_pusd -= 1
    assert await stage.process.compare() == 0
    assert unattributed(stage) == 0
    alarm = stage.process.compare_costs.alarm
    assert alarm is not None
    assert alarm.code == "upstream_usage_short"


async def test_what_a_late_record_explains_comes_back(stage: Stage) -> None:
    """Unattributed first, and then found in a record: booked once in the end."""
    stage.lasting.upstream.spent_pusd += 5
    assert await stage.process.compare() == 5
    stage.lasting.upstream.spent_pusd -= 5
    await upstream(Completes(cost="0.000000000005"))(stage)
    await ask(stage)
    assert await stage.process.compare() == -5
    assert unattributed(stage) == 0
    assert stage.process.compare_costs.alarm is None


async def test_two_replicas_at_a_hand_over_book_a_drop_once(stage: Stage) -> None:
    """K4.16: both have seen it twice; whoever concludes first takes the number."""
    await unknown(stage, COST)
    other = Process(stage.lasting)
    for process in (stage.process, other):
        assert await process.compare_costs.compare() is None
    booked = [await process.compare_costs.compare() for process in (stage.process, other)]
    assert booked[0] == pusd_from_text(COST)
    assert booked[1] in {None, 0}
    both = await asyncio.gather(stage.process.compare(), other.compare())
    assert set(both) <= {None, 0}
    assert unattributed(stage) == pusd_from_text(COST)


async def test_replicas_that_conclude_at_the_same_moment_book_a_drop_once(stage: Stage) -> None:
    """K4.16: the number is taken before anything is shared out."""
    await unknown(stage, OVERRUN, CHEAP)
    processes = [stage.process, *(Process(stage.lasting) for _ in range(3))]
    await asyncio.gather(*(process.compare_costs.compare() for process in processes))
    await asyncio.gather(*(process.compare_costs.compare() for process in processes))
    assert unattributed(stage) == pusd_from_text(OVERRUN) + pusd_from_text(CHEAP)


async def test_more_waiting_than_a_page_leaves_nothing_unattributed_too_early(
    stage: Stage,
) -> None:
    """K4.16: the next page may explain what the first one does not."""
    await unknown(stage, CHEAP, CHEAP)
    costs = CompareCosts(
        ledger=stage.process.ledger,
        upstream=stage.lasting.upstream,
        key=stage.lasting.upstream_key,
        page=1,
    )
    stage.lasting.upstream.spent_pusd = 10 * pusd_from_text(OVERRUN)
    first, second = stage.books.rows.escrows.values()
    for waiting in (2, 1, 0):
        assert len(await stage.books.unexplained(FAKE, limit=9)) == waiting
        await costs.compare()
        await costs.compare()
    for row in (first, second):
        key = f"{row.escrow_id}/cost_attributed"
        assert stage.books.rows.journal[key].facts["cost_pusd"] == row.quote.ceiling_pusd
    assert unattributed(stage) == stage.lasting.upstream.spent_pusd


async def test_books_at_rest_grow_by_no_comparison(stage: Stage) -> None:
    """What concludes nothing new is not an entry, however often it is looked at."""
    await sold_at(stage, COST)
    entries = len(stage.books.rows.journal)
    for _ in range(5):
        assert await stage.process.compare() == 0
    assert len(stage.books.rows.journal) == entries
