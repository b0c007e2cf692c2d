"""What each state of a top-up means, said a second time."""

from __future__ import annotations

from cobot_meter.adapters.storage import tables
from cobot_meter.domain.topup.states import TOPUP_STATES, TopupState, topup_states_with
from tests.domain.topup.stages import STAGES

# state: occupies its place | invoice open | had payment
DRAWN = """
opened   | x |   |
invoiced | x | x |
credited |   |   | x
lapsed   |   |   |
"""


def test_the_table_is_what_is_drawn_here() -> None:
    """Every fact of every state, written by hand a second time."""
    drawn = {}
    for line in DRAWN.strip().splitlines():
        state, *marks = (cell.strip() for cell in line.split("|"))
        drawn[TopupState(state)] = tuple(mark == "x" for mark in marks)
    assert drawn == {
        state: (facts.occupies_place, facts.invoice_open, facts.had_payment)
        for state, facts in TOPUP_STATES.items()
    }
    assert set(TOPUP_STATES) == set(TopupState)


def test_a_row_says_what_its_state_means() -> None:
    """An open invoice keeps its place, and what was paid waits for nothing more."""
    for state, topup in STAGES.items():
        assert topup.facts is TOPUP_STATES[state]
        assert topup.progress is state
        assert topup.facts.occupies_place >= topup.facts.invoice_open
        assert not (topup.facts.occupies_place and topup.facts.had_payment)


def test_conditions_of_indexes_come_from_the_table() -> None:
    """Word for word as the migrations have them, since indexes are found by their words."""
    assert tables.TOPUP_OPEN == "state IN ('invoiced', 'opened')"
    assert tables.TOPUP_INVOICED == "state = 'invoiced'"
    assert topup_states_with(lambda facts: facts.had_payment) == {TopupState.CREDITED}
