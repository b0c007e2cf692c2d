"""Rank tests and shifts, against printed values and against making every pair."""

from __future__ import annotations

from itertools import combinations
from math import erfc, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.benchmarks.statistics.proportions import PPB
from cobot_meter.domain.benchmarks.statistics.shifts import (
    hodges_lehmann,
    mann_whitney,
    percentile,
    two_sided_ppb,
)

SAMPLES = st.lists(st.integers(-1_000, 1_000), min_size=1, max_size=30)
# Hollander and Wolfe, Nonparametric Statistical Methods (1973), table 4.1, in hundredths:
# permeability of membranes at term, and between 12 and 26 weeks.
TERM = (80, 83, 189, 104, 145, 138, 191, 164, 73, 146)
EARLIER = (115, 88, 90, 74, 121)


def test_membranes_as_hollander_and_wolfe_have_them() -> None:
    """R prints p = 0.1272 one-sided, which is 0.2544 for both sides, and a shift of 0.305."""
    assert mann_whitney(EARLIER, TERM) == pytest.approx(0.2544 * PPB, abs=5e-5 * PPB)
    assert hodges_lehmann(EARLIER, TERM) == 30


def test_ages_as_scipy_prints_them() -> None:
    """The example of SciPy's mannwhitneyu: 0.1111 exact."""
    assert mann_whitney((20, 11, 17, 12), (19, 22, 16, 29, 24)) == PPB // 9


def test_ties_take_the_normal_way() -> None:
    """With a tie of two 22s the normal approximation, corrected for both, is 0.1173."""
    found = mann_whitney((20, 11, 17, 12, 22), (19, 22, 16, 29, 24, 22))
    assert found == pytest.approx(0.1173 * PPB, abs=5e-5 * PPB)


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=8, unique=True), st.data())
def test_small_samples_are_counted_out(drawn: list[int], data: st.DataObject) -> None:
    """The p is the share of all ways to deal the values that lie as far apart."""
    cut = data.draw(st.integers(1, len(drawn) - 1))
    before, after = drawn[:cut], drawn[cut:]
    pairs = len(before) * len(after)

    def apart(dealt: tuple[int, ...]) -> int:
        rest = [one for one in drawn if one not in dealt]
        return abs(2 * sum(b > a for a in rest for b in dealt) - pairs)

    deals = list(combinations(drawn, len(after)))
    as_far = sum(apart(dealt) >= apart(tuple(after)) for dealt in deals)
    assert mann_whitney(before, after) == as_far * PPB // len(deals)


@given(SAMPLES, SAMPLES)
def test_a_p_is_a_share_and_knows_no_direction(before: list[int], after: list[int]) -> None:
    """It lies between 0 and 1 and is the same when the samples change places."""
    found = mann_whitney(before, after)
    assert 0 <= found <= PPB
    assert found == mann_whitney(after, before)


@given(st.integers(0, 8_000_000))
def test_the_normal_tail_is_that_of_the_library(z_millionths: int) -> None:
    """In whole numbers it says what `erfc` says, to one part in a billion."""
    expected = erfc(z_millionths / 1e6 / sqrt(2)) * PPB
    assert two_sided_ppb(z_millionths) == pytest.approx(expected, abs=1.01)


def test_scipys_normal_figure_with_continuity() -> None:
    """SciPy's same example the normal way is 0.11134688653314041: 2.9 / 1.82574 deviations."""
    z_millionths = int((7 - 0.5) / sqrt(20 * 10 / 12) * 1e6)
    assert two_sided_ppb(z_millionths) == pytest.approx(0.11134688653314041 * PPB, abs=300)


@given(SAMPLES, SAMPLES)
def test_a_shift_is_the_median_of_all_differences(before: list[int], after: list[int]) -> None:
    """As if every difference had been made and sorted, of two in the middle the lower."""
    differences = sorted(b - a for a in before for b in after)
    assert hodges_lehmann(before, after) == differences[(len(differences) - 1) // 2]


@given(SAMPLES, st.integers(-500, 500))
def test_what_moved_as_a_whole_moved_by_that(before: list[int], by: int) -> None:
    """A sample of an odd size that is shifted by some amount is found to be shifted by it."""
    odd = before if len(before) % 2 else before[1:] or [0]
    assert hodges_lehmann(odd, [one + by for one in odd]) == by


def test_samples_that_say_nothing() -> None:
    """Without values nothing has moved; equal values differ in nothing."""
    assert mann_whitney([], [1]) == PPB
    assert mann_whitney([5] * 30, [5] * 30) == PPB
    with pytest.raises(ValueError, match="two samples"):
        hodges_lehmann([], [1])


def test_percentiles_are_values_that_were_measured() -> None:
    """The nearest rank, and nothing in between."""
    assert [percentile(range(1, 101), p) for p in (1, 50, 95, 100)] == [1, 50, 95, 100]
    assert percentile([7], 95) == 7
    assert percentile([], 50) == 0
