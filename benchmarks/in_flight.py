"""Many at once before a slow upstream: what the waiting costs in rate and in memory.

The direct rate is the load generator's own against the same mock upstream. Waiting callers are
counted by what 2,000 of them add to the process beyond the first 500, which pay for what every
process needs once: agents who wait for their invoice to be settled (`?wait=60`), and agents whose
ask waits for the upstream.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median

from benchmarks.rig.load_generator import Plan
from benchmarks.rig.processes import MIB, Child, cores, load, waiters
from benchmarks.rig.sizes import Size
from benchmarks.rig.stacks import Stack, service_stack
from benchmarks.rig.tables import Bar, bars, ratios, spread, table

NAME = "in_flight"
RATE_BAR = 0.8
WAITER_BAR_KIB = 32
MEMORY_BAR_MIB = 120
KIB = 1_024
NEVER_MS = 600_000
QUIET_S = 0.5
QUIET_CPU_S = 0.1
SETTLES_S = 20.0


@dataclass(slots=True)
class Rates:
    """A second, round by round, and the service's memory after the warm-up and at the end."""

    direct: list[float] = field(default_factory=list)
    through: list[float] = field(default_factory=list)
    asks: list[int] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)

    def growth(self) -> str:
        """By how much each further ask made the process grow."""
        asks, mib = self.asks[-1] - self.asks[0], self.memory_mib[-1] - self.memory_mib[0]
        kib_each = mib * MIB / KIB / asks
        last = f"{self.memory_mib[-1]:.0f} MiB after {self.asks[-1]:,} asks"
        return f"Memory: {last}, {kib_each:.1f} KiB for each after the first {self.asks[0]:,}."


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    rates = _rates(size)
    found = ratios(rates.through, rates.direct)
    polls_kib = _polls_kib(size)
    asks_kib = _asks_kib(size)
    rows = [("direct", spread(rates.direct)), ("ask → 402", spread(rates.through))]
    memory = Bar(
        what=f"memory after {rates.asks[0]:,} asks",
        value=rates.memory_mib[0],
        limit=MEMORY_BAR_MIB,
        unit="MiB",
    )
    rate = Bar(
        what=f"rate at {size.many_in_flight} in flight, service / direct",
        value=median(found),
        limit=RATE_BAR,
        at_most=False,
    )
    waiting = [
        _waiting("until an invoice is paid", polls_kib),
        _waiting("until the upstream answers", asks_kib),
    ]
    return "\n\n".join(
        (
            table(("", "a second"), rows),
            f"Ratios by round: {spread(found, 3)}",
            rates.growth(),
            bars([rate, *waiting, memory]),
        )
    )


def _waiting(until: str, kib: float) -> Bar:
    return Bar(what=f"a caller who waits {until}", value=kib, limit=WAITER_BAR_KIB, unit="KiB")


def _rates(size: Size) -> Rates:
    """The first round is the warm-up."""
    rates = Rates()
    count = size.many_in_flight * size.waves
    with service_stack(latency_ms=size.upstream_ms) as stack:
        for number in range(size.rounds + 1):
            for kind, port, per_s in (
                ("direct", stack.upstream_port, rates.direct),
                ("asks", stack.port, rates.through),
            ):
                plan = Plan(
                    kind=kind,
                    port=port,
                    count=count,
                    in_flight=size.many_in_flight,
                    spread_ms=size.upstream_ms,
                )
                figures = load(plan, core=cores()[1])
                if number:
                    per_s.append(figures.per_s)
            rates.asks.append(count * (number + 1))
            rates.memory_mib.append(stack.child.rss_bytes() / MIB)
    return rates


def _polls_kib(size: Size) -> float:
    """Everybody has a 402, and waits for its payment."""
    with service_stack() as stack:
        warm_up = Plan(kind="asks", port=stack.port, count=size.waiters, in_flight=size.in_flight)
        load(warm_up, core=cores()[1])
        return _kib_each("pollers", stack, size)


def _asks_kib(size: Size) -> float:
    """Everybody asks, and the upstream does not answer."""
    settings = {"COBOT_METER_DRAIN_S": "1"}
    with service_stack(latency_ms=NEVER_MS, settings=settings) as stack:
        return _kib_each("askers", stack, size)


def _kib_each(kind: str, stack: Stack, size: Size) -> float:
    """What each of the many adds to the memory that the first ones made it take."""
    _, other = cores()
    first = Plan(kind=kind, port=stack.port, count=size.waiters_first, in_flight=0)
    many = Plan(kind=kind, port=stack.port, count=size.waiters, in_flight=0)
    with waiters(first, core=other):
        before = _rss_at_rest(stack.child)
        with waiters(many, core=other):
            after = _rss_at_rest(stack.child)
    return (after - before) / KIB / size.waiters


def _rss_at_rest(child: Child) -> int:
    """Its memory once it has nothing more to do."""
    until = time.monotonic() + SETTLES_S
    cpu_s = child.cpu_s()
    while time.monotonic() < until:
        time.sleep(QUIET_S)
        cpu_before_s, cpu_s = cpu_s, child.cpu_s()
        if cpu_s - cpu_before_s <= QUIET_CPU_S:
            break
    return child.rss_bytes()
