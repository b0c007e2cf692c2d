"""Which event may follow which state of a task, and what its rules refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Mode, Progress
from cobot_meter.domain.escrow.tables import TABLES, hears
from cobot_meter.domain.escrow.tasks import RUNS_MAX
from cobot_meter.domain.escrow.timers import due_at_ms
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.machine import RUN_TRANSITIONS
from cobot_meter.domain.run.record import CostAccount, run_id_of
from tests.domain.escrow.stages import EVENTS, RUN_EVENTS
from tests.domain.escrow.task.task_walks import (
    ANSWERED,
    TASK_STAGES,
    asked,
    opened_task,
    running_task,
    settled_task,
    worked_task,
)
from tests.domain.samples import FAILURE, completion_costed, cost_of, task_closed, task_run_begun

S = Progress


def _may(escrow: Escrow, event: type[on.EscrowEvent]) -> bool:
    """Whether the tables of the run and of the task both have it."""
    if event in RUN_EVENTS and (escrow.run.state, event) not in RUN_TRANSITIONS:
        return False
    if event in RUN_EVENTS and not hears(Mode.TASK, escrow.state, event):
        return True
    return (escrow.state, event) in TABLES[Mode.TASK]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("state", list(TASK_STAGES))
def test_every_event_in_every_state_of_a_task(state: Progress, event: type[on.EscrowEvent]) -> None:
    """What the tables have leads there, or has a rule of its own; all else raises."""
    walk = TASK_STAGES[state]()
    if event is on.WrittenOff or event is on.QuarantineLifted:
        walk.tell(EVENTS[on.QuarantineBegun](walk.escrow))
    before = replace(walk.escrow)
    if not _may(walk.escrow, event):
        with pytest.raises(IllegalTransition):
            walk.tell(EVENTS[event](walk.escrow))
        assert walk.escrow == before
        return
    if event is on.LatePurchase:
        return  # what it needs beside its state is in test_task_money
    walk.tell(EVENTS[event](walk.escrow))
    wanted = TABLES[Mode.TASK].get((before.state, event), before.state)
    assert walk.escrow.state is wanted


def test_a_run_does_not_begin_while_another_is_under_way() -> None:
    """They go one after the other."""
    walk = running_task()
    with pytest.raises(IllegalTransition):
        walk.tell(task_run_begun(walk.escrow))


def test_a_task_is_neither_closed_nor_given_up_while_a_run_is_under_way() -> None:
    """What it costs would be nobody's."""
    for ending in (task_closed, lambda _: on.TaskEnded(failure=FAILURE)):
        walk = asked(opened_task(), 3_000).tell(ANSWERED)
        walk.tell(task_run_begun(walk.escrow))
        with pytest.raises(IllegalTransition):
            walk.tell(ending(walk.escrow))


def test_in_quarantine_nothing_begins_and_nothing_is_sold() -> None:
    """It waits for the operator, with all its runs."""
    for event in (task_run_begun, task_closed):
        walk = worked_task()
        walk.tell(EVENTS[on.QuarantineBegun](walk.escrow))
        with pytest.raises(IllegalTransition):
            walk.tell(event(walk.escrow))


def test_a_run_has_to_fit_in_what_is_left() -> None:
    """One more pico-USD than is left is refused, and all that is left is taken."""
    walk = asked(asked(opened_task(), 3_000), 2_500)
    assert walk.escrow.left_pusd == 4_500
    too_much = replace(task_run_begun(walk.escrow), most_pusd=4_501)
    with pytest.raises(IllegalTransition):
        walk.tell(too_much)
    assert walk.tell(replace(too_much, most_pusd=4_500)).escrow.run.in_flight


def test_a_task_has_no_more_runs_than_are_read_at_once() -> None:
    """The last one is refused."""
    walk = asked(opened_task(), 3_000)
    escrow = walk.escrow
    many = replace(escrow, run_id=run_id_of(escrow.escrow_id, RUNS_MAX))
    many = replace(many, run=replace(many.run, run_id=many.run_id))
    walk.escrow = many
    with pytest.raises(IllegalTransition):
        walk.tell(task_run_begun(many))


def test_a_task_is_closed_only_with_an_answer_and_a_fee_that_was_named() -> None:
    """Nothing is sold that is not there, and no fee beyond what was reserved."""
    bare = asked(opened_task(), 3_000)
    with pytest.raises(IllegalTransition):
        bare.tell(task_closed(bare.escrow))
    for fee in (-1, 1_501):
        walk = worked_task()
        with pytest.raises(IllegalTransition):
            walk.tell(task_closed(walk.escrow, fee))
    walk = worked_task()
    with pytest.raises(IllegalTransition):
        walk.tell(replace(task_closed(walk.escrow), price_msat=5_500))


def test_a_failed_run_is_no_end_of_its_task_and_drops_nothing_that_is_sealed() -> None:
    """The task goes on, and the answer that was sealed is there still."""
    for failure in (
        ran.RunFailed(failure=FAILURE, charged=False),
        ran.RunOutcomeUnknown(failure=FAILURE),
    ):
        walk = asked(opened_task(), 3_000).tell(ANSWERED)
        walk.tell(task_run_begun(walk.escrow)).tell(failure)
        assert walk.escrow.state is EscrowState.RUNNING
        assert not walk.last.shred
        assert walk.escrow.priced_pusd == 3_000
        assert walk.escrow.run.cost_account is CostAccount.FAILED


def test_what_a_run_costs_beyond_its_ceiling_is_not_billed() -> None:
    """Nor is a record that says more, later."""
    walk = asked(opened_task(), 4_700, most=4_000)
    assert walk.escrow.priced_pusd == 4_000
    walk.tell(ran.CostConfirmed(cost=cost_of(9_000)))
    assert walk.escrow.priced_pusd == 4_000
    assert walk.escrow.cost_pusd == 9_000


def test_a_cost_that_is_confirmed_changes_what_is_left_whichever_run_it_is_of() -> None:
    """An earlier run's too, while the task is open; the price is never above the ceiling."""
    walk = asked(asked(opened_task(), 1_000, most=4_000), 9_000, most=9_000)
    first = run_id_of(walk.escrow.escrow_id, 2)
    walk.escrow = walk.escrow.seen_from(first)
    walk.tell(ran.CostConfirmed(cost=cost_of(3_500)))
    assert walk.escrow.looks_back
    walk.escrow = walk.escrow.seen_from(walk.escrow.run_id)
    assert walk.escrow.priced_pusd == 12_500
    assert walk.escrow.left_pusd == 0
    assert walk.escrow.price.price_msat == walk.escrow.quote.ceiling_msat


def test_after_it_is_priced_a_confirmation_moves_its_run_alone() -> None:
    """The price stands."""
    walk = settled_task()
    before = walk.escrow
    walk.tell(ran.CostConfirmed(cost=cost_of(2_900)))
    assert walk.escrow.price_msat == before.price_msat
    assert walk.escrow.version == before.version
    assert walk.escrow.cost_pusd == 2_900


def test_an_open_task_is_due_when_its_time_is_over() -> None:
    """Closed, it is its invoice that is waited for."""
    walk = worked_task()
    assert walk.escrow.task is not None
    assert due_at_ms(walk.escrow) == walk.escrow.task.ends_at_ms
    walk.tell(task_closed(walk.escrow))
    assert due_at_ms(walk.escrow) is None


def test_a_run_of_another_mode_is_no_run_of_a_task() -> None:
    """What is captured on credit, or falls back, is not told of a task as such."""
    walk = running_task()
    with pytest.raises(IllegalTransition):
        walk.tell(EVENTS[ran.FellBack](walk.escrow))
    walk.tell(completion_costed(walk.escrow, 3_000))
    assert walk.escrow.state is EscrowState.RUNNING
