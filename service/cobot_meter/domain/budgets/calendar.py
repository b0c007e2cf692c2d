"""The calendar in whole numbers: days since 1970-01-01 and dates, and an instant as ISO writes it.

Must not know: zones. Whoever calls says how many seconds local time is ahead of UTC.
"""

from __future__ import annotations

from typing import NamedTuple

DAY_S = 86_400
HOUR_S = 3_600
MINUTE_S = 60
# 1970-01-01 was a Thursday, three days after a Monday.
_EPOCH_WEEKDAY = 3
_DAYS_OF_ERA = 146_097  # 400 years
_EPOCH_DAY_OF_ERA = 719_468  # from 0000-03-01
# Months are counted from March, so January and February are of the year before.
_FEBRUARY, _MONTHS_TO_NEW_YEAR = 2, 10


class Date(NamedTuple):
    """A day of the Gregorian calendar."""

    year: int
    month: int
    day: int


def days_of(date: Date) -> int:
    """Days from 1970-01-01 to the date, by years that begin in March: the leap day ends them."""
    year, month = (
        (date.year - 1, date.month + 9) if date.month <= _FEBRUARY else (date.year, date.month - 3)
    )
    era, of_era = divmod(year, 400)
    day_of_year = (153 * month + 2) // 5 + date.day - 1
    return (
        era * _DAYS_OF_ERA
        + of_era * 365
        + of_era // 4
        - of_era // 100
        + day_of_year
        - _EPOCH_DAY_OF_ERA
    )


def date_of(days: int) -> Date:
    """The date so many days after 1970-01-01."""
    era, of_era = divmod(days + _EPOCH_DAY_OF_ERA, _DAYS_OF_ERA)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    day_of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    after_new_year = month >= _MONTHS_TO_NEW_YEAR
    return Date(
        era * 400 + year + int(after_new_year), month - 9 if after_new_year else month + 3, day
    )


def monday_of(days: int) -> int:
    """The Monday of the week that the day is of."""
    return days - (days + _EPOCH_WEEKDAY) % 7


def first_of_month(days: int, *, months_later: int = 0) -> int:
    """The first day of the month that the day is of, or of a later month."""
    date = date_of(days)
    years, month = divmod(date.month - 1 + months_later, 12)
    return days_of(Date(date.year + years, month + 1, 1))


def iso_text(utc_s: int, offset_s: int) -> str:
    """`2026-11-30T00:00:00+01:00`: an instant in Unix seconds, as clocks there show it."""
    days, second = divmod(utc_s + offset_s, DAY_S)
    sign, ahead = ("-", -offset_s) if offset_s < 0 else ("+", offset_s)
    date, rest = date_of(days), ahead % MINUTE_S
    clock = f"{second // HOUR_S:02}:{second % HOUR_S // MINUTE_S:02}:{second % MINUTE_S:02}"
    zone = f"{sign}{ahead // HOUR_S:02}:{ahead % HOUR_S // MINUTE_S:02}"
    zone += f":{rest:02}" if rest else ""
    return f"{date.year:04}-{date.month:02}-{date.day:02}T{clock}{zone}"


def utc_of_compact(text: str) -> int:
    """The instant of such a name. Raises ValueError for what is none."""
    if not (len(text) == len("20261129T230000Z") and text[8] == "T" and text[-1] == "Z"):
        message = f"no instant is written {text[:40]!r}"
        raise ValueError(message)
    date = Date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    clock = int(text[9:11]) * HOUR_S + int(text[11:13]) * MINUTE_S + int(text[13:15])
    return days_of(date) * DAY_S + clock


def compact_utc(utc_s: int) -> str:
    """`20261129T230000Z`: an instant in Unix seconds as part of a name, in the order of time."""
    text = iso_text(utc_s, 0).removesuffix("+00:00")
    return f"{text.replace('-', '').replace(':', '')}Z"
