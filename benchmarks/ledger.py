"""The ledger's door against a raw sqlite3 loop, and long books against short ones.

Sales of eight transitions each, made before the clock starts; 64 callers apply them at once, which
the writer commits in groups of 64. Every round has new books, and the sides take turns in being
first.
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.big_books import make_big_books
from benchmarks.ledger_paths import Cost, raw_loop, recorded, through_the_door
from benchmarks.ledger_sales import STEPS, Sales
from benchmarks.rig.sizes import Size
from benchmarks.rig.tables import Bar, bars, ratios, spread, table
from cobot_meter.adapters.secrets.identifiers import KeyedIdentifiers
from cobot_meter.adapters.system_clock import SystemClock

NAME = "ledger"
CALLERS = 64
RAW_BAR = 0.5
LENGTH_BAR = 1.5
SMALL_ROWS = 1_000
COLUMNS = ("", "transitions/s", "CPU µs each")


@dataclass(slots=True)
class Side:
    """One of the compared, and what it cost in each round."""

    name: str
    cpu_us: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)

    def add(self, cost: Cost) -> None:
        """One more round."""
        self.cpu_us.append(cost.cpu_us)
        self.per_s.append(cost.per_s)

    def row(self) -> tuple[str, str, str]:
        """For the table."""
        return (self.name, spread(self.per_s), spread(self.cpu_us))


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    clock = SystemClock()
    sales = Sales(KeyedIdentifiers(preimage_key=secrets.token_bytes(32), clock=clock), clock)
    door, raw = _door_and_raw(size, sales)
    long, short = _long_and_short(size, sales)
    measured = table(COLUMNS, [side.row() for side in (door, raw, long, short)])
    rate, cost = ratios(door.per_s, raw.per_s), ratios(long.cpu_us, short.cpu_us)
    wall = ratios(short.per_s, long.per_s)
    found = bars(
        [
            Bar(what="rate, door / raw loop", value=median(rate), limit=RAW_BAR, at_most=False),
            Bar(what="CPU a transition, long / short", value=median(cost), limit=LENGTH_BAR),
            Bar(what="time a transition, long / short", value=median(wall), limit=LENGTH_BAR),
        ]
    )
    by_round = "; ".join(
        f"{name} {spread(each, 2)}"
        for name, each in (("rate", rate), ("CPU", cost), ("time", wall))
    )
    return f"{measured}\n\nRatios by round: {by_round}\n\n{found}"


def _door_and_raw(size: Size, sales: Sales) -> tuple[Side, Side]:
    door, raw = Side(f"door, {CALLERS} callers"), Side(f"raw loop, groups of {CALLERS}")
    for number in range(size.rounds + 1):
        made = sales.make(size.sales)
        groups = recorded(made, callers=CALLERS)
        with _directory() as directory:
            runs = [
                (door, lambda path: through_the_door(path, made, callers=CALLERS)),  # noqa: B023
                (raw, lambda path: raw_loop(path, groups)),  # noqa: B023 - called in this turn
            ]
            for side, run in runs if number % 2 else reversed(runs):
                cost = run(directory / f"{side.name[:3]}.sqlite3")
                if number:  # the first is the warm-up
                    side.add(cost)
    return door, raw


def _long_and_short(size: Size, sales: Sales) -> tuple[Side, Side]:
    long, short = Side(f"{size.big_journal_rows:,} journal rows"), Side(f"{SMALL_ROWS:,} rows")
    with _directory() as directory:
        big = directory / "big.sqlite3"
        make_big_books(big, sales, journal_rows=size.big_journal_rows)
        for number in range(size.rounds + 1):
            small = directory / f"small-{number}.sqlite3"
            through_the_door(small, sales.make(SMALL_ROWS // STEPS), callers=CALLERS)
            runs = [(long, big), (short, small)]
            for side, path in runs if number % 2 else reversed(runs):
                cost = through_the_door(path, sales.make(size.sales), callers=CALLERS)
                if number:
                    side.add(cost)
    return long, short


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cobot-meter-bench-") as directory:
        yield Path(directory)
