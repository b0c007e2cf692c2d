"""The one place that reads the time of day: hours and days of a budget begin by it."""

from __future__ import annotations

import time

_NS_PER_S = 1_000_000_000


def now_s() -> int:
    """Unix seconds."""
    return time.time_ns() // _NS_PER_S
