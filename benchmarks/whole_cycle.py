"""A whole sale, 32 in flight: CPU of the service against the stack that one would write first.

Ask, upstream, generation look-up, invoice, durable hold, 402, payment, settlement, release. Both
are one process on one core; the agents, their wallets' HTTP client and the mock upstreams are on
another. The node is the same in both, and so is what paying at it costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.rig.load_generator import Plan
from benchmarks.rig.processes import MIB, cores, load
from benchmarks.rig.sizes import Size
from benchmarks.rig.stacks import Stack, naive_stack, service_stack
from benchmarks.rig.tables import Bar, bars, ratios, spread, table

NAME = "whole_cycle"
BAR = 0.3
US = 1_000_000


@dataclass(slots=True)
class Side:
    """One of the compared stacks, and a figure for each round."""

    name: str
    stack: Stack
    cycles: int
    cpu_us: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)

    def round(self, in_flight: int) -> None:
        """Run the cycles, and see that each of them was one run upstream."""
        stack, (_, other) = self.stack, cores()
        runs_before, cpu_before_s = stack.upstream_count(), stack.child.cpu_s()
        plan = Plan(
            kind="cycles",
            port=stack.port,
            node_port=stack.node_port,
            count=self.cycles,
            in_flight=in_flight,
        )
        figures = load(plan, core=other)
        cpu_s = stack.child.cpu_s() - cpu_before_s
        assert stack.upstream_count() - runs_before == figures.done == self.cycles
        self.cpu_us.append(cpu_s / figures.done * US)
        self.per_s.append(figures.per_s)
        self.p50_ms.append(figures.p50_ms)

    def forget(self) -> None:
        """What was measured so far was the warm-up."""
        for figures in (self.cpu_us, self.per_s, self.p50_ms):
            figures.clear()

    def row(self) -> tuple[str, ...]:
        """For the table."""
        return (
            self.name,
            spread(self.cpu_us),
            spread(self.per_s),
            spread(self.p50_ms),
            f"{self.stack.child.rss_bytes() / MIB:.0f}",
        )


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    with service_stack() as service, naive_stack() as naive:
        ours = Side("service", service, size.service_cycles)
        theirs = Side("naive", naive, size.naive_cycles)
        for number in range(size.rounds + 1):
            for side in (ours, theirs) if number % 2 else (theirs, ours):
                side.round(size.in_flight)
                if number == 0:
                    side.forget()
        columns = ("stack", "CPU µs a cycle", "cycles/s", "middle one, ms", "MiB after")
        measured = table(columns, [ours.row(), theirs.row()])
    found = ratios(ours.cpu_us, theirs.cpu_us)
    middle = sorted(found)[len(found) // 2]
    bar = Bar(what="CPU a cycle, service / naive", value=middle, limit=BAR)
    return f"{measured}\n\nRatios by round: {spread(found, 3)}\n\n{bars([bar])}"
