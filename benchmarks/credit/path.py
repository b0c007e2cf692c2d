"""A request on a prepaid key: the service beside what charges nothing, and beside others' proxies.

All sides are there at once, each one process on the measured core, and take turns: one at a time,
32 at a time, and many at a time before an upstream that takes half a second. Of the service two are
measured, with each generation confirmed, as it comes, and with one in twenty, where it knows that
setting. What is counted of a confirmation, and why one waits for it: `confirmations.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.credit.confirmations import Confirmations, await_all
from benchmarks.credit.peers import litellm_side
from benchmarks.credit.targets import (
    CONFIRM_ONE_IN,
    Target,
    bare_target,
    direct_target,
    service_target,
)
from benchmarks.rig.processes import MIB, cores, load
from benchmarks.rig.sizes import Size
from benchmarks.rig.tables import Bar, bars, ratios, spread, table
from cobot_meter.wiring.settings.settings import setting_names

NAME = "credit_path"
ROUNDS = 3
SAMPLE = 20
US = 1_000_000
BARE_BAR = {1: 0.55, SAMPLE: 0.40}
LITELLM_BAR = {1: 1 / 12, SAMPLE: 1 / 16}
ALONE_MS_BAR = 2.5
RATE_BAR = 0.9
MEMORY_MIB_BAR = 120
COLUMNS = (
    *("target", "a second", "CPU µs", "of it confirming"),
    *("p50 ms", "p99 ms", "MiB", "confirmed", "errors"),
)


@dataclass(frozen=True, slots=True)
class Level:
    """So many in flight before an upstream that takes so long."""

    in_flight: int
    upstream_ms: int = 0


@dataclass(slots=True)
class Measured:
    """One side at one level, a figure for each round."""

    per_s: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    confirming_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    runs: int = 0
    confirmed: int = 0
    errors: int = 0

    def row(self, name: str) -> tuple[str, ...]:
        """For the table."""
        return (
            name,
            spread(self.per_s),
            spread(self.cpu_us),
            f"{median(self.confirming_us):,.0f}",
            spread(self.p50_ms, 2),
            f"{median(self.p99_ms):,.1f}",
            f"{max(self.mib):.0f}",
            f"{self.confirmed:,} of {self.runs:,}",
            f"{self.errors:,}",
        )


@dataclass(slots=True)
class Side:
    """A target, how many asks it gets at each level, and what came of them."""

    target: Target
    counts: dict[Level, int]
    found: dict[Level, Measured] = field(default_factory=dict)

    def round(self, level: Level) -> Turn:
        """One load at this level."""
        target = self.target
        confirmations = Confirmations.begin(target)
        cpu_before_s = target.child.cpu_s()
        plan = target.plan(
            count=self.counts[level], in_flight=level.in_flight, spread_ms=level.upstream_ms
        )
        figures = load(plan, core=cores()[1])
        cpu_s = target.child.cpu_s() - cpu_before_s
        confirmations.load_ended()
        measured = self.found.setdefault(level, Measured())
        measured.per_s.append(figures.per_s)
        measured.p50_ms.append(figures.p50_ms)
        measured.p99_ms.append(figures.p99_ms)
        measured.mib.append(target.child.rss_bytes() / MIB)
        measured.errors += figures.errors
        cpu_us = cpu_s * US / figures.done
        print(f"· {target.name}: {figures.per_s:,.0f}/s, {cpu_us:,.0f} µs", flush=True)
        return Turn(measured, confirmations, figures.done, cpu_s)


@dataclass(slots=True)
class Turn:
    """One side's load, whose confirmations are still to come."""

    measured: Measured
    confirmations: Confirmations
    done: int
    cpu_s: float

    def close(self) -> None:
        """Everything has been confirmed, or will not be waited for."""
        confirming_s = self.confirmations.cpu_s or 0.0
        self.measured.cpu_us.append((self.cpu_s + confirming_s) / self.done * US)
        self.measured.confirming_us.append(confirming_s / self.done * US)
        self.measured.confirmed += self.confirmations.lookups
        self.measured.runs += self.confirmations.runs


class Sides:
    """All of them, and the levels in their order."""

    def __init__(self, sides: Sequence[Side], levels: Sequence[Level], *, thorough: bool) -> None:
        """Confirmations are waited for where it is `thorough`."""
        self.all = sides
        self.levels = levels
        self._thorough = thorough

    def measure(self, rounds: int) -> None:
        """All rounds, after one to warm up."""
        print("· warming up", flush=True)
        self._level(self.levels[1])
        for side in self.all:
            side.found.clear()
        for number in range(rounds):
            for level in self.levels:
                print(f"· round {number + 1} of {rounds}, {level.in_flight} in flight", flush=True)
                self._level(level)

    def _level(self, level: Level) -> None:
        """The confirming ones come last, so that nobody's turn falls into their look-ups."""
        turns = []
        for side in sorted(self.all, key=lambda one: one.target.confirmed_in > 0):
            if level in side.counts:
                side.target.upstream.pace(latency_ms=level.upstream_ms)
                turns.append(side.round(level))
        if self._thorough:
            await_all([turn.confirmations for turn in turns])
        for turn in turns:
            turn.close()

    def table(self, level: Level) -> str:
        """One level."""
        rows = [side.found[level].row(side.target.name) for side in self.all if level in side.found]
        slow = f", an upstream of {level.upstream_ms} ms" if level.upstream_ms else ""
        return f"{level.in_flight} in flight{slow}:\n\n{table(COLUMNS, rows)}"


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    levels = (
        Level(1),
        Level(size.in_flight),
        Level(size.many_in_flight, size.upstream_ms),
    )
    with contextlib.ExitStack() as running:
        notes: list[str] = []
        sides = [running.enter_context(side) for side in _sides(size, levels, notes)]
        turns = Sides(sides, levels, thorough=size.thorough)
        turns.measure(min(ROUNDS, size.rounds))
    tables = [turns.table(level) for level in levels]
    found = [bar for side in sides for bar in _bars(side, sides, levels)]
    return "\n\n".join((*tables, *notes, bars(found)))


def _sides(
    size: Size, levels: Sequence[Level], notes: list[str]
) -> Iterator[contextlib.AbstractContextManager[Side]]:
    alone, busy, many = levels
    whole = {alone: size.paid_alone, busy: size.paid_busy, many: size.paid_many}
    half = {level: max(level.in_flight, count // 2) for level, count in whole.items()}
    half[many] = max(many.in_flight, size.paid_many // 5)  # where many wait, httpx is slow
    few = {level: max(level.in_flight, whole[level] // 10) for level in (alone, busy)}
    yield _side(direct_target(), whole)
    yield _side(bare_target(), half)
    peer = litellm_side(wanted=size.thorough, notes=notes)
    if peer is not None:
        yield _side(peer, few)
    yield _side(service_target(), whole)
    if CONFIRM_ONE_IN in setting_names():
        yield _side(service_target(confirmed_in=SAMPLE), whole)
    else:
        notes.append(f"The service knows no {CONFIRM_ONE_IN}: it confirms each generation.")


@contextlib.contextmanager
def _side(
    target: contextlib.AbstractContextManager[Target], counts: dict[Level, int]
) -> Iterator[Side]:
    with target as started:
        print(f"· {started.name} is up", flush=True)
        yield Side(started, counts)


def _bars(side: Side, sides: Sequence[Side], levels: Sequence[Level]) -> Iterator[Bar]:
    """Where this side stands, if it is the service."""
    confirmed_in = side.target.confirmed_in
    if not confirmed_in:
        return
    alone, busy, many = levels
    direct, bare, *peers = (one for one in sides if not one.target.confirmed_in)
    name = side.target.name
    for other, bar in ((bare, BARE_BAR), *((peer, LITELLM_BAR) for peer in peers)):
        found = ratios(side.found[busy].cpu_us, other.found[busy].cpu_us)
        what = f"CPU at {busy.in_flight} in flight, {name} / {other.target.name}"
        yield Bar(what=what, value=median(found), limit=bar[confirmed_in], digits=3)
    ours, theirs = side.found[alone].p50_ms, direct.found[alone].p50_ms
    added = median(own - bare_ms for own, bare_ms in zip(ours, theirs, strict=True))
    yield Bar(what=f"p50 over direct, alone, {name}", value=added, limit=ALONE_MS_BAR, unit="ms")
    rates = ratios(side.found[many].per_s, direct.found[many].per_s)
    what = f"rate at {many.in_flight} in flight, {name} / direct"
    yield Bar(what=what, value=median(rates), limit=RATE_BAR, at_most=False)
    mib = max(max(measured.mib) for measured in side.found.values())
    yield Bar(what=f"memory, {name}", value=mib, limit=MEMORY_MIB_BAR, unit="MiB")
    errors = sum(measured.errors for measured in side.found.values())
    yield Bar(what=f"errors, {name}", value=errors, limit=0, unit="")
