"""What a table comes to: at each task, who reaches what is demanded there, and on which evidence.

Must not know: prices or requests. Who is asked in the end is the cheapest of those who reach it.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.routing.table import Record, SuccessTable


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReach:
    """`best` is the best premium model, whose share `bar_ppm` is a part of; `others` are the rest.

    Of a task without a record nothing is demanded, and whoever is cheapest answers.
    """

    task: str
    bar_ppm: int
    best: tuple[str, Record]
    reaching: tuple[tuple[str, Record], ...]
    others: tuple[tuple[str, Record], ...]


def reach_of(table: SuccessTable) -> list[TaskReach]:
    """Task by task, in the order of their names."""
    return [_of_task(table, task) for task in sorted(table.records)]


def _of_task(table: SuccessTable, task: str) -> TaskReach:
    bar_ppm = table.bar_ppm(task)
    rows = sorted(
        ((name, table.record(task, name)) for name in table.tiers),
        key=lambda row: (table.tiers[row[0]], -row[1].lower_ppm, row[0]),
    )
    return TaskReach(
        task=task,
        bar_ppm=bar_ppm,
        best=table.premium(task),
        reaching=tuple(row for row in rows if row[1].lower_ppm >= bar_ppm),
        others=tuple(row for row in rows if row[1].lower_ppm < bar_ppm),
    )
