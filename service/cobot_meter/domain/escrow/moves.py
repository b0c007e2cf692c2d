"""What an event changes of a sale and of its runs, field by field, before any of it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.with_changes import changer_of

Changes = dict[str, Any]
_changed_sale = changer_of(Escrow)
_changed_run = changer_of(Run)


@dataclass(frozen=True, slots=True)
class Moves:
    """The fields that an event sets, and to what: of the sale, and of runs. Empty: not moved.

    `others` are the changes of the sale's other runs, by their ids. `begun` is the run that it
    lives by from now on.
    """

    sale: Changes
    run: Changes
    others: Mapping[str, Changes] = field(default_factory=dict)
    begun: Run | None = None

    def of(self, escrow: Escrow) -> Escrow:
        """The escrow with these changes made to it and to its runs."""
        run = _changed_run(escrow.run, self.run) if self.run else escrow.run
        others = escrow.others
        if self.others:
            others = tuple(
                _changed_run(one, changes) if (changes := self.others.get(one.run_id)) else one
                for one in others
            )
        if self.begun is not None:
            run, others = self.begun, (*others, run)
        return _changed_sale(escrow, {**self.sale, "run": run, "others": others})

    def runs(self, before: Escrow, after: Escrow) -> tuple[MovedRun, ...]:
        """The runs whose rows are written, as they are afterwards; one that begins comes last."""
        changed = {before.run.run_id: self.run, **self.others}
        moved = tuple(
            MovedRun(run, tuple(fields))
            for run in after.runs
            if (fields := changed.get(run.run_id))
        )
        return moved if self.begun is None else (*moved, MovedRun(self.begun))


class MovedRun(NamedTuple):
    """A run's row as it is written: `changed` fields of it, None where the run begins."""

    run: Run
    changed: tuple[str, ...] | None = None
