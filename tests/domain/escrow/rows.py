"""The rows of an escrow as flat values, and what an event is expected to change of them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.run import events as ran
from tests.domain.escrow.stages import STAGES
from tests.domain.escrow.walks import Walk
from tests.domain.samples import NOW_MS, Shape

AT_MS = NOW_MS + 12_345
Changes = dict[str, Any]
NAMED = ran.GenerationStarted(generation_id="gen-1")


def at(state: Progress) -> Escrow:
    """An escrow in this state."""
    return STAGES[state]().escrow


def named(shape: Shape | None = None) -> Escrow:
    """Requested, and the upstream has said what it calls the run."""
    return Walk(shape).tell(ran.UpstreamRequested(requested_by="replica-1"), NAMED).escrow


def kept(escrow: Escrow) -> Escrow:
    """The same with a key that is still there to be dropped, and a look-up to come."""
    return replace(escrow, keep_until_ms=1, run=replace(escrow.run, lookup_at_ms=2))


def looked_up(escrow: Escrow, lookups: int) -> Escrow:
    """The same after so many look-ups."""
    return replace(escrow, run=replace(escrow.run, lookups=lookups))


def holding(escrow: Escrow, held_pusd: int) -> Escrow:
    """The same with so much reserved on its days."""
    return replace(escrow, run=replace(escrow.run, budget_held_pusd=held_pusd))


# Its run's cost is read: the row is written, and nothing in it differs.
READ_WITH_ITS_RUN = {"unclaimed"}


def flat(escrow: Escrow) -> Changes:
    """Every field of both rows, the run's under `run.`."""
    sale = {field.name: getattr(escrow, field.name) for field in fields(escrow)}
    run = sale.pop("run")
    return sale | {f"run.{field.name}": getattr(run, field.name) for field in fields(run)}


def moved(before: Escrow, row: str, changes: Changes) -> Changes:
    """The version and the time of each row that is touched: of the other neither."""
    touched: Changes = {}
    if any(not name.startswith("run.") for name in changes):
        touched |= {"version": before.version + 1, "changed_at_ms": AT_MS}
    if row in READ_WITH_ITS_RUN or any(name.startswith("run.") for name in changes):
        touched |= {"run.version": before.run.version + 1, "run.changed_at_ms": AT_MS}
    return touched
