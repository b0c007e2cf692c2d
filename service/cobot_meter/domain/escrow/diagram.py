"""Draws `docs/escrow-states.md` from the escrow's own table, so that the two cannot differ.

After changing the table run `python -m cobot_meter.domain.escrow.diagram > docs/escrow-states.md`;
a test compares the file with what is drawn here.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

from cobot_meter.domain.escrow.events import EscrowEvent
from cobot_meter.domain.escrow.machine import TRANSITIONS
from cobot_meter.domain.escrow.states import EscrowState

HEAD = """\
# The states of an escrow

*Drawn from the table in `service/cobot_meter/domain/escrow/machine.py` by
`python -m cobot_meter.domain.escrow.diagram`; do not edit.* An event that a state does not list
here raises `IllegalTransition` and changes nothing. What each event books is in `bookings.py`
beside it. A settlement that is told again (it certainly will be) books nothing and changes nothing.
"""
DIAGRAM = """\
## Diagram

Events that leave the state as it is are in the table below only. What cannot be booked goes into
quarantine in whatever state it is: it keeps the state and has no timer until the operator lets it
go on (`QuarantineLifted`) or ends it (`WrittenOff`).
"""
TABLE = """\
## Events

Every event is a fact with an owner: only whoever owns it may say it.

| event | whose fact, and what | from | to |
|---|---|---|---|
"""


def draw() -> str:
    """The whole document, in Markdown with a Mermaid diagram."""
    return f"{HEAD}\n{DIAGRAM}\n```mermaid\n{_diagram()}\n```\n\n{TABLE}{_rows()}\n"


def ends() -> tuple[EscrowState, ...]:
    """The states that no event leads out of."""
    left = {state for (state, _), after in TRANSITIONS.items() if after is not state}
    return tuple(state for state in EscrowState if state not in left)


def _diagram() -> str:
    lines = [
        "stateDiagram-v2",
        f"    [*] --> {EscrowState.OPENED}: all runs are busy",
        f"    [*] --> {EscrowState.REQUESTED}: sent at once",
    ]
    for (state, after), events in _moves().items():
        lines += [f"    {state} --> {after}: {event}" for event in events]
    lines += [f"    {state} --> [*]" for state in ends()]
    return "\n".join(lines)


def _moves() -> dict[tuple[EscrowState, EscrowState], list[str]]:
    moves: dict[tuple[EscrowState, EscrowState], list[str]] = {}
    for (state, event), after in TRANSITIONS.items():
        if state is not after:
            moves.setdefault((state, after), []).append(event.__name__)
    return moves


def _rows() -> str:
    seen = dict.fromkeys(event for _, event in TRANSITIONS)
    return "\n".join(row for event in seen for row in _event_rows(event))


def _event_rows(event: type[EscrowEvent]) -> Iterator[str]:
    """One row for each state that it leads to; all states it stays in share one."""
    staying = [state for (state, _), after in _told(event) if state is after]
    leading: dict[EscrowState, list[EscrowState]] = {}
    for (state, _), after in _told(event):
        if state is not after:
            leading.setdefault(after, []).append(state)
    saying = " ".join((inspect.getdoc(event) or "").split())
    for after, states in leading.items():
        yield f"| `{event.__name__}` | {saying} | {_names(states)} | {after} |"
    if staying:
        yield f"| `{event.__name__}` | {saying} | {_names(staying)} | the same |"


def _told(
    event: type[EscrowEvent],
) -> list[tuple[tuple[EscrowState, type[EscrowEvent]], EscrowState]]:
    return [(key, after) for key, after in TRANSITIONS.items() if key[1] is event]


def _names(states: list[EscrowState]) -> str:
    return ", ".join(states)


if __name__ == "__main__":
    sys.stdout.write(draw())
