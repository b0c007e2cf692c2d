"""CUSUM: small bad days add up until they say more than chance would.

A day of forty items is far too little to tell ten points from bad luck. Page's sum keeps what
speaks for a fall, forgets it as soon as the days speak against it, and rings at a height that is
chosen by how seldom it may ring for nothing. Must not know: models or days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Context, Decimal

from cobot_meter.domain.benchmarks.statistics.proportions import PPM

# Logarithms are in millionths; of Decimal they are the same on every machine.
_EXACT = Context(prec=28)


def page(steps: Iterable[int]) -> Iterator[int]:
    """Page's sum after each step: never below nothing."""
    total = 0
    for step in steps:
        total = max(0, total + step)
        yield total


@dataclass(frozen=True, slots=True, kw_only=True)
class FallWatch:
    """Watches for a fall by `fall_ppm` from what was usual; it rings at `height`, in millionths.

    A step is the log likelihood of the day's replies after such a fall, less that without one: of
    all ways to weigh a day, none finds that fall sooner at the same rate of false alarms. Where
    nothing fails usually, chance is still reckoned with at `doubt_ppm`: one failure is no alarm.
    Who is seldom right has nowhere to fall to, and is not watched.
    """

    fall_ppm: int = 100_000
    height: int = 5_400_000
    doubt_ppm: int = 20_000

    def one_of(self, several: int) -> FallWatch:
        """One of several that together ring as seldom as this one alone.

        How long a sum takes to ring for nothing grows as the exponential of its height.
        """
        return replace(self, height=self.height + _log(several, 1))

    def step(self, successes: int, trials: int, *, usual_ppm: int) -> int:
        """What one day says for a fall."""
        before = min(usual_ppm, PPM - self.doubt_ppm)
        after = before - self.fall_ppm
        if after <= 0:
            return 0
        failures = trials - successes
        return successes * _log(after, before) + failures * _log(PPM - after, PPM - before)

    def sums(self, days: Iterable[tuple[int, int]], *, usual_ppm: int) -> list[int]:
        """The sum after each day of (successes, trials)."""
        return list(page(self.step(good, tried, usual_ppm=usual_ppm) for good, tried in days))


def _log(above: int, below: int) -> int:
    """The natural logarithm of their ratio, in millionths."""
    ratio = _EXACT.divide(Decimal(above), Decimal(below))
    return int(_EXACT.ln(ratio) * PPM)
