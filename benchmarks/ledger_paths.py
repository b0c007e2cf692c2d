"""The two ways of writing the same rows: through the door, and a raw sqlite3 loop.

The raw loop runs the very statements that the door's writer runs, with values that were worked out
before, in transactions of the same size, on a connection with the same durability. What it lacks is
what the door adds: callers who wait, a thread, savepoints, and values taken from transitions.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import uvloop

from benchmarks.ledger_sales import STEPS, Sale
from cobot_meter.adapters.storage.moves import Leg
from cobot_meter.adapters.storage.sqlite.books import BUSY_TIMEOUT_S, SqliteBooks, open_sqlite_books
from cobot_meter.adapters.storage.sqlite.connections import connect_writer
from cobot_meter.adapters.storage.sqlite.schema import upgrade
from cobot_meter.adapters.storage.sqlite.statements import write_statements
from cobot_meter.adapters.storage.sqlite.transitions import TransitionWriter
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.transition import Transition

Execution = tuple[str, Sequence[Any]]
Group = list[Execution]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one transition: microseconds of CPU in all threads, and how many a second."""

    cpu_us: float
    per_s: float


def through_the_door(path: Path, sales: Sequence[Sale], *, callers: int) -> Cost:
    """`SqliteBooks.apply` from `callers` at once, each walking sale after sale."""
    return uvloop.run(_apply_all(path, sales, callers))


def raw_loop(path: Path, groups: Sequence[Group]) -> Cost:
    """The statements of each group in a transaction of its own, on new books at `path`."""
    upgrade(path)
    connection = connect_writer(path, busy_timeout_s=BUSY_TIMEOUT_S)
    cursor = connection.cursor()
    started, cpu_started = time.perf_counter(), time.process_time()
    for group in groups:
        cursor.execute("BEGIN IMMEDIATE")
        for sql, values in group:
            cursor.execute(sql, values)
        cursor.execute("COMMIT")
    cost = _cost(started, cpu_started, sum(map(_entries, groups)))
    connection.close()
    return cost


def recorded(sales: Sequence[Sale], *, callers: int) -> list[Group]:
    """What the writer executes for these sales on new books, group by group."""
    with tempfile.TemporaryDirectory(prefix="cobot-meter-bench-") as directory:
        path = Path(directory) / "recorded.sqlite3"
        upgrade(path)
        connection = connect_writer(path, busy_timeout_s=BUSY_TIMEOUT_S)
        cursor = connection.cursor(RecordingCursor)
        writer = TransitionWriter(cursor, statements=write_statements(), retention=Retention())
        groups = [_recorded(writer, cursor, group) for group in in_step(sales, callers)]
        connection.close()
    return groups


class RecordingCursor(sqlite3.Cursor):
    """Keeps what it executes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Nothing was executed yet."""
        super().__init__(connection)
        self.executed: Group = []

    def execute(self, sql: str, parameters: Any = (), /) -> Self:  # noqa: ANN401 - as it is there
        """Execute it, and remember."""
        self.executed.append((sql, parameters))
        super().execute(sql, parameters)
        return self


def in_step(sales: Sequence[Sale], callers: int) -> Iterator[list[Transition]]:
    """As the callers come: the first transition of each one's sale, then the second, ..."""
    for start in range(0, len(sales), callers):
        batch = sales[start : start + callers]
        for step in range(STEPS):
            yield [sale[step] for sale in batch]


def _recorded(
    writer: TransitionWriter, cursor: RecordingCursor, group: Sequence[Transition]
) -> Group:
    cursor.executed = []
    legs: list[Leg] = []
    for transition in group:
        assert not writer.write(transition, legs).repeated
    writer.roll_up(legs)
    return cursor.executed


def _entries(group: Group) -> int:
    return sum(1 for sql, _ in group if sql.startswith("INSERT INTO journal"))


async def _apply_all(path: Path, sales: Sequence[Sale], callers: int) -> Cost:
    async with open_sqlite_books(path, retention=Retention()) as books:
        turns = iter(sales)
        started, cpu_started = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(callers):
                tasks.create_task(_walk(books, turns))
        return _cost(started, cpu_started, len(sales) * STEPS)


async def _walk(books: SqliteBooks, turns: Iterator[Sale]) -> None:
    for sale in turns:
        for transition in sale:
            assert not (await books.apply(transition)).repeated


def _cost(started: float, cpu_started: float, transitions: int) -> Cost:
    cpu_s, wall_s = time.process_time() - cpu_started, time.perf_counter() - started
    return Cost(cpu_us=cpu_s / transitions * 1_000_000, per_s=transitions / wall_s)
