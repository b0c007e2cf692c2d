"""Two clocks that part: what ends by itself ends late and in portions, never in a lump."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.steady_time import (
    PACE,
    RESTART_GAP_MS,
    STANDS_AFTER_MS,
    TOLERANCE_MS,
    SteadyTime,
    begun,
    followed,
)

WALL_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TICK_MS = 2_000


class Clocks:
    """Both clocks of a machine, looked at every two seconds."""

    def __init__(self, *, latest_ms: int = 0) -> None:
        self.wall_ms = WALL_MS
        self.monotonic_ms = 5_000
        self.time: SteadyTime = begun(
            wall_ms=self.wall_ms, monotonic_ms=self.monotonic_ms, latest_ms=latest_ms
        )

    def tick(self, milliseconds: int = TICK_MS, *, step_ms: int = 0) -> None:
        """Time passes, and the wall clock is set by `step_ms` on the way."""
        self.wall_ms += milliseconds + step_ms
        self.monotonic_ms += milliseconds
        self.time = followed(self.time, wall_ms=self.wall_ms, monotonic_ms=self.monotonic_ms)

    def run(self, milliseconds: int) -> None:
        """Many ticks."""
        for _ in range(milliseconds // TICK_MS):
            self.tick()

    @property
    def ending_ms(self) -> int:
        return min(self.wall_ms, self.monotonic_ms + self.time.ending)

    @property
    def day_ms(self) -> int:
        return self.monotonic_ms + self.time.stood


def test_a_clock_that_is_kept_in_time_is_believed() -> None:
    """Corrections of seconds, in either direction, are followed at once."""
    clocks = Clocks()
    for step_ms in (0, 1_500, -1_500, TOLERANCE_MS, -TOLERANCE_MS):
        clocks.tick(step_ms=step_ms)
        assert clocks.ending_ms == clocks.day_ms == clocks.wall_ms
        assert not clocks.time.parted


def test_a_month_forward_ends_nothing_for_ten_minutes_and_then_in_portions() -> None:
    """For each hour that passes at most a day's worth of claims can lapse."""
    clocks = Clocks()
    clocks.tick(step_ms=30 * DAY_MS)
    before_ms = clocks.ending_ms
    clocks.run(STANDS_AFTER_MS - 2 * TICK_MS)
    assert clocks.ending_ms - before_ms < STANDS_AFTER_MS
    assert clocks.day_ms == clocks.ending_ms
    clocks.run(3 * TICK_MS)
    assert clocks.day_ms == clocks.wall_ms
    start_ms = clocks.ending_ms
    clocks.run(HOUR_MS)
    assert 0 < clocks.ending_ms - start_ms <= (PACE + 1) * HOUR_MS
    assert clocks.time.parted
    clocks.run(30 * HOUR_MS)
    assert clocks.ending_ms == clocks.wall_ms
    assert not clocks.time.parted


def test_set_right_again_nothing_has_ended() -> None:
    """An operator who sees it in time loses nothing."""
    clocks = Clocks()
    clocks.tick(step_ms=30 * DAY_MS)
    clocks.run(300_000)
    clocks.tick(step_ms=-30 * DAY_MS)
    assert clocks.ending_ms == clocks.day_ms == clocks.wall_ms
    assert not clocks.time.parted


def test_an_hour_back_puts_ends_off_and_never_brings_them_on() -> None:
    """What ends by itself goes back with the clock; the day only once that has stood."""
    clocks = Clocks()
    before_ms = clocks.day_ms
    clocks.tick(step_ms=-HOUR_MS)
    assert clocks.ending_ms == clocks.wall_ms
    assert clocks.day_ms == before_ms + TICK_MS
    clocks.tick(step_ms=HOUR_MS)
    assert clocks.ending_ms == clocks.day_ms == clocks.wall_ms
    clocks.tick(step_ms=-HOUR_MS)
    clocks.run(STANDS_AFTER_MS + 2 * TICK_MS)
    assert clocks.ending_ms == clocks.day_ms == clocks.wall_ms


def test_a_clock_that_is_never_still_is_not_believed() -> None:
    """Ten minutes begin anew with every jump."""
    clocks = Clocks()
    for _ in range(10):
        clocks.tick(step_ms=DAY_MS)
        clocks.run(STANDS_AFTER_MS // 2)
    assert clocks.ending_ms < clocks.wall_ms - 9 * DAY_MS
    assert clocks.day_ms == clocks.ending_ms


def test_over_a_restart_the_books_say_when_they_were_written() -> None:
    """Shortly after it the clock is believed; a month on or an hour back it is not at once."""
    assert not Clocks(latest_ms=WALL_MS - HOUR_MS).time.parted
    assert not Clocks().time.parted
    forward = Clocks(latest_ms=WALL_MS - 30 * DAY_MS)
    assert forward.time.parted
    assert forward.ending_ms == WALL_MS - 30 * DAY_MS
    assert forward.day_ms == WALL_MS
    forward.run(STANDS_AFTER_MS)
    assert forward.ending_ms <= WALL_MS - 30 * DAY_MS + STANDS_AFTER_MS
    forward.run(HOUR_MS)
    assert forward.ending_ms <= WALL_MS - 30 * DAY_MS + STANDS_AFTER_MS + (PACE + 1) * HOUR_MS
    back = Clocks(latest_ms=WALL_MS + HOUR_MS)
    assert (back.ending_ms, back.day_ms) == (WALL_MS, WALL_MS + HOUR_MS)
    back.run(STANDS_AFTER_MS + 2 * TICK_MS)
    assert back.ending_ms == back.day_ms == back.wall_ms
    assert RESTART_GAP_MS == DAY_MS


@given(
    st.lists(
        st.tuples(
            st.integers(min_value=1, max_value=HOUR_MS),
            st.integers(min_value=-40 * DAY_MS, max_value=40 * DAY_MS) | st.just(0),
        ),
        max_size=40,
    )
)
def test_whatever_is_set_ends_come_at_most_25_times_as_fast(steps: list[tuple[int, int]]) -> None:
    """Ever since the start, but for small corrections, and never ahead of the wall clock."""
    clocks = Clocks()
    furthest_ms = clocks.ending_ms
    for passed_ms, step_ms in steps:
        clocks.tick(passed_ms, step_ms=step_ms)
        furthest_ms += (PACE + 1) * passed_ms + 2 * TOLERANCE_MS
        assert clocks.ending_ms <= min(furthest_ms, clocks.wall_ms)
