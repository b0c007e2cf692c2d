"""How long things are kept and when the cost is looked up: figures only, no clock.

All durations in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

SECOND_MS = 1_000
HOUR_MS = 3_600 * SECOND_MS
DAY_MS = 24 * HOUR_MS

# After the answer; the last is the deadline for a confirmed cost before the provisional counts.
LOOKUPS_MS = (0, 500, 1_000, 2_000, 4_000, 8_000, 15_000)
LATER_LOOKUPS_MS = (60_000, 300_000, 900_000, HOUR_MS, 4 * HOUR_MS, 12 * HOUR_MS, DAY_MS)

# A failed run that its record says was free may still be billed: its record is written after it.
FREE_FAILURE_MS = LATER_LOOKUPS_MS[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """`unpaid_ms` after CANCELED, `unclaimed_ms` after settling, `released_ms` after delivery.

    A request on credit that is repeated within `captured_repeated_ms` is a retry, and gets what was
    captured for it; later it asks for another answer.
    """

    unpaid_ms: int = DAY_MS
    unclaimed_ms: int = 30 * DAY_MS
    released_ms: int = DAY_MS
    abandoned_ms: int = 60 * SECOND_MS
    failure_repeated_ms: int = 60 * SECOND_MS
    captured_repeated_ms: int = 120 * SECOND_MS
    costed_ms: int = DAY_MS
    cost_ms: int = DAY_MS


def lookup_due_ms(completed_at_ms: int, lookups: int) -> int:
    """When the look-up number `lookups` (from 0) is due within the first seconds."""
    return completed_at_ms + LOOKUPS_MS[min(lookups, len(LOOKUPS_MS) - 1)]


def later_lookup_ms(since_ms: int, *, now_ms: int) -> int | None:
    """The next rarer look-up after `now_ms`, None when a day has passed."""
    return next((since_ms + delay for delay in LATER_LOOKUPS_MS if since_ms + delay > now_ms), None)
