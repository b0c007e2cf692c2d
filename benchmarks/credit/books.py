"""What one request on a prepaid key writes: statements, rows, commits, waits, and bytes.

Two services. One counts (`counted_service.py`): requests one at a time, then as many at once as
elsewhere, then their confirmations a minute later. What the service does in that time without being
asked is taken off by the same length of rest. The other is let alone, and its books are measured
after a checkpoint: before, after the requests, and after their confirmations.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.credit.confirmations import LOOK_S, WRITTEN_S, Confirmations, await_all
from benchmarks.credit.counted_service import PORT
from benchmarks.credit.targets import Target, target_of
from benchmarks.rig.processes import cores, free_port, load
from benchmarks.rig.sizes import Size
from benchmarks.rig.stacks import Stack, service_stack
from benchmarks.rig.tables import Bar, bars, table

NAME = "credit_books"
BYTES_BAR = 3_200
BODIES_BAR = 0
REST_S = 3.0  # in which the tasks show themselves that work without being asked
LEAST = 0.05  # what is done for one request in twenty or fewer is done for something else
KINDS = {
    "statements": "the writer's statements",
    "rows": "rows that these changed",
    "reads": "reads outside a transaction",
    "waits": "times that a task of it waits",
}
Counts = dict[str, Counter[str]]


@dataclass(frozen=True, slots=True)
class Books:
    """The file's size after a checkpoint, and the bodies in it."""

    bytes_used: int
    bodies: int

    @classmethod
    def of(cls, path: Path) -> Books:
        """Fold the write-ahead log into the file, and measure it. Free pages are not counted."""
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            pages, free, page = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            (bodies,) = connection.execute("SELECT count(*) FROM body").fetchone()
        return cls((pages - free) * page, bodies)


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    port = free_port()
    settings = {PORT: str(port)}
    with (
        service_stack(settings=settings, module="benchmarks.credit.counted_service") as watched,
        service_stack() as plain,
    ):
        counting = Counting(target_of(watched, name="counted"), port)
        confirming = counting.ask(size)
        before, after, waiting = _fill(plain, size)
        at_last = after
        if size.thorough:
            counting.confirmed(confirming)
            await_all([waiting])
            time.sleep(WRITTEN_S)
            at_last = Books.of(plain.books)
    asked = size.booked_asks
    bytes_each = [(books.bytes_used - before.bytes_used) / asked for books in (after, at_last)]
    bodies_each = (at_last.bodies - before.bodies) / asked
    rows = [
        (f"after {asked:,} requests", f"{bytes_each[0]:,.0f}"),
        ("after their confirmations", f"{bytes_each[1]:,.0f}"),
    ]
    found = [
        Bar(what="bytes in the books", value=bytes_each[1], limit=BYTES_BAR, unit="B", digits=0),
        Bar(what="bodies that are kept", value=bodies_each, limit=BODIES_BAR, unit=""),
    ]
    return "\n\n".join(
        (counting.table(size), table(("of one request", "bytes"), rows), bars(found))
    )


def _fill(stack: Stack, size: Size) -> tuple[Books, Books, Confirmations]:
    target = target_of(stack, name="measured")
    waiting = Confirmations.begin(target)
    load(target.plan(count=size.in_flight, in_flight=size.in_flight), core=cores()[1])
    before = Books.of(stack.books)
    print(f"· {size.booked_asks:,} requests into books of {before.bytes_used:,} bytes", flush=True)
    figures = load(target.plan(count=size.booked_asks, in_flight=size.in_flight), core=cores()[1])
    waiting.load_ended()
    assert figures.errors == 0
    return before, Books.of(stack.books), waiting


class Counting:
    """A service that counts, and what it counted for each request."""

    def __init__(self, target: Target, port: int) -> None:
        """The counts are told at `port`."""
        self._target = target
        self._port = port
        self._loops: set[str] = set()
        self.alone: Counts = {}
        self.busy: Counts = {}
        self.later: Counts = {}
        self._confirmed = 1

    def ask(self, size: Size) -> Confirmations:
        """One at a time, then many at once."""
        waiting = Confirmations.begin(self._target)
        load(self._target.plan(count=size.in_flight, in_flight=1), core=cores()[1])
        resting = self._counts()
        time.sleep(REST_S)
        counts = [self._counts()]
        self._loops = set(_between(resting, counts[0])["waits"])
        for in_flight in (1, size.in_flight):
            print(f"· counting {size.counted_asks} requests, {in_flight} in flight", flush=True)
            plan = self._target.plan(count=size.counted_asks, in_flight=in_flight)
            load(plan, core=cores()[1])
            counts.append(self._counts())
        self.alone, self.busy = _between(*counts[:2]), _between(*counts[1:])
        waiting.load_ended()
        return waiting

    def confirmed(self, waiting: Confirmations) -> None:
        """What the look-ups of these requests take, without what a rest of that length does."""
        began, rested = time.monotonic(), self._counts()
        before, last_quiet = rested, began
        while not waiting.look():
            if not waiting.lookups:
                before, last_quiet = self._counts(), time.monotonic()
            time.sleep(LOOK_S)
        share = (time.monotonic() - last_quiet) / max(last_quiet - began, LOOK_S)
        idle = _between(rested, before)
        self.later = _between(before, self._counts())
        for kind, counter in self.later.items():
            for what in counter:
                counter[what] -= round(idle[kind][what] * share)
        self._confirmed = waiting.lookups

    def table(self, size: Size) -> str:
        """Everything that is done for a request, most often first."""
        columns = ("", "alone", f"{size.in_flight} in flight", "its confirmation")
        rows: list[tuple[str, ...]] = []
        for kind, title in KINDS.items():
            sums = [self._each(counts, kind, None, size) for counts in self._columns()]
            rows.append((f"**{title}**", *sums))
            known = self.alone[kind] + self.later.get(kind, Counter())
            for what in [what for what, _ in known.most_common() if what not in self._loops]:
                each = [self._each(counts, kind, what, size) for counts in self._columns()]
                if any(one != "" for one in each):
                    rows.append((what, *each))
        return table(columns, rows)

    def _columns(self) -> tuple[Counts, Counts, Counts]:
        return self.alone, self.busy, self.later

    def _each(self, counts: Counts, kind: str, what: str | None, size: Size) -> str:
        """How often for one request; nothing where it is not done for it."""
        times = self._confirmed if counts is self.later else size.counted_asks
        counter = counts.get(kind, Counter())
        each = [
            number / times
            for name, number in counter.items()
            if what in {None, name} and name not in self._loops
        ]
        total = sum(one for one in each if one >= LEAST)
        return f"{total:.2f}".removesuffix(".00") if total else ""

    def _counts(self) -> Counts:
        url = f"http://127.0.0.1:{self._port}/"
        with urllib.request.urlopen(url, timeout=30) as answer:
            found = orjson.loads(answer.read())
        return {kind: Counter(counted) for kind, counted in found.items()}


def _between(before: Counts, after: Counts) -> Counts:
    return {kind: after[kind] - before[kind] for kind in KINDS}
