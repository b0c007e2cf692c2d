"""The states of a top-up, and what each of them means: said once, in one table.

Which event leads from one state to another is in `machine.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass


class TopupState(enum.StrEnum):
    """The four states; `docs/escrow-states.md` draws them beside those of run and sale."""

    OPENED = "opened"
    INVOICED = "invoiced"
    CREDITED = "credited"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupFacts:
    """What holds of every top-up in a state.

    `occupies_place`: its address gets no other one in this place. `invoice_open`: its invoice can
    be paid or canceled, as far as the books know. `had_payment`: it is its caller's credit; until
    then whatever is paid for it becomes that, however late.
    """

    occupies_place: bool = False
    invoice_open: bool = False
    had_payment: bool = False


TOPUP_STATES: Mapping[TopupState, TopupFacts] = {
    TopupState.OPENED: TopupFacts(occupies_place=True),
    TopupState.INVOICED: TopupFacts(occupies_place=True, invoice_open=True),
    TopupState.CREDITED: TopupFacts(had_payment=True),
    TopupState.LAPSED: TopupFacts(),
}


def topup_states_with(fact: Callable[[TopupFacts], bool]) -> frozenset[TopupState]:
    """Every state of which `fact` holds."""
    return frozenset(state for state, facts in TOPUP_STATES.items() if fact(facts))
