"""Windows of hours, days, weeks and months: exact over every change of the clock."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.budgets.periods import Period, Window, window_at
from cobot_meter.flows.budget.zones import offsets_of
from tests.domain.budgets.zones import BERLIN, ZONES, first_minute_of, instant, local

HOUR_S = 3_600
INSTANTS = st.integers(min_value=0, max_value=2**32)


def at(zone: str, period: Period, at_s: int) -> Window:
    """The window of this zone at a Unix second."""
    return window_at(period, offsets_of(zone), at_s * 1_000)


@given(st.sampled_from(ZONES), st.sampled_from(Period), INSTANTS)
def test_windows_follow_each_other_without_gap_or_overlap(
    zone: str, period: Period, at_s: int
) -> None:
    """Each instant is in one, and the next one begins where it ends, from 1970 to 2106."""
    window = at(zone, period, at_s)
    assert window.start_s <= at_s < window.end_s
    assert at(zone, period, window.start_s) == window
    assert at(zone, period, window.end_s - 1) == window
    assert at(zone, period, window.end_s).start_s == window.end_s
    assert at(zone, period, window.start_s - 1).end_s == window.start_s


@given(st.sampled_from(ZONES), st.integers(min_value=0, max_value=24_000))
def test_a_day_begins_in_the_minute_in_which_clocks_first_show_it(zone: str, days: int) -> None:
    """By a second way to say it: minute after minute through the standard library."""
    date = dt.date(1972, 1, 1) + dt.timedelta(days=days)
    first_s = first_minute_of(zone, date)
    assert at(zone, Period.DAY, first_s).start_s == first_s
    assert at(zone, Period.DAY, first_s - 1).end_s == first_s


@given(st.sampled_from(ZONES), st.integers(min_value=0, max_value=3_000))
def test_a_week_begins_with_its_monday_and_a_month_with_its_first(zone: str, weeks: int) -> None:
    """In the first minute of that day."""
    monday = dt.date(1973, 1, 1) + dt.timedelta(weeks=weeks)
    assert at(zone, Period.WEEK, first_minute_of(zone, monday)).start_s == first_minute_of(
        zone, monday
    )
    first = monday.replace(day=1)
    month = at(zone, Period.MONTH, first_minute_of(zone, monday))
    assert month.start_s == first_minute_of(zone, first)
    assert month.end_s == first_minute_of(zone, (first + dt.timedelta(days=32)).replace(day=1))


@pytest.mark.parametrize(
    ("zone", "day", "hours", "begins", "ends"),
    [
        (BERLIN, "2026-03-29", 23, "00:00:00+01:00", "00:00:00+02:00"),
        (BERLIN, "2026-10-25", 25, "00:00:00+02:00", "00:00:00+01:00"),
        ("America/New_York", "2026-03-08", 23, "00:00:00-05:00", "00:00:00-04:00"),
        ("America/New_York", "2026-11-01", 25, "00:00:00-04:00", "00:00:00-05:00"),
        ("Australia/Lord_Howe", "2026-04-05", 24.5, "00:00:00+11:00", "00:00:00+10:30"),
        ("Australia/Lord_Howe", "2026-10-04", 23.5, "00:00:00+10:30", "00:00:00+11:00"),
        # Put back from midnight to 23:00 of the same day, and on from midnight to one o'clock.
        ("America/Santiago", "2026-04-04", 25, "00:00:00-03:00", "00:00:00-04:00"),
        ("America/Santiago", "2026-09-06", 23, "01:00:00-03:00", "00:00:00-03:00"),
        ("Africa/Cairo", "2026-04-24", 23, "01:00:00+03:00", "00:00:00+03:00"),
        ("Africa/Cairo", "2026-10-29", 25, "00:00:00+03:00", "00:00:00+02:00"),
        ("Asia/Kathmandu", "2026-10-25", 24, "00:00:00+05:45", "00:00:00+05:45"),
    ],
)
def test_a_day_of_a_change_has_its_own_length(
    zone: str, day: str, hours: float, begins: str, ends: str
) -> None:
    """Both changes of the clock in five zones, to the second."""
    window = at(zone, Period.DAY, instant(zone, f"{day}T12:00:00"))
    assert window.end_s - window.start_s == hours * HOUR_S
    assert local(zone, window.start_s).isoformat() == f"{day}T{begins}"
    assert local(zone, window.end_s).time().isoformat() == ends[:8]
    assert local(zone, window.end_s).isoformat()[11:] == ends
    assert at(zone, Period.DAY, window.start_s - 1).end_s == window.start_s


def test_the_day_that_was_left_out_has_no_window() -> None:
    """Samoa went from the 29th to the 31st of December 2011 at midnight."""
    zone = "Pacific/Apia"
    before = at(zone, Period.DAY, instant(zone, "2011-12-29T12:00:00"))
    assert local(zone, before.end_s).date() == dt.date(2011, 12, 31)
    assert before.end_s - before.start_s == 24 * HOUR_S


def test_a_day_that_has_begun_does_not_end_when_clocks_are_put_back_over_its_midnight() -> None:
    """Newfoundland did so at one minute past midnight: the day before has no second end."""
    zone = "America/St_Johns"
    again_s = instant(zone, "2010-11-06T23:30:00", fold=1)
    window = at(zone, Period.DAY, again_s)
    assert local(zone, again_s).date() == dt.date(2010, 11, 6)
    assert local(zone, window.start_s).date() == dt.date(2010, 11, 7)
    assert window.end_s - window.start_s == 25 * HOUR_S


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    """And one that half an hour is cut off from is half as long."""
    first = at(BERLIN, Period.HOUR, instant(BERLIN, "2026-10-25T02:30:00"))
    second = at(BERLIN, Period.HOUR, instant(BERLIN, "2026-10-25T02:30:00", fold=1))
    assert (first.end_s, first.end_s - first.start_s) == (second.start_s, HOUR_S)
    lord_howe = "Australia/Lord_Howe"
    again = at(lord_howe, Period.HOUR, instant(lord_howe, "2026-04-05T01:45:00", fold=1))
    assert again.end_s - again.start_s == HOUR_S // 2


def test_february_of_a_leap_year_has_a_day_more() -> None:
    """2028 has one, 2026 and 2100 have none."""
    lengths = {
        year: at("UTC", Period.MONTH, instant("UTC", f"{year}-02-10T00:00:00"))
        for year in (2026, 2028, 2100)
    }
    days = {year: (one.end_s - one.start_s) // (24 * HOUR_S) for year, one in lengths.items()}
    assert days == {2026: 28, 2028: 29, 2100: 28}


@given(st.sampled_from(ZONES), st.sampled_from(Period), INSTANTS, st.integers(0, 10**6))
def test_a_clock_that_is_put_back_finds_windows_that_there_were(
    zone: str, period: Period, at_s: int, back_s: int
) -> None:
    """What an instant's window is depends on nothing that was asked before."""
    earlier = at(zone, period, at_s - back_s)
    at(zone, period, at_s)
    assert at(zone, period, at_s - back_s) == earlier
    assert earlier.start_s <= at(zone, period, at_s).start_s
