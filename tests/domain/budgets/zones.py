"""Zones of all kinds, and a second way to say where a day begins: minute by minute, by datetime."""

from __future__ import annotations

import datetime as dt
import zoneinfo

BERLIN = "Europe/Berlin"
# Whole hours north and south, half an hour, over midnight itself, no change at all, and a day that
# was left out.
ZONES = (
    BERLIN,
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Pacific/Apia",
    "UTC",
)


def local(zone: str, at_s: int) -> dt.datetime:
    """What clocks there show."""
    return dt.datetime.fromtimestamp(at_s, zoneinfo.ZoneInfo(zone))


def instant(zone: str, text: str, *, fold: int = 0) -> int:
    """The Unix second at which clocks there show this."""
    shown = dt.datetime.fromisoformat(text)
    return int(shown.replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=fold).timestamp())


def first_minute_of(zone: str, day: dt.date) -> int:
    """The first minute in which clocks there show this day or a later one."""
    at_s = int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()) - 16 * 3_600
    while local(zone, at_s).date() < day:
        at_s += 60
    return at_s
