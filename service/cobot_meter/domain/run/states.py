"""The states of a run, and what each of them means: said once, in one table.

Which event leads from one state to another is in `machine.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass


class RunState(enum.StrEnum):
    """The six states; `docs/escrow-states.md` draws them beside those of the sale."""

    IDLE = "idle"
    OPENED = "opened"
    REQUESTED = "requested"
    GENERATED = "generated"
    COSTED = "costed"
    FAILED = "failed"


class RunTimer(enum.StrEnum):
    """What a run waits for that comes by itself, beside the look-up of its cost."""

    ABANDON = "abandon"  # too old to be sent
    GIVE_UP = "give_up"  # a reservation on the day that nothing explains counts as spent
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What holds of every run in a state.

    `in_flight`: its cost is not known, and it has not failed. `may_charge`: nobody can say yet
    that the upstream will charge nothing for it.
    """

    in_flight: bool = False
    may_charge: bool = False
    timer: RunTimer = RunTimer.NONE


RUN_STATES: Mapping[RunState, RunFacts] = {
    # The first run of a task: it stands for the task while nothing was asked, and never asks.
    RunState.IDLE: RunFacts(),
    RunState.OPENED: RunFacts(in_flight=True, may_charge=True, timer=RunTimer.ABANDON),
    RunState.REQUESTED: RunFacts(in_flight=True, may_charge=True),
    RunState.GENERATED: RunFacts(in_flight=True),
    RunState.COSTED: RunFacts(),
    RunState.FAILED: RunFacts(timer=RunTimer.GIVE_UP),
}


def run_states_with(fact: Callable[[RunFacts], bool]) -> frozenset[RunState]:
    """Every state of which `fact` holds."""
    return frozenset(state for state, facts in RUN_STATES.items() if fact(facts))
