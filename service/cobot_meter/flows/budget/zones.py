"""The rules of IANA time zones, as this machine's tzdata has them.

Must not know: budgets. A zone that was set and is no longer there is the operator's to mend: an ask
under it is refused, for nobody could say whose day it counts on.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo

from cobot_meter.domain.budgets.calendar import DAY_S
from cobot_meter.domain.budgets.periods import Offsets
from cobot_meter.domain.errors import Broken

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_NAME_CHARS_MAX = 64
# Names of this machine's own zone, and of none: they mean another zone on another machine.
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
# Of a zone: the instants around the beginnings of its windows are asked for again and again.
_OFFSETS_AT_HAND = 512


def is_zone(name: str) -> bool:
    """Whether this names a time zone whose rules are known here."""
    return _zone(name) is not None


def offsets_of(name: str) -> Offsets:
    """How far the zone's clocks are ahead of UTC, at any instant. Raises Broken without rules."""
    zone = _zone(name)
    if zone is None:
        message = (
            f"the rules of the time zone {name[:80]!r} are not on this machine: install tzdata"
        )
        raise Broken(message)
    return _offsets(zone)


@functools.cache
def _offsets(zone: zoneinfo.ZoneInfo) -> Offsets:
    @functools.lru_cache(maxsize=_OFFSETS_AT_HAND)
    def offset(utc_s: int) -> int:
        ahead = dt.datetime.fromtimestamp(utc_s, zone).utcoffset()
        return 0 if ahead is None else ahead.days * DAY_S + ahead.seconds

    return offset


@functools.cache
def _zone(name: str) -> zoneinfo.ZoneInfo | None:
    if len(name) > _NAME_CHARS_MAX or not _NAME.fullmatch(name) or name in _NO_ZONES:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
