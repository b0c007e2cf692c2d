"""Whether two samples of times or costs lie apart, and by how much: ranks, and no means.

One slow answer in a hundred moves a mean and no median. Whole numbers in and out, so that the same
records say the same on any machine: p-values are in parts per billion. Must not know: what is
measured.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from math import comb, isqrt

from cobot_meter.domain.benchmarks.statistics.proportions import PPB

# Below this many pairs, and without ties, the distribution is counted out instead of approached.
EXACT_PAIRS_MAX = 400
_MICRO = 10**6
# Figures of the series below: its terms grow to 10**9 before they cancel.
_SCALE = 10**30
_ROOT_2_BY_PI = 797_884_560_802_865_355_879_892_119_869
# Beyond this many standard deviations, in millionths, what is left is less than 1e-10.
_Z_MAX = 6_500_000


def mann_whitney(before: Sequence[int], after: Sequence[int]) -> int:
    """The two-sided p that a draw of either is as likely the larger one; all for an empty sample.

    Exact for small samples without ties; else normal, corrected for ties and for continuity.
    """
    if not before or not after:
        return PPB
    u = _wins(before, after)
    ties = [count for count in Counter([*before, *after]).values() if count > 1]
    pairs = len(before) * len(after)
    if not ties and pairs <= EXACT_PAIRS_MAX:
        return _exact(min(u, 2 * pairs - u) // 2, len(before), len(after))
    return _normal(u, len(before), len(after), ties)


def hodges_lehmann(before: Sequence[int], after: Sequence[int]) -> int:
    """By how much `after` lies above `before`: the median of all differences between them.

    Of an even number the lower of the two in the middle. The differences are never made: they are
    counted below a guess, which a search narrows. Raises ValueError for an empty sample.
    """
    if not before or not after:
        raise ValueError("a shift is between two samples that say something")
    sorted_before, wanted = sorted(before), (len(before) * len(after) + 1) // 2
    low = min(after) - sorted_before[-1]
    high = max(after) - sorted_before[0]
    while low < high:
        guess = (low + high) // 2
        below = sum(len(before) - bisect_left(sorted_before, one - guess) for one in after)
        low, high = (low, guess) if below >= wanted else (guess + 1, high)
    return low


def percentile(values: Sequence[int], percent: int) -> int:
    """The smallest value that `percent` of them do not pass; 0 without values."""
    if not values:
        return 0
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def _wins(before: Sequence[int], after: Sequence[int]) -> int:
    """Twice the U of `after`: a pair that it wins counts two, a tie one."""
    ordered = sorted(before)
    return sum(bisect_left(ordered, one) + bisect_right(ordered, one) for one in after)


def _exact(u: int, one: int, other: int) -> int:
    """Twice the tail up to `u`, counted over all ways to deal the ranks."""
    ways = _ways(one, other)
    return min(PPB, 2 * sum(ways[: u + 1]) * PPB // comb(one + other, one))


def _ways(one: int, other: int) -> list[int]:
    """How many ways lead to each U: the coefficients of the Gaussian binomial."""
    top = one * other
    ways = [1] + [0] * top
    for k in range(1, one + 1):
        for at in range(top, other + k - 1, -1):
            ways[at] -= ways[at - other - k]
        for at in range(k, top + 1):
            ways[at] += ways[at - k]
    return ways


def _normal(twice_u: int, one: int, other: int, ties: Sequence[int]) -> int:
    """As far from the middle as U is, half a step taken off, in deviations of its distribution."""
    count, pairs = one + other, one * other
    tied = sum(tie**3 - tie for tie in ties)
    # Twelve times the variance, times `steps` to stay whole.
    steps = count * (count - 1)
    variance = pairs * ((count + 1) * steps - tied)
    if variance <= 0:
        return PPB
    twice_apart = max(0, abs(twice_u - pairs) - 1)
    return two_sided_ppb(isqrt(3 * twice_apart**2 * steps * _MICRO**2 // variance))


def two_sided_ppb(z_millionths: int) -> int:
    """How likely the normal distribution is so far from its middle, either way, or farther."""
    if z_millionths > _Z_MAX:
        return 0
    half_square = z_millionths**2 * _SCALE // (2 * _MICRO**2)
    power, total, n = _SCALE, 0, 0
    while power:
        total += (-power if n % 2 else power) // (2 * n + 1)
        n += 1
        power = power * half_square // (n * _SCALE)
    within = _ROOT_2_BY_PI * z_millionths * total // (_MICRO * _SCALE)
    return PPB - within * PPB // _SCALE
