"""Draws `docs/escrow-states.md` from the three machines' own tables, so that they cannot differ.

After changing a table run `python -m cobot_meter.domain.escrow.diagram > docs/escrow-states.md`;
a test compares the file with what is drawn here.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.escrow.tables import (
    CREDIT_TRANSITIONS,
    PANEL_TRANSITIONS,
    TASK_TRANSITIONS,
    TRANSITIONS,
)
from cobot_meter.domain.run.machine import RUN_TRANSITIONS
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.topup.machine import TOPUP_TRANSITIONS
from cobot_meter.domain.topup.states import TopupState

HEAD = """\
# The states of a run, of a sale and of a top-up

*Drawn from the tables in `machine.py` of `service/cobot_meter/domain/run`, `domain/escrow` and
`domain/topup` by `python -m cobot_meter.domain.escrow.diagram`; do not edit.* A **run** is one
attempt of a completion at one upstream; a **sale** is what a caller buys, and what callers know as
an escrow; a **top-up** is an invoice whose payment becomes credit. An event that a state does not
list here raises `IllegalTransition` and changes nothing. What each event books is in `bookings.py`
beside the table. A settlement that is told again (it certainly will be) books nothing and changes
nothing.
"""
RUN = """\
## The run

Its facts belong to the upstream, and what it books is in pico-USD. Callers read its state as that
of their escrow while the sale is `running`.
"""
SALE = """\
## The sale, in escrow mode

Its facts belong to the node and to the caller, and what it books is in msat. It hears six of its
run's events, of which `FellBack` has it go on with another run; all others, a late correction of
the cost among them, leave its row alone. A run that it no longer lives by has failed, and only its
cost may still become known. Callers read `priced` as `costed`. What cannot be booked goes into
quarantine in whatever state it is, with all its runs: it keeps the state and has no timer until the
operator lets it go on (`QuarantineLifted`) or ends it (`WrittenOff`).
"""
CREDIT = """\
## The sale, in credit mode

The ceiling is reserved of the caller's credit, so nothing is invoiced. An answer that says what it
cost is paid for and released in the commit that stores it; one that does not waits for its cost as
in escrow mode, and credit covers it then.
"""
TASK = """\
## The sale, in task mode

A sale of many runs, which go one after the other while it is open: each begins with `TaskRunBegun`
and is answered to the seller at once. A run that fails is no end of the task; what runs have cost
is summed up, and a cost that is confirmed while it is open changes the sum, whichever run it is of.
`TaskClosed` prices the sum with the seller's fee, and from there on it is a sale as in escrow mode:
what is said of its invoice concerns every run that has answered. Callers read `running` as `opened`
until it is closed.
"""
PANEL = """\
## The sale, in panel mode

Several models are asked at once: all runs are requested in the commit that opens it, or opened,
where each is asked only after the one before it. The sale hears of none of them. Once nobody is
awaited any more what is sold is stored (`PanelAnswered`), and as soon as the cost of each answer is
known `PanelPriced` prices their sum. From there on it is a sale as in escrow mode, or credit covers
it: what is said of its invoice concerns every run that has answered. Callers read `running` as
`requested`, and as `generated` once there is something to sell.
"""
TOPUP = """\
## The top-up

Its facts belong to the node, and its payment is all that it books: credit, however late it comes.
In quarantine it is as a sale is, under words of its own (`TopupLifted`, `TopupWrittenOff`); what
the operator has written off is still credited when the node says that it was paid.
"""
EVENTS = """\
Events that leave the state as it is are in this table only. Every event is a fact with an owner:
only whoever owns it may say it.

| event | whose fact, and what | from | to |
|---|---|---|---|
"""
Table = Mapping[tuple[Any, type[Any]], Any]


def draw() -> str:
    """The whole document, in Markdown with a Mermaid diagram for each machine."""
    run_begins = {
        RunState.IDLE: "for a task, and never sent",
        RunState.OPENED: "all runs are busy",
        RunState.REQUESTED: "sent at once",
    }
    sale_begins = {EscrowState.RUNNING: "with its run"}
    run = _machine(RUN, RUN_TRANSITIONS, run_begins)
    sale = _machine(SALE, TRANSITIONS, sale_begins)
    credit = _machine(CREDIT, CREDIT_TRANSITIONS, sale_begins)
    task = _machine(TASK, TASK_TRANSITIONS, {EscrowState.RUNNING: "with nothing asked yet"})
    panel = _machine(PANEL, PANEL_TRANSITIONS, {EscrowState.RUNNING: "with a run for each member"})
    topup = _machine(TOPUP, TOPUP_TRANSITIONS, {TopupState.OPENED: "an empty request"})
    return f"{HEAD}\n{run}\n{sale}\n{credit}\n{task}\n{panel}\n{topup}"


def ends(table: Table = TRANSITIONS) -> tuple[Any, ...]:
    """The states that no event leads out of."""
    left = {state for (state, _), after in table.items() if after is not state}
    states = dict.fromkeys([state for state, _ in table]) | dict.fromkeys(table.values())
    return tuple(
        state for state in type(next(iter(states))) if state in states and state not in left
    )


def _machine(head: str, table: Table, begins: Mapping[Any, str]) -> str:
    diagram = _diagram(table, begins)
    return f"{head}\n```mermaid\n{diagram}\n```\n\n{EVENTS}{_rows(table)}\n"


def _diagram(table: Table, begins: Mapping[Any, str]) -> str:
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {state}: {why}" for state, why in begins.items()]
    for (state, after), events in _moves(table).items():
        lines += [f"    {state} --> {after}: {event}" for event in events]
    lines += [f"    {state} --> [*]" for state in ends(table)]
    return "\n".join(lines)


def _moves(table: Table) -> dict[tuple[Any, Any], list[str]]:
    moves: dict[tuple[Any, Any], list[str]] = {}
    for (state, event), after in table.items():
        if state is not after:
            moves.setdefault((state, after), []).append(event.__name__)
    return moves


def _rows(table: Table) -> str:
    seen = dict.fromkeys(event for _, event in table)
    return "\n".join(row for event in seen for row in _event_rows(table, event))


def _event_rows(table: Table, event: type[Any]) -> Iterator[str]:
    """One row for each state that it leads to; all states it stays in share one."""
    told = [(state, after) for (state, kind), after in table.items() if kind is event]
    staying = [state for state, after in told if state is after]
    leading: dict[Any, list[Any]] = {}
    for state, after in told:
        if state is not after:
            leading.setdefault(after, []).append(state)
    saying = " ".join((inspect.getdoc(event) or "").split())
    for after, states in leading.items():
        yield f"| `{event.__name__}` | {saying} | {', '.join(states)} | {after} |"
    if staying:
        yield f"| `{event.__name__}` | {saying} | {', '.join(staying)} | the same |"


if __name__ == "__main__":
    sys.stdout.write(draw())
