"""What a request on a prepaid key costs on books with a long history, against short ones.

Two services at once, each on real books: a few sales of others, multiplied inside the database
(`big_books`). They take turns; every confirmation is waited for and counted
(`confirmations.py`), since the timers that find them read the books too.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.big_books import make_big_books
from benchmarks.credit.confirmations import Confirmations, await_all
from benchmarks.credit.targets import Target, target_of
from benchmarks.ledger_sales import Sales
from benchmarks.rig.processes import MIB, cores, load
from benchmarks.rig.sizes import Size
from benchmarks.rig.stacks import service_stack
from benchmarks.rig.tables import Bar, bars, ratios, spread, table
from cobot_meter.adapters.secrets.identifiers import KeyedIdentifiers
from cobot_meter.adapters.secrets.key_file import read_key_file
from cobot_meter.adapters.storage.secret_marks import KEEP
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.wiring.opening.databases import BOOKS_FILE
from cobot_meter.wiring.opening.ports import KEY_FILE

NAME = "credit_growth"
ROUNDS = 3
SHARE = 100  # the short books have a hundredth of the rows
BAR = 1.2
US = 1_000_000
COLUMNS = ("journal rows", "MiB of books", "CPU µs", "of it confirming", "p50 ms", "p50 ms alone")


@dataclass(slots=True)
class Side:
    """A service on books of some length, and a figure for each round."""

    target: Target
    rows: int
    mib: float
    cpu_us: list[float] = field(default_factory=list)
    confirming_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    alone_ms: list[float] = field(default_factory=list)

    def alone(self, size: Size) -> None:
        """A round of single asks."""
        plan = self.target.plan(count=size.paid_alone, in_flight=1)
        self.alone_ms.append(load(plan, core=cores()[1]).p50_ms)

    def busy(self, size: Size) -> float:
        """A round of many at once; its CPU without confirmations."""
        before_s = self.target.child.cpu_s()
        plan = self.target.plan(count=size.paid_busy, in_flight=size.in_flight)
        figures = load(plan, core=cores()[1])
        cpu_s = self.target.child.cpu_s() - before_s
        assert figures.errors == 0
        self.p50_ms.append(figures.p50_ms)
        print(f"· {self.target.name}: {figures.per_s:,.0f}/s", flush=True)
        return cpu_s

    def forget(self) -> None:
        """What was measured so far was the warm-up."""
        for figures in (self.cpu_us, self.confirming_us, self.p50_ms, self.alone_ms):
            figures.clear()

    def row(self) -> tuple[str, ...]:
        """For the table."""
        return (
            f"{self.rows:,}",
            f"{self.mib:,.0f}",
            spread(self.cpu_us),
            f"{median(self.confirming_us):,.0f}",
            spread(self.p50_ms, 1),
            spread(self.alone_ms, 2),
        )


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    with contextlib.ExitStack() as running:
        sides = [
            running.enter_context(_side(rows))
            for rows in (max(80, size.big_journal_rows // SHARE), size.big_journal_rows)
        ]
        for number in range(min(ROUNDS, size.rounds) + 1):
            print(f"· round {number} of {min(ROUNDS, size.rounds)}", flush=True)
            _round(sides if number % 2 else sides[::-1], size)
            if number == 0:
                for side in sides:
                    side.forget()
        few, many = sides
        measured = table(COLUMNS, [side.row() for side in sides])
    found = ratios(many.cpu_us, few.cpu_us)
    what = f"CPU a request, {many.rows:,} journal rows / {few.rows:,}"
    bar = Bar(what=what, value=median(found), limit=BAR)
    return "\n\n".join((measured, f"Ratios by round: {spread(found, 3)}", bars([bar])))


def _round(sides: list[Side], size: Size) -> None:
    awaited = [Confirmations.begin(side.target) for side in sides]
    for side in sides:
        side.alone(size)
    loads_s = [side.busy(size) for side in sides]
    for found in awaited:
        found.load_ended()
    if size.thorough:
        await_all(awaited)
    for side, found, cpu_s in zip(sides, awaited, loads_s, strict=True):
        confirming_us = (found.cpu_s or 0.0) / found.runs * US
        side.cpu_us.append(cpu_s / size.paid_busy * US + confirming_us)
        side.confirming_us.append(confirming_us)


@contextlib.contextmanager
def _side(rows: int) -> Iterator[Side]:
    with tempfile.TemporaryDirectory(prefix="cobot-meter-bench-") as name:
        folder = Path(name)
        print(f"· making books of {rows:,} journal rows", flush=True)
        _make_books(folder, rows)
        mib = (folder / BOOKS_FILE).stat().st_size / MIB
        with service_stack(data_dir=folder) as stack:
            yield Side(target_of(stack, name=f"{rows:,} rows"), rows, mib)


def _make_books(folder: Path, rows: int) -> None:
    """Books, and the secret that they say they were begun with."""
    clock, keys = SystemClock(), read_key_file(folder / KEY_FILE)
    names = KeyedIdentifiers(preimage_key=keys.preimage, clock=clock)
    path = folder / BOOKS_FILE
    make_big_books(path, Sales(names, clock), journal_rows=rows)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(KEEP, (keys.mark,))
