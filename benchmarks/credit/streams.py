"""Streamed asks on a prepaid key: how soon their bytes come, and what dripping events cost.

First the times, one ask at a time before an upstream that thinks for 200 ms and then sends an event
every 20. Then the CPU, 32 at a time and an event every 5 ms, as models drip, with every
confirmation counted (`confirmations.py`). Then what an open stream holds in memory. The sides
are those of `credit_path`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.credit.confirmations import Confirmations, await_all
from benchmarks.credit.peers import litellm_side
from benchmarks.credit.targets import Target, bare_target, direct_target, service_target
from benchmarks.rig.processes import cores, stream_load, waiters
from benchmarks.rig.sizes import Size
from benchmarks.rig.stream_load import HELD, StreamFigures
from benchmarks.rig.tables import Bar, bars, spread, table

NAME = "credit_streams"
ROUNDS = 3
THINKS_MS, FIRST_EVENT_MS = 200, 20
DRIP_MS = 5
HELD_EVENT_MS = 5_000
RESTS_S = 4.0
US, KIB = 1_000_000, 1_024
FIRST_BYTE_MS_BAR = 5.0
DRIP_US_BAR = 1_400
BEFORE_US = 3_301  # of a dripping ask before answers were streamed through (docs/benchmarks.md)
BEFORE_BAR = 0.45
HELD_KIB_BAR = 40
TIMES = ("target", "first byte ms", "first content ms", "end ms", "reads", "errors")
DRIPS = ("target", "a second", "CPU µs an ask", "errors")


@dataclass(slots=True)
class Side:
    """One target, and a figure for each round."""

    target: Target
    share: float = 1.0
    times: list[StreamFigures] = field(default_factory=list)
    drips: list[StreamFigures] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def time_it(self, count: int) -> None:
        """A round of single asks."""
        self.target.upstream.pace(latency_ms=THINKS_MS, event_ms=FIRST_EVENT_MS)
        self.times.append(self._load(count, 1))

    def drip(self, count: int, in_flight: int) -> tuple[Confirmations, float, int]:
        """A round of many at once; the CPU without its confirmations, and how many there were."""
        self.target.upstream.pace(event_ms=DRIP_MS)
        found = Confirmations.begin(self.target)
        before_s = self.target.child.cpu_s()
        figures = self._load(max(in_flight, int(count * self.share)), in_flight)
        cpu_s = self.target.child.cpu_s() - before_s
        found.load_ended()
        self.drips.append(figures)
        return found, cpu_s, figures.done

    def _load(self, count: int, in_flight: int) -> StreamFigures:
        plan = self.target.streams(count=count, in_flight=in_flight)
        figures = stream_load(plan, core=cores()[1])
        name, first_ms = self.target.name, figures.first_byte_ms
        print(f"· {name}: first byte {first_ms:,.1f} ms, {figures.per_s:,.0f}/s", flush=True)
        return figures

    def time_row(self) -> tuple[str, ...]:
        """For the first table."""
        times = self.times
        return (
            self.target.name,
            spread([one.first_byte_ms for one in times], 1),
            spread([one.first_content_ms for one in times], 1),
            spread([one.end_ms for one in times]),
            f"{median(one.reads for one in times):.0f}",
            str(sum(one.errors for one in times)),
        )

    def drip_row(self) -> tuple[str, ...]:
        """For the second."""
        return (
            self.target.name,
            spread([one.per_s for one in self.drips]),
            spread(self.cpu_us),
            str(sum(one.errors for one in self.drips)),
        )


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    with contextlib.ExitStack() as running:
        notes: list[str] = []
        sides = [running.enter_context(side) for side in _sides(size, notes)]
        awaited = [Confirmations.begin(side.target) for side in sides]
        for number in range(min(ROUNDS, size.rounds)):
            print(f"· round {number + 1} of single streams", flush=True)
            for side in sides:
                side.time_it(size.single_streams)
        for one in awaited:
            one.load_ended()
        if size.thorough:
            await_all(awaited)
        for number in range(min(ROUNDS, size.rounds)):
            print(f"· round {number + 1} of {size.in_flight} streams at once", flush=True)
            _drip(sides, size)
    held_kib = _held_kib(size)
    times = table(TIMES, [side.time_row() for side in sides])
    drips = table(DRIPS, [side.drip_row() for side in sides])
    return "\n\n".join(
        (
            f"One at a time; the upstream: {THINKS_MS} ms, then an event every {FIRST_EVENT_MS}:",
            times,
            f"{size.in_flight} at once, an event every {DRIP_MS} ms:",
            drips,
            *notes,
            bars([*_bars(sides), _held_bar(size, held_kib)]),
        )
    )


def _drip(sides: Sequence[Side], size: Size) -> None:
    """The confirming one comes last, so that nobody's turn falls into its look-ups."""
    turns = [(side, *side.drip(size.dripping_streams, size.in_flight)) for side in sides]
    if size.thorough:
        await_all([found for _, found, _, _ in turns])
    for side, found, cpu_s, done in turns:
        side.cpu_us.append((cpu_s + (found.cpu_s or 0.0)) / done * US)


def _sides(size: Size, notes: list[str]) -> Iterator[contextlib.AbstractContextManager[Side]]:
    yield _side(direct_target())
    yield _side(bare_target(), 0.5)
    peer = litellm_side(wanted=size.thorough, notes=notes)
    if peer is not None:
        yield _side(peer, 0.1)
    yield _side(service_target())


@contextlib.contextmanager
def _side(target: contextlib.AbstractContextManager[Target], share: float = 1.0) -> Iterator[Side]:
    with target as started:
        print(f"· {started.name} is up", flush=True)
        yield Side(started, share)


def _bars(sides: Sequence[Side]) -> Iterator[Bar]:
    """The service against the upstream alone, and against what it was."""
    direct, service = sides[0], sides[-1]
    pairs = list(zip(service.times, direct.times, strict=True))
    byte_ms = median(ours.first_byte_ms - bare.first_byte_ms for ours, bare in pairs)
    content_ms = median(ours.first_content_ms - bare.first_content_ms for ours, bare in pairs)
    yield Bar(
        what="first byte after the upstream's", value=byte_ms, limit=FIRST_BYTE_MS_BAR, unit="ms"
    )
    yield Bar(what="first content after it", value=content_ms, limit=FIRST_BYTE_MS_BAR, unit="ms")
    cpu_us = median(service.cpu_us)
    yield Bar(
        what=f"CPU an ask, an event every {DRIP_MS} ms",
        value=cpu_us,
        limit=DRIP_US_BAR,
        unit="µs",
        digits=0,
    )
    what = f"the same / the {BEFORE_US:,} µs of before"
    yield Bar(what=what, value=cpu_us / BEFORE_US, limit=BEFORE_BAR)


def _held_kib(size: Size) -> float:
    """What each of many open streams adds to the memory that the first ones made it take."""
    with service_target() as target:
        target.upstream.pace(event_ms=HELD_EVENT_MS)
        few = target.streams(count=size.held_first, in_flight=0, kind=HELD)
        many = target.streams(count=size.held_streams, in_flight=0, kind=HELD)
        print(f"· holding {few.count} and {many.count} streams", flush=True)
        with waiters(few, core=cores()[1]):
            time.sleep(RESTS_S)
            before = target.child.rss_bytes()
            with waiters(many, core=cores()[1]):
                time.sleep(RESTS_S)
                after = target.child.rss_bytes()
    return (after - before) / KIB / many.count


def _held_bar(size: Size, kib: float) -> Bar:
    what = f"memory of an open stream ({size.held_streams} of them)"
    return Bar(what=what, value=kib, limit=HELD_KIB_BAR, unit="KiB")
