"""What the watch over models promises, on fixed seeds: no clock is in it, so it may be asserted."""

from __future__ import annotations

from statistics import mean, median

import pytest

from benchmarks.models import watch as bench
from cobot_meter.domain.benchmarks.model_watch import WatchTerms
from cobot_meter.domain.benchmarks.statistics.drift import FallWatch

TERMS = WatchTerms()
SEEDS = 25


@pytest.mark.parametrize("quality", bench.QUALITIES)
def test_ten_points_are_found_within_four_days(quality: float) -> None:
    """The median over fixed seeds, of weak models too."""
    assert median(bench.fall_days(quality, SEEDS, TERMS)) <= bench.SOON_DAYS


@pytest.mark.parametrize("pace", [bench.FASTER, bench.SLOWER])
def test_a_quarter_of_the_time_is_found_within_two_days(pace: float) -> None:
    """Faster and slower; the median over fixed seeds."""
    assert median(bench.pace_days(pace, SEEDS, TERMS)) <= bench.LATENCY_SOON_DAYS


def test_two_years_have_at_most_one_false_alarm() -> None:
    """The mean over four models of four kinds, of quality and latency together."""
    found = [
        bench.false_alarms(seed, quality, bench.TWO_YEARS, TERMS)
        for quality in bench.QUALITIES
        for seed in range(1)
    ]
    assert mean(found) <= bench.FALSE_MAX


def test_two_replays_of_one_seed_are_one() -> None:
    """The figures can be made again: the same replies, days and bells."""
    one, other = (bench.SimulatedProbe(5).day(0, bench.SimulatedModel(quality=0.9)) for _ in "ab")
    assert one == other


def test_a_watch_that_cannot_ring_is_seen_as_such() -> None:
    """The measure itself can miss: with a height that nothing reaches the bar is not met."""
    deaf = WatchTerms(fall=FallWatch(height=10**12))
    assert bench.fall_days(0.9, 1, deaf) == [bench.AFTER_MAX + 1]
