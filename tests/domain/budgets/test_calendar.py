"""Dates in whole numbers, against the standard library's."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.budgets.calendar import (
    Date,
    compact_utc,
    date_of,
    days_of,
    first_of_month,
    iso_text,
    monday_of,
)

EPOCH = dt.date(1970, 1, 1)
DATES = st.dates(min_value=dt.date(1600, 1, 1), max_value=dt.date(2500, 1, 1))


@given(DATES)
def test_days_and_dates_are_those_of_the_standard_library(date: dt.date) -> None:
    """Leap days of every kind of year among them."""
    days = (date - EPOCH).days
    assert date_of(days) == (date.year, date.month, date.day)
    assert days_of(Date(date.year, date.month, date.day)) == days


@given(DATES)
def test_weeks_begin_on_monday_and_months_on_their_first(date: dt.date) -> None:
    """The one that the day is of, and the next month."""
    days = (date - EPOCH).days
    assert EPOCH + dt.timedelta(days=monday_of(days)) == date - dt.timedelta(days=date.weekday())
    assert EPOCH + dt.timedelta(days=first_of_month(days)) == date.replace(day=1)
    later = (date.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    assert EPOCH + dt.timedelta(days=first_of_month(days, months_later=1)) == later


@given(
    st.integers(min_value=0, max_value=2**33),
    st.integers(min_value=-14 * 3_600, max_value=14 * 3_600),
)
def test_an_instant_is_written_as_iso_has_it(at_s: int, offset_s: int) -> None:
    """What the standard library reads of it is the same instant, in the same zone."""
    read = dt.datetime.fromisoformat(iso_text(at_s, offset_s))
    assert read.timestamp() == at_s
    assert read.utcoffset() == dt.timedelta(seconds=offset_s)


def test_a_window_is_named_by_the_utc_instant_of_its_beginning() -> None:
    """Without signs that codes of accounts have between their parts."""
    assert compact_utc(0) == "19700101T000000Z"
