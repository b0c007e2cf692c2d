"""Intervals and paired tests, against printed values and against counting everything out."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.benchmarks.statistics.proportions import (
    PPB,
    PPM,
    holm,
    mcnemar_exact,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_newcombe_prints_it(successes: int, trials: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    found = wilson(successes, trials)
    assert found.low_ppm == pytest.approx(low * PPM, abs=51)
    assert found.high_ppm == pytest.approx(high * PPM, abs=51)


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_holds_the_share_and_stays_in_bounds(successes: int, trials: int) -> None:
    """The share lies in it; turned round it is the interval of the failures."""
    successes = min(successes, trials)
    found, turned = wilson(successes, trials), wilson(trials - successes, trials)
    assert 0 <= found.low_ppm <= successes * PPM / trials <= found.high_ppm <= PPM
    assert found.low_ppm == pytest.approx(PPM - turned.high_ppm, abs=2)


def test_no_trials_say_nothing_and_too_many_successes_are_refused() -> None:
    """Without a trial every share is as likely as before."""
    assert (wilson(0, 0).low_ppm, wilson(0, 0).high_ppm) == (0, PPM)
    with pytest.raises(ValueError, match="5 of 4 is no share"):
        wilson(5, 4)


def test_mcnemar_as_others_print_it() -> None:
    """R's binom.test(121, 180) and statsmodels' mcnemar on [[101, 121], [59, 33]]: 4.434e-06."""
    assert mcnemar_exact(121, 59) == int(4.434e-06 * PPB)
    assert mcnemar_exact(1, 9) == 22 * PPB // 1024


@given(st.integers(0, 9), st.integers(0, 9))
def test_mcnemar_is_a_count_of_coins(lost: int, won: int) -> None:
    """The p is the share of all throws that are as lopsided or more, on either side."""
    parted = lost + won
    apart = abs(lost - won)
    throws = [sum(coins) for coins in product((0, 1), repeat=min(parted, 10))]
    if parted <= 10:
        as_far = sum(abs(2 * heads - parted) >= apart for heads in throws)
        assert mcnemar_exact(lost, won) == as_far * PPB // len(throws)
    assert mcnemar_exact(lost, won) == mcnemar_exact(won, lost)


def test_mcnemar_takes_many_pairs() -> None:
    """Thousands of pairs are no reason to fall over."""
    assert mcnemar_exact(3_000, 3_000) == PPB
    assert mcnemar_exact(3_000, 2_000) == 0


def test_holm_as_it_is_worked_out_by_hand() -> None:
    """The smallest times four, the next times three, and never below the one before."""
    assert holm([10, 40, 30, 5]) == [30, 60, 60, 20]
    assert holm([]) == []


@given(st.lists(st.integers(0, PPB), max_size=12))
def test_holm_lies_between_none_and_bonferroni(p_values: list[int]) -> None:
    """It keeps the order, makes nothing smaller, and is never stricter than Bonferroni."""
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(PPB, p * len(p_values))
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert [q for _, q in pairs] == sorted(adjusted)
