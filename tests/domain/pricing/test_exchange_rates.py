"""Which rate is believed: nobody alone decides it, nothing old counts, and jumps are seen."""

from __future__ import annotations

import ast
import dataclasses
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.money import ExchangeRate, msat_from_pusd
from cobot_meter.domain.pricing import exchange_rates
from cobot_meter.domain.pricing.exchange_rates import (
    AgreedRate,
    JumpWatch,
    NoAgreement,
    RateTerms,
    Reading,
    agreed_rate,
    differs,
    is_fresh,
    watched,
)

NOW_MS = 1_700_000_000_000
TERMS = RateTerms()
USD = 10**6
NAMES = ("bitstamp", "coinbase", "kraken", "mempool", "other")
PLAUSIBLE = st.integers(min_value=1, max_value=9 * 10**12)


def readings(*usd: int, at_ms: int = NOW_MS) -> list[Reading]:
    """One reading a source, in whole USD, in the order of NAMES."""
    return [
        Reading(source=name, usd_micro_per_btc=one * USD, at_ms=at_ms)
        for name, one in zip(NAMES, usd, strict=False)
    ]


def agreed(*usd: int) -> AgreedRate:
    """What these readings agree on."""
    found = agreed_rate(readings(*usd), terms=TERMS, now_ms=NOW_MS)
    assert isinstance(found, AgreedRate)
    return found


def no_agreement(given_readings: list[Reading], *, now_ms: int = NOW_MS) -> str:
    """Why these readings make no rate."""
    found = agreed_rate(given_readings, terms=TERMS, now_ms=now_ms)
    assert isinstance(found, NoAgreement)
    return found.why


def test_the_middle_one_counts_and_everybody_near_it_is_named() -> None:
    """The source of a rate says who stands behind it, in alphabetical order."""
    found = agreed(64_100, 64_000, 64_200)
    assert found.rate == ExchangeRate(
        usd_micro_per_btc=64_100 * USD,
        source="median:bitstamp,coinbase,kraken",
        fetched_at_ms=NOW_MS,
    )
    assert found.cut == ()


def test_an_outlier_is_cut_and_not_named() -> None:
    """A source further than the bound from the median does not stand behind the rate."""
    found = agreed(64_000, 64_100, 32_000, 64_200)
    assert (found.rate.source, found.cut) == ("median:bitstamp,coinbase,mempool", ("kraken",))


def test_of_two_middle_readings_the_lower_is_taken() -> None:
    """With an even number the rate is the one at which we never ask for too little."""
    found = agreed(64_000, 64_300, 64_100, 64_200)
    assert found.rate.usd_micro_per_btc == 64_100 * USD
    higher = dataclasses.replace(found.rate, usd_micro_per_btc=64_200 * USD)
    assert msat_from_pusd(10**12, found.rate) > msat_from_pusd(10**12, higher)


def test_a_rate_is_as_old_as_the_oldest_reading_behind_it() -> None:
    """It goes stale with the first of those who stand behind it."""
    old, *rest = readings(64_000, 64_000, 64_000)
    old = dataclasses.replace(old, at_ms=NOW_MS - 5_000)
    found = agreed_rate([old, *rest], terms=TERMS, now_ms=NOW_MS)
    assert isinstance(found, AgreedRate)
    assert found.rate.fetched_at_ms == NOW_MS - 5_000


@pytest.mark.parametrize(
    ("usd", "why"),
    [
        ((), "0 of 0 readings are fresh, 2 must be"),
        ((64_000,), "1 of 1 readings are fresh, 2 must be"),
        ((64_000, 70_000), "1 of 2 sources agree, 2 must"),
        ((60_000, 64_000, 70_000), "1 of 3 sources agree, 2 must"),
        ((64_000, 64_000, 70_000, 70_000), "2 of 4 sources agree, 3 must"),
    ],
)
def test_without_a_majority_there_is_no_rate(usd: tuple[int, ...], why: str) -> None:
    """Two against two, or one alone, decide nothing."""
    assert no_agreement(readings(*usd)) == why


@given(
    honest=st.lists(PLAUSIBLE, min_size=2, max_size=4),
    lie=PLAUSIBLE,
    place=st.integers(min_value=0, max_value=4),
    bound_bps=st.integers(min_value=0, max_value=10_000),
)
def test_one_liar_never_moves_the_rate_out_of_the_honest_range(
    honest: list[int], lie: int, place: int, bound_bps: int
) -> None:
    """Whatever one of three or more says, the rate lies between what the others say."""
    said = [*honest[:place], lie, *honest[place:]]
    found = agreed_rate(
        [
            Reading(source=name, usd_micro_per_btc=one, at_ms=NOW_MS)
            for name, one in zip(NAMES, said, strict=False)
        ],
        terms=RateTerms(outlier_bps=bound_bps),
        now_ms=NOW_MS,
    )
    if isinstance(found, AgreedRate):
        assert min(honest) <= found.rate.usd_micro_per_btc <= max(honest)
        assert len(found.sources) * 2 > len(said)


@given(
    said=st.lists(st.tuples(PLAUSIBLE, st.integers(-900_000, 900_000)), max_size=5),
)
def test_what_is_stale_never_counts(said: list[tuple[int, int]]) -> None:
    """Readings too old, or dated ahead, change nothing but the number of those asked."""
    given_readings = [
        Reading(source=name, usd_micro_per_btc=one, at_ms=NOW_MS - age_ms)
        for name, (one, age_ms) in zip(NAMES, said, strict=False)
    ]
    fresh = [one for one in given_readings if -10_000 <= NOW_MS - one.at_ms <= TERMS.max_age_ms]
    found = agreed_rate(given_readings, terms=TERMS, now_ms=NOW_MS)
    without = agreed_rate(fresh, terms=TERMS, now_ms=NOW_MS)
    if isinstance(found, AgreedRate):
        assert found == without
        assert set(found.sources) <= {one.source for one in fresh}
    else:
        assert isinstance(without, NoAgreement)


@given(said=st.lists(PLAUSIBLE, min_size=2, max_size=5), order=st.permutations(range(5)))
def test_the_order_of_readings_is_nothing(said: list[int], order: list[int]) -> None:
    """Who answers first decides nothing."""
    given_readings = [
        Reading(source=name, usd_micro_per_btc=one, at_ms=NOW_MS)
        for name, one in zip(NAMES, said, strict=False)
    ]
    other_way = [given_readings[place] for place in order if place < len(given_readings)]
    found = agreed_rate(given_readings, terms=TERMS, now_ms=NOW_MS)
    assert found == agreed_rate(other_way, terms=TERMS, now_ms=NOW_MS)


def test_the_judgement_knows_no_float() -> None:
    """No true division, no float literal and no `float` stand in the module."""
    tree = ast.parse(Path(exchange_rates.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Div)
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
        assert not (isinstance(node, ast.Name) and node.id == "float")


class Following:
    """A watch that is shown one rate after the other."""

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self.watch = JumpWatch()
        self.now_ms = NOW_MS

    def see(self, usd: int | None, *, after_s: int = 60, lag_s: int = 0) -> bool:
        """Whether post-paid is paused once this rate is seen; `lag_s` is how old it is."""
        self.now_ms += after_s * 1_000
        rate = None
        if usd is not None:
            dated_ms = self.now_ms - lag_s * 1_000
            rate = ExchangeRate(usd_micro_per_btc=usd * USD, source="x", fetched_at_ms=dated_ms)
        self.watch = watched(self.watch, rate, terms=TERMS, now_ms=self.now_ms)
        return self.watch.paused_at_ms is not None


def test_a_jump_pauses_until_it_has_held() -> None:
    """Down by more than the bound: paused, and trusted after two minutes at the new level."""
    seen = Following()
    assert [seen.see(usd) for usd in (60_000, 53_000, 53_100, 53_000)] == [False, True, True, False]
    assert not seen.see(53_100)


def test_a_move_within_the_bound_pauses_nothing() -> None:
    """Ten per cent is the bound itself."""
    seen = Following()
    assert [seen.see(usd) for usd in (60_000, 54_000, 59_000)] == [False, False, False]


def test_small_steps_add_up_within_the_window() -> None:
    """A slide of five per cent a minute is a jump as soon as it adds up to more than ten."""
    seen = Following()
    assert [seen.see(usd) for usd in (60_000, 57_000, 54_150, 51_443)] == [
        False,
        False,
        False,
        True,
    ]


def test_the_same_move_over_a_longer_time_is_no_jump() -> None:
    """What has left the window is not compared with."""
    seen = Following()
    assert not seen.see(60_000)
    assert not seen.see(53_000, after_s=601)


def test_a_level_that_goes_on_moving_is_not_settled() -> None:
    """Each move beyond the outlier bound begins the time anew."""
    seen = Following()
    seen.see(60_000)
    assert [seen.see(usd) for usd in (50_000, 48_000, 46_000, 44_000)] == [True] * 4
    assert [seen.see(44_000) for _ in range(2)] == [True, False]


def test_a_rate_that_comes_back_ends_the_pause() -> None:
    """A spike that is gone at the next look was none of ours."""
    seen = Following()
    assert [seen.see(usd) for usd in (60_000, 80_000, 60_100)] == [False, True, False]


def test_a_level_is_not_confirmed_from_memory() -> None:
    """Readings from before the level was first seen prove nothing, however late it is."""
    seen = Following()
    seen.see(60_000)
    assert seen.see(50_000)
    assert seen.see(50_000, after_s=180, lag_s=180)
    assert not seen.see(50_000, after_s=60, lag_s=30)


def test_a_gap_without_a_rate_begins_the_time_anew() -> None:
    """A level that nobody confirmed meanwhile has not held."""
    seen = Following()
    seen.see(60_000)
    assert [seen.see(usd) for usd in (50_000, None, 50_000, 50_000)] == [True] * 4
    assert not seen.see(50_000)


def test_a_pause_outlives_the_window() -> None:
    """Time alone is no proof: a rate that keeps jumping stays paused after ten minutes."""
    seen = Following()
    seen.see(60_000)
    assert all(seen.see(50_000 if look % 2 else 40_000) for look in range(15))


@given(st.lists(st.integers(1, 10**6), max_size=300))
def test_what_is_remembered_has_a_bound(rates: list[int]) -> None:
    """A look every second keeps no more than a fixed number of levels."""
    seen = Following()
    for usd in rates:
        seen.see(usd, after_s=1)
    assert len(seen.watch.trusted) <= 70


def test_a_peak_within_the_window_is_remembered() -> None:
    """What has come back to where it was is compared with what it was in between."""
    seen = Following()
    slide = (60_000, 63_000, 66_000, 62_000, 59_500, 59_300)
    assert [seen.see(usd) for usd in slide] == [False] * 5 + [True]


def test_levels_close_together_are_thinned_and_no_others() -> None:
    """A look every second leaves one level for each 64th of the window, and the newest."""
    seen = Following()
    for _ in range(100):
        seen.see(60_000, after_s=1)
    times = [level.at_ms for level in seen.watch.trusted]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[:-1] == [10_000] * 9
    assert (times[0], times[-1]) == (NOW_MS + 1_000, seen.now_ms)
    rare = Following()
    for _ in range(9):
        rare.see(60_000, after_s=10)
    assert len(rare.watch.trusted) == 9


@pytest.mark.parametrize(("gap_ms", "levels"), [(9_374, 4), (9_375, 6)])
def test_a_64th_of_the_window_is_the_least_between_two_levels(gap_ms: int, levels: int) -> None:
    """To the millisecond: six looks so far apart are all remembered, or every second one."""
    watch = JumpWatch()
    for number in range(6):
        now_ms = NOW_MS + number * gap_ms
        rate = ExchangeRate(usd_micro_per_btc=USD, source="x", fetched_at_ms=now_ms)
        watch = watched(watch, rate, terms=TERMS, now_ms=now_ms)
    assert len(watch.trusted) == levels


@pytest.mark.parametrize(
    ("age_ms", "fresh"),
    [(-10_001, False), (-10_000, True), (0, True), (600_000, True), (600_001, False)],
)
def test_what_is_fresh(age_ms: int, *, fresh: bool) -> None:
    """Ten minutes, and ten seconds ahead of us, to the millisecond."""
    assert is_fresh(NOW_MS - age_ms, terms=TERMS, now_ms=NOW_MS) is fresh


def test_a_level_seen_in_this_very_moment_is_in_the_window() -> None:
    """Two looks within a millisecond: the second is compared with the first."""
    seen = Following()
    seen.see(60_000)
    assert seen.see(50_000, after_s=0)


def test_a_level_leaves_the_window_after_ten_minutes() -> None:
    """To the second."""
    for after_s, paused in ((600, True), (601, False)):
        seen = Following()
        seen.see(60_000)
        assert seen.see(50_000, after_s=after_s) is paused


def test_levels_from_a_clock_that_went_back_prove_nothing() -> None:
    """What is dated ahead is neither compared with nor taken as having held."""
    seen = Following()
    seen.see(60_000)
    assert not seen.see(50_000, after_s=-1)
    seen = Following()
    seen.see(60_000)
    assert seen.see(50_000)
    assert seen.see(50_000, after_s=-30)
    assert seen.watch.unproven is not None
    assert seen.watch.unproven.at_ms == seen.now_ms
    assert seen.see(50_000, after_s=119)
    assert not seen.see(50_000, after_s=1)


def test_a_pause_says_since_when() -> None:
    """The first moment of it, however long it lasts, and nothing new is trusted meanwhile."""
    seen = Following()
    seen.see(60_000)
    before = seen.watch.trusted
    seen.see(50_000)
    began_ms = seen.now_ms
    for usd in (50_000, None, 44_000, 44_100):
        seen.see(usd)
        assert seen.watch.paused_at_ms == began_ms
        assert seen.watch.trusted == before
    assert not seen.see(44_000)
    assert [level.usd_micro_per_btc for level in seen.watch.trusted] == [44_000 * USD]


def test_the_terms_where_nothing_is_set() -> None:
    """Ten minutes, two per cent, two sources, ten per cent, ten minutes, two minutes."""
    assert RateTerms() == RateTerms(
        max_age_ms=600_000,
        outlier_bps=200,
        agreeing_min=2,
        jump_bps=1_000,
        jump_window_ms=600_000,
        settle_ms=120_000,
    )


def test_sources_of_one_rate_stand_in_the_order_of_their_names() -> None:
    """Whatever they say, so that the same sources are always the same text."""
    found = agreed(64_300, 64_000, 64_200, 64_100, 90_000)
    assert found.sources == ("bitstamp", "coinbase", "kraken", "mempool")
    assert found.cut == ("other",)
    assert found.rate.usd_micro_per_btc == 64_200 * USD


@given(level=PLAUSIBLE, bound_bps=st.integers(0, 10_000))
def test_the_bound_itself_is_within_it(level: int, bound_bps: int) -> None:
    """One micro-USD beyond the bound differs, up and down, and nothing is rounded."""
    reach = level * bound_bps // 10_000
    assert not differs(level + reach, level, bound_bps)
    assert not differs(level - reach, level, bound_bps)
    assert differs(level + reach + 1, level, bound_bps)
    assert differs(level - reach - 1, level, bound_bps)
