"""The hour, day, week or month that an instant lies in, exact over every change of the clock.

A day begins when the clocks of a zone first show its midnight, or where they jump over that, in the
instant of the jump. What has begun does not end again when they are put back over midnight. So the
windows of a zone follow each other without gap or overlap, and a day has 23, 24 or 25 hours, or
what else the zone's rules say. Must not know: where the rules come from, or what a window is for.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

from cobot_meter.domain.budgets.calendar import DAY_S, HOUR_S, first_of_month, monday_of

# How many seconds the clocks of a zone are ahead of UTC, at an instant in Unix seconds.
Offsets = Callable[[int], int]
# No clock is further from UTC than this, and no zone changes its own twice within so long.
_FURTHEST_S = 16 * HOUR_S


class Period(enum.StrEnum):
    """How long a budget lasts before it begins anew. A week begins on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Window(NamedTuple):
    """From one instant up to another one, which is no longer in it; both in Unix seconds."""

    start_s: int
    end_s: int


def window_at(period: Period, offset: Offsets, at_ms: int) -> Window:
    """The window of this period that an instant in Unix ms lies in."""
    at_s = at_ms // 1_000
    if period is Period.HOUR:
        return _hour_at(offset, at_s)
    day = (at_s + offset(at_s)) // DAY_S
    if at_s >= _begins(offset, day + 1):
        day += 1  # the clocks were put back over midnight, and the day has begun before that
    first, next_first = _days(period, day)
    return Window(_begins(offset, first), _begins(offset, next_first))


def _days(period: Period, day: int) -> tuple[int, int]:
    """The first day of the window that has this day, and that of the one after it."""
    match period:
        case Period.WEEK:
            monday = monday_of(day)
            return monday, monday + 7
        case Period.MONTH:
            return first_of_month(day), first_of_month(day, months_later=1)
        case _:
            return day, day + 1


def _begins(offset: Offsets, day: int) -> int:
    """The instant at which the clocks first show the midnight of this day, or a time after it."""
    midnight_s = day * DAY_S
    low, high = midnight_s - _FURTHEST_S, midnight_s + _FURTHEST_S
    before, after = offset(low), offset(high)
    if before == after:
        return midnight_s - before
    change_s = _change(offset, low, high)
    if midnight_s - before < change_s:
        return midnight_s - before
    return max(change_s, midnight_s - after)


def _hour_at(offset: Offsets, at_s: int) -> Window:
    """The clock hour, cut where the clocks change within it."""
    ahead = offset(at_s)
    start_s = at_s - (at_s + ahead) % HOUR_S
    end_s = start_s + HOUR_S
    if offset(start_s) != ahead:
        start_s = _change(offset, start_s, at_s)
    if offset(end_s - 1) != ahead:
        end_s = _change(offset, at_s, end_s - 1)
    return Window(start_s, end_s)


def _change(offset: Offsets, low: int, high: int) -> int:
    """The first second with the offset of `high`, where that of `low` is another one."""
    before = offset(low)
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if offset(middle) == before else (low, middle)
    return high
