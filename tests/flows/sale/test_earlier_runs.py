"""What comes of a run after its sale has gone on with another, or could not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.domain.errors import (
    CobotMeterError,
    Quarantined,
)
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.money import AMOUNT_MAX, pusd_from_text
from cobot_meter.domain.run.events import CostConfirmed
from cobot_meter.domain.run.record import Cost, CostStanding
from cobot_meter.domain.transitions.operator import caller_transition
from cobot_meter.domain.transitions.transition import CallerChange
from tests.fakes.upstream_outcomes import Refused, Unknown
from tests.flows.rigs.chains import (
    FIRST,
    GOOD,
    LOCAL,
    SECOND,
    THIRD,
    WASTED,
    chained,
    come_to,
    escrows,
)
from tests.flows.rigs.stories import CALLER, Stage, end, hear, pay
from tests.flows.sale.test_crash_points import prove_sound, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A service whose upstream has four models."""
    async with staged(tmp_path / "node") as begun:
        begun.lasting.upstream.offered = (FIRST, SECOND, THIRD, LOCAL)
        begun.lasting.upstream.usually = GOOD
        await begun.process.catalogue.refresh()
        yield begun


async def test_a_late_record_of_an_earlier_run_finds_it(stage: Stage) -> None:
    """Its look-ups go on by themselves, whatever has become of the sale: its cost is ours alone."""
    come_to(stage, first=Unknown(cost=WASTED))
    answer = await stage.process.ask_completion.answer(chained(SECOND))
    (escrow,) = escrows(stage)
    first = escrow.runs[0]
    assert (first.cost, first.lookup_at_ms) == (None, first.changed_at_ms)
    sale = answer.escrow
    assert await stage.process.recover.due(stage.lasting.clock.now_ms()) == 1
    await stage.process.runs.finish()
    (escrow,) = escrows(stage)
    first = escrow.runs[0]
    assert first.cost_pusd == pusd_from_text(WASTED)
    assert (first.lookup_at_ms, first.budget_held_pusd) == (None, 0)
    assert escrow == sale, "the sale and the run that it lives by are as they were"
    assert await stage.process.recover.due(stage.lasting.clock.now_ms()) == 0
    await end(stage)
    await prove_sound(stage)


async def test_an_earlier_run_that_nothing_explains_is_given_up(stage: Stage) -> None:
    """A day later the day keeps its ceiling as spent, while the sale was paid for long ago."""
    come_to(stage, first=Unknown(announced=False))
    answer = await stage.process.ask_completion.answer(chained(SECOND))
    await pay()(stage)
    await hear(stage)
    held = escrows(stage)[0].runs[0].budget_held_pusd
    assert held == answer.escrow.quote.ceiling_pusd
    await end(stage)
    assert escrows(stage)[0].runs[0].budget_held_pusd == 0
    await prove_sound(stage)


@pytest.mark.parametrize("stops", ["blocked", "node", "room"])
async def test_where_no_other_run_may_begin_the_failure_is_the_answer(
    stage: Stage, stops: str
) -> None:
    """A blocked caller, a shut gate, no room on the day: one run, failed as it would alone."""
    come_to(stage, first=Refused(status=404))
    upstream = stage.lasting.upstream
    upstream.open.clear()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(refused(stage))
        await upstream.reached.wait()
        if stops == "blocked":
            change = CallerChange(blocked=True, cap_msat=None)
            now_ms = stage.lasting.clock.now_ms()
            word = caller_transition(CALLER, change, sequence=0, at_ms=now_ms)
            await stage.process.record_event.apply(word)
        elif stops == "node":
            stage.process.node_gate.close()
        else:
            driver = stage.process.runs.driver
            assert driver is not None
            tight = replace(stage.process.exposure, address_day_pusd=1, proven_day_pusd=1)
            driver._ask_models._fall_back._exposure = replace(tight, newcomers_day_pusd=1)
        upstream.open.set()
        assert await asking == "upstream_refused"
    (escrow,) = escrows(stage)
    assert (escrow.progress, escrow.runs_made) == (Progress.FAILED, 1)
    assert upstream.posts == 1
    stage.process.node_gate.open()
    await end(stage)
    await prove_sound(stage)


async def refused(stage: Stage) -> str:
    """The code of what the ask failed with."""
    with pytest.raises(CobotMeterError) as fault:
        await stage.process.ask_completion.answer(chained(SECOND))
    return fault.value.code


async def unbookable(stage: Stage) -> Escrow:
    """A sale whose first run is said to have cost more than any books hold, once it is known."""
    come_to(stage, first=Unknown(cost=WASTED))
    await stage.process.ask_completion.answer(chained(SECOND))
    (escrow,) = escrows(stage)
    view = await stage.books.escrow_of_run(escrow.escrow_id)
    assert view is not None
    cost = Cost(cost_pusd=AMOUNT_MAX + 1, text="9", standing=CostStanding.CONFIRMED)
    with pytest.raises(Quarantined):
        await stage.process.record_event.record(view, CostConfirmed(cost=cost))
    (escrow,) = escrows(stage)
    assert escrow.quarantine is not None
    assert [run.parked for run in escrow.runs] == [True, True]
    return escrow


async def test_what_cannot_be_booked_of_an_earlier_run_parks_the_sale_with_all_runs(
    stage: Stage,
) -> None:
    """No timer of any of them rings meanwhile, and let go on both go on."""
    escrow = await unbookable(stage)
    assert await stage.process.recover.due(stage.lasting.clock.now_ms()) == 0
    retried = await stage.process.quarantine.retry(escrow.escrow_id)
    assert retried.again is None
    (escrow,) = escrows(stage)
    assert [run.parked for run in escrow.runs] == [False, False]
    assert await stage.process.recover.due(stage.lasting.clock.now_ms()) == 1
    await end(stage)
    await prove_sound(stage)


async def test_a_sale_that_is_written_off_leaves_no_run_behind(stage: Stage) -> None:
    """What nobody knows of the earlier one counts as spent; nothing is looked up any more."""
    escrow = await unbookable(stage)
    ceiling_pusd = escrow.quote.ceiling_pusd
    await stage.process.quarantine.write_off(escrow.escrow_id, "looked at")
    (escrow,) = escrows(stage)
    assert escrow.progress is Progress.EXPIRED
    for run in escrow.runs:
        assert (run.parked, run.lookup_at_ms, run.budget_held_pusd) == (False, None, 0)
    day = chart.day_budget(escrow.quote.day, newcomer=escrow.quote.newcomer)
    spent_pusd = stage.books.rows.ledger.of(day).net
    assert spent_pusd == ceiling_pusd + escrow.cost_pusd
    await end(stage)
    await prove_sound(stage)
