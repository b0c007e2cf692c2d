"""What each state of an escrow means, said a second time, and what must hold between its facts."""

from __future__ import annotations

import pytest

from cobot_meter.adapters.storage import tables
from cobot_meter.domain.escrow.states import STATES, EscrowState, Stage, Timer, states_with
from cobot_meter.domain.escrow.tables import TRANSITIONS
from cobot_meter.domain.run.states import RUN_STATES, RunState, RunTimer

S = EscrowState
# state: stage | invoice | occupies | payable | was paid | timer
DRAWN = """
running   | running |   | x |   |   | none
priced    | running | x | x |   |   | none
invoiced  | unpaid  | x | x | x |   | expiry
settled   | paid    |   | x |   | x | keep
released  | paid    |   |   |   | x | keep
failed    | failed  |   |   |   |   | none
expired   | over    | x |   | x |   | keep
refunded  | over    |   |   |   | x | none
"""
# state: in flight | may charge | timer
RUNS_DRAWN = """
idle      |   |   | none
opened    | x | x | abandon
requested | x | x | none
generated | x |   | none
costed    |   |   | none
failed    |   |   | give_up
"""


def test_the_table_is_what_is_drawn_here() -> None:
    """Every fact of every state, written by hand a second time."""
    drawn = {}
    for line in DRAWN.strip().splitlines():
        state, stage, *marks, timer = (cell.strip() for cell in line.split("|"))
        drawn[S(state)] = (Stage(stage), *(mark == "x" for mark in marks), Timer(timer))
    assert drawn == {
        state: (
            facts.stage,
            facts.may_have_invoice,
            facts.occupies_ask,
            facts.payable,
            facts.had_payment,
            facts.timer,
        )
        for state, facts in STATES.items()
    }
    assert set(STATES) == set(EscrowState)


def test_the_table_of_runs_is_what_is_drawn_here() -> None:
    """Every fact of every state, written by hand a second time."""
    drawn = {}
    for line in RUNS_DRAWN.strip().splitlines():
        state, *marks, timer = (cell.strip() for cell in line.split("|"))
        drawn[RunState(state)] = (*(mark == "x" for mark in marks), RunTimer(timer))
    assert drawn == {
        state: (facts.in_flight, facts.may_charge, facts.timer)
        for state, facts in RUN_STATES.items()
    }
    assert set(RUN_STATES) == set(RunState)


@pytest.mark.parametrize("state", EscrowState)
def test_the_facts_of_a_state_agree(state: EscrowState) -> None:
    """Who waits finds it, and what was paid is not payable."""
    facts = STATES[state]
    assert facts.occupies_ask >= facts.awaited
    assert not (facts.payable and facts.had_payment)
    assert facts.may_have_invoice >= facts.payable
    assert bool(facts.reserved) == (facts.awaited or facts.stage is Stage.FAILED)


@pytest.mark.parametrize("state", RunState)
def test_the_facts_of_a_run_agree(state: RunState) -> None:
    """What may still charge is in flight."""
    assert RUN_STATES[state].in_flight >= RUN_STATES[state].may_charge


def test_a_stage_is_never_left_backwards() -> None:
    """No event leads to an earlier stage, but for credit that buys an expired one after all."""
    order = [Stage.RUNNING, Stage.UNPAID, Stage.PAID, Stage.FAILED, Stage.OVER]
    back = {
        (before.value, after.value)
        for (before, _), after in TRANSITIONS.items()
        if order.index(STATES[after].stage) < order.index(STATES[before].stage)
    }
    assert back == {("expired", "settled")}


def test_conditions_of_indexes_come_from_the_table() -> None:
    """Word for word as the migrations have them, since indexes are found by their words."""
    assert tables.IN_FLIGHT == "run_state IN ('generated', 'opened', 'requested')"
    assert tables.UNFINISHED == "state IN ('priced', 'running')"
    assert tables.INVOICED == "state = 'invoiced'"
    assert states_with(lambda facts: facts.payable) == {S.INVOICED, S.EXPIRED}
