"""The service killed before and after every commit of a task: nothing lost, nothing given away.

A run that was under way is lost and never repeated: its cost is found out and is ours, and the task
goes on. Whatever else was interrupted is done again, and ends in the books of an undisturbed one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.run.states import RunState
from tests.fakes.books import Crash, Moment
from tests.fakes.upstream_outcomes import Failed
from tests.flows.rigs.stories import (
    HOUR_S,
    LAPSE_S,
    Stage,
    Step,
    after,
    completes,
    end,
    hear,
    tick,
    upstream,
)
from tests.flows.sale.test_crash_points import commits_of, facts, play, prove_sound, staged
from tests.flows.task.task_steps import (
    FEE_MSAT,
    SELLER,
    claim,
    close,
    give_up,
    open_task,
    pay_task,
    run_until,
    seal,
)

OPEN: tuple[Step, ...] = (completes(), open_task, run_until(1), run_until(2), seal)
STORIES: dict[str, tuple[Step, ...]] = {
    "bought": (*OPEN, close, pay_task, hear, claim),
    "not paid": (*OPEN, close, after(LAPSE_S), tick),
    "paid, not heard of and bought late": (
        *OPEN,
        close,
        pay_task,
        after(LAPSE_S),
        tick,
        claim,
    ),
    "given up": (*OPEN, give_up),
    "left until its time was over": (*OPEN, after(HOUR_S + 1), tick),
    "answers that say no cost": (
        completes(says_cost=False),
        open_task,
        run_until(1),
        seal,
        close,
        pay_task,
        hear,
        claim,
    ),
    "records that come late": (
        completes(lookups_before_record=30),
        open_task,
        run_until(1),
        seal,
        close,
        pay_task,
        hear,
        claim,
    ),
    "a run that failed and was charged": (
        completes(),
        open_task,
        run_until(1),
        upstream(Failed(cost="0.0000300")),
        run_until(2),
        completes(),
        seal,
        close,
        pay_task,
        hear,
        claim,
    ),
}


def lost(stage: Stage) -> bool:
    """Whether a run was under way when the service was killed."""
    runs = stage.escrow.runs if stage.books.rows.escrows else ()
    codes = {run.failure.code for run in runs if run.failure and run.state is RunState.FAILED}
    return "outcome_unknown" in codes


def told(stage: Stage) -> tuple[object, ...]:
    """What must not depend on a crash; the buyer has another name whenever a task is opened."""
    balances, *rest = facts(stage)
    buyer = stage.escrow.caller_id
    return ({code.replace(buyer, "buyer"): net for code, net in balances.items()}, *rest)


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("story", STORIES)
async def test_a_kill_at_any_commit_of_a_task_ends_in_sound_books(
    story: str, moment: Moment, tmp_path: Path
) -> None:
    """Every commit of this story, killed on this side of it."""
    steps = STORIES[story]
    commits = await commits_of(tmp_path / "counted", steps)
    async with staged(tmp_path / "undisturbed") as stage:
        await play(stage, (*steps, end))
        await prove_sound(stage)
        undisturbed, runs = told(stage), stage.escrow.runs_made
        assert not lost(stage)
    kept = 0
    for number in range(commits):
        async with staged(tmp_path / f"{number}") as stage:
            fallen = await play(stage, (*steps, end), Crash(moment=moment, commits=number))
            assert len(fallen) == 1
            await prove_sound(stage)
            if not lost(stage) and stage.escrow.runs_made == runs:
                kept += 1
                assert told(stage) == undisturbed, f"killed {moment} commit {number}"
            elif story == "bought":
                ledger = stage.books.rows.ledger
                assert -ledger.of(chart.available(SELLER)).net == FEE_MSAT
    assert kept > commits // 2


async def test_an_undisturbed_task_makes_two_commits_a_run(tmp_path: Path) -> None:
    """Begun and requested in one, answered with its cost in another; confirmed at the close."""
    async with staged(tmp_path / "node") as stage:
        await play(stage, STORIES["bought"])
        kinds = [entry.kind for entry in stage.books.rows.journal.values()]
        assert kinds[kinds.index("opened") :] == [
            "opened",
            *("task_run_begun", "completion_costed") * 2,
            "task_answered",
            *("cost_confirmed",) * 2,
            "task_closed",
            "invoice_issued",
            "invoice_settled",
            "completion_delivered",
        ]
        assert stage.answer is not None
        assert b'"content": "42"' in stage.answer.body
