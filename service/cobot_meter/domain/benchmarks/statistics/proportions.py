"""Shares of right replies: how sure one is, and whether two runs of the same items differ.

Exact where it can be: at a hundred items the usual approximations are off by more than what is
looked for. In whole numbers, so that the same records say the same on any machine: shares in parts
per million, p-values in parts per billion. Must not know: models or items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, isqrt

PPM = 10**6
PPB = 10**9
# The square of 1.959964, the 97.5th percentile of the normal distribution: an interval of 95 %.
_Z2_95_PPM = 3_841_459


@dataclass(frozen=True, slots=True)
class ShareInterval:
    """Both ends."""

    low_ppm: int
    high_ppm: int


def wilson(successes: int, trials: int, *, z2_ppm: int = _Z2_95_PPM) -> ShareInterval:
    """Wilson's score interval: it never leaves 0 to 1, and holds at shares near either end.

    Raises ValueError for more successes than trials.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no share")
    if trials == 0:
        return ShareInterval(0, PPM)
    spread = isqrt(z2_ppm * (z2_ppm + 4 * PPM * successes * (trials - successes) // trials))
    middle, whole = 2 * successes * PPM + z2_ppm, 2 * (trials * PPM + z2_ppm)
    low = 0 if successes == 0 else (middle - spread) * PPM // whole
    high = PPM if successes == trials else -(-(middle + spread) * PPM // whole)
    return ShareInterval(low, high)


def mcnemar_exact(lost: int, won: int) -> int:
    """The two-sided p, in parts per billion, that a pair parts one way as easily as the other.

    `lost` pairs were right before and wrong after, `won` the other way round; those that stayed as
    they were say nothing. Twice the smaller tail of the binomial, at most 1.
    """
    parted = lost + won
    tail = sum(comb(parted, k) for k in range(min(lost, won) + 1))
    return min(PPB, (2 * tail * PPB) >> parted)


def holm(p_values: Sequence[int]) -> list[int]:
    """Holm's adjusted p-values in the order given: who asks many questions pays for each."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted, highest = [0] * len(p_values), 0
    for rank, at in enumerate(order):
        highest = max(highest, min(PPB, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted
