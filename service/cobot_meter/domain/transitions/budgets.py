"""Transitions of budgets: an owner's word on all of his, as an entry of the journal.

The entry is all there is: no row repeats it, and the newest of an owner is what holds. Must not
know: storage, or who may say so.
"""

from __future__ import annotations

from cobot_meter.domain.budgets.budget import OPERATOR
from cobot_meter.domain.budgets.sheets import BudgetSheet
from cobot_meter.domain.transitions.kinds import BUDGETS, BUDGETS_SET
from cobot_meter.domain.transitions.transition import Facts, Transition

# Under which an entry's facts have the owner's words.
WORDS = "budgets"


def budgets_name(owner: str) -> str:
    """Under which an owner's words are numbered from 0."""
    return f"{BUDGETS}/{owner}"


def budgets_transition(sheet: BudgetSheet, *, at_ms: int) -> Transition:
    """The owner's word number `sheet.number`, counted from 1: what holds from here on."""
    owner = sheet.owner
    return Transition(
        key=f"{budgets_name(owner)}/{sheet.number - 1}",
        kind=BUDGETS_SET,
        subject_id=BUDGETS,
        caller_id=None if owner == OPERATOR else owner,
        at_ms=at_ms,
        facts={"owner": owner, WORDS: sheet.text},
    )


def budgets_as_told(facts: Facts, *, number: int) -> BudgetSheet:
    """The sheet that an entry says. Raises KeyError, ValueError for what no sheet is."""
    return BudgetSheet.of_text(str(facts["owner"]), number, str(facts[WORDS]))
