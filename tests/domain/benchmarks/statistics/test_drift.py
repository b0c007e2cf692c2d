"""CUSUM: Page's sum as Montgomery prints it, and what days of forty replies say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.benchmarks.statistics.drift import FallWatch, page
from cobot_meter.domain.benchmarks.statistics.proportions import PPM

# Montgomery, Introduction to Statistical Quality Control, table 9.1: target 10, K = 1/2, H = 5;
# from the 21st value on the mean is 11.
MEASURED = (
    *(9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34),
    *(9.03, 11.47, 10.51, 9.40, 10.08, 9.37, 10.62, 10.31, 8.52, 10.84),
    *(10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52),
)


def test_pages_sum_as_montgomery_prints_it() -> None:
    """It passes 5 for the first time at the 29th value, with 5.28."""
    sums = list(page(round(100 * one) - 1_050 for one in MEASURED))
    assert next(at for at, total in enumerate(sums, start=1) if total > 500) == 29
    assert (sums[4], sums[28]) == (282, 528)


@given(st.lists(st.integers(-99, 99), max_size=50))
def test_the_sum_is_the_worst_stretch_that_ends_today(steps: list[int]) -> None:
    """It is the largest sum of any last days, or nothing."""
    found = list(page(steps))
    for at, total in enumerate(found, start=1):
        stretches = [sum(steps[begin:at]) for begin in range(at)]
        assert total == max(0, *stretches)


@given(st.integers(1, 200), st.integers(0, PPM))
def test_a_day_of_more_failures_says_more(trials: int, usual_ppm: int) -> None:
    """Each failure more speaks for a fall; a day without any never does."""
    watch = FallWatch()
    said = [watch.step(good, trials, usual_ppm=usual_ppm) for good in range(trials, -1, -1)]
    assert said == sorted(said)
    assert said[0] <= 0


@pytest.mark.parametrize("usual", [0, 100, 110, 500, 900, 1_000])
def test_usual_days_do_not_add_up(usual: int) -> None:
    """Days exactly as usual leave the sum at nothing, for ever."""
    days = [(usual, 1_000)] * 50
    assert FallWatch().sums(days, usual_ppm=usual * 1_000)[-1] == 0


def test_ten_points_are_seen_in_days() -> None:
    """From 36 right of 40 to 32, day after day, passes the height within four days."""
    watch = FallWatch()
    sums = watch.sums([(36, 40)] * 20 + [(32, 40)] * 4, usual_ppm=900_000)
    assert sums[19] == 0
    assert sums[-1] > 3_500_000
