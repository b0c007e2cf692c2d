"""What each state of an escrow means, said a second time, and what must hold between its facts."""

from __future__ import annotations

import pytest

from cobot_meter.adapters.storage import tables
from cobot_meter.domain.escrow.machine import TRANSITIONS
from cobot_meter.domain.escrow.states import STATES, EscrowState, Stage, Timer, states_with
from cobot_meter.domain.ledger import accounts as chart

S = EscrowState
# state: stage | in flight | may charge | invoice | occupies | payable | was paid | timer
DRAWN = """
opened    | running | x | x |   | x |   |   | abandon
requested | running | x | x |   | x |   |   | none
generated | running | x |   |   | x |   |   | none
costed    | running |   |   | x | x |   |   | none
invoiced  | unpaid  |   |   | x | x | x |   | expiry
settled   | paid    |   |   |   | x |   | x | keep
released  | paid    |   |   |   |   |   | x | keep
failed    | failed  |   |   |   |   |   |   | give_up
expired   | over    |   |   | x |   | x |   | keep
refunded  | over    |   |   |   |   |   | x | none
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
            facts.in_flight,
            facts.may_charge,
            facts.may_have_invoice,
            facts.occupies_ask,
            facts.payable,
            facts.had_payment,
            facts.timer,
        )
        for state, facts in STATES.items()
    }
    assert set(STATES) == set(EscrowState)


@pytest.mark.parametrize("state", EscrowState)
def test_the_facts_of_a_state_agree(state: EscrowState) -> None:
    """What may still charge is in flight, who waits finds it, and what was paid is not payable."""
    facts = STATES[state]
    assert facts.in_flight >= facts.may_charge
    assert (facts.stage is Stage.RUNNING) >= facts.in_flight
    assert facts.occupies_ask >= facts.awaited
    assert not (facts.payable and facts.had_payment)
    assert facts.may_have_invoice >= facts.payable
    assert bool(facts.reserved) == (facts.awaited or facts.stage is Stage.FAILED)
    assert facts.ended_unpaid == (facts.cost_account in {chart.COST_FAILED, chart.COST_UNPAID})


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
    """Word for word as the first migration has them, since indexes are found by their words."""
    assert tables.IN_FLIGHT == "state IN ('generated', 'opened', 'requested')"
    assert tables.UNFINISHED == "state IN ('costed', 'generated', 'opened', 'requested')"
    assert tables.INVOICED == "state = 'invoiced'"
    assert states_with(lambda facts: facts.payable) == {S.INVOICED, S.EXPIRED}
