"""What a key may spend and how often free models may be asked, by UTC days.

Must not know: HTTP or runs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from openrouter_simulator.book.credit_book import MS_PER_DAY, CreditBook
from openrouter_simulator.error_answers import ErrorAnswer, OrderRefused, free_cap, key_limit

_MS_PER_S = 1_000
_MS_PER_MINUTE = 60_000
_COUNTED_MAX = 10_000
RESETS = ("daily", "weekly", "monthly")


@dataclass(slots=True, kw_only=True)
class Limits:
    """None: no limit. `reset` is one of RESETS, or None for a limit over all time."""

    limit_usd: Decimal | None = None
    reset: str | None = None
    free_per_day: int | None = None
    free_per_minute: int | None = None
    _free_at_ms: deque[int] = field(default_factory=lambda: deque(maxlen=_COUNTED_MAX))

    def check_key(self, book: CreditBook, now_ms: int) -> None:
        """Raises OrderRefused with 403 once the key has used its limit."""
        left = self.left_usd(book, now_ms)
        if left is not None and left <= 0:
            raise OrderRefused(key_limit(self.reset or "total"))

    def count_free(self, now_ms: int) -> None:
        """Count one ask of a free model. Raises OrderRefused with 429 when there were enough."""
        day = now_ms // MS_PER_DAY
        today = sum(1 for at_ms in self._free_at_ms if at_ms // MS_PER_DAY == day)
        if self.free_per_day is not None and today >= self.free_per_day:
            raise OrderRefused(free_cap(self.free_per_day, now_ms=now_ms))
        lately = sum(1 for at_ms in self._free_at_ms if at_ms > now_ms - _MS_PER_MINUTE)
        if self.free_per_minute is not None and lately >= self.free_per_minute:
            raise OrderRefused(_too_often(self.free_per_minute, now_ms))
        self._free_at_ms.append(now_ms)

    def left_usd(self, book: CreditBook, now_ms: int) -> Decimal | None:
        """What the key may still spend; None without a limit."""
        if self.limit_usd is None:
            return None
        if self.reset is None:
            return self.limit_usd - book.spent_usd
        return self.limit_usd - book.spent_since(first_day(self.reset, now_ms))[0]


def first_day(period: str, now_ms: int) -> int:
    """The UTC day a period began on: today, this week's Monday, or the first of the month."""
    today = now_ms // MS_PER_DAY
    date = datetime.fromtimestamp(now_ms // _MS_PER_S, tz=UTC).date()
    back = {
        "daily": timedelta(),
        "weekly": timedelta(days=date.weekday()),
        "monthly": timedelta(days=date.day - 1),
    }
    return today - back[period].days


def _too_often(per_minute: int, now_ms: int) -> ErrorAnswer:
    reset_ms = (now_ms // _MS_PER_MINUTE + 1) * _MS_PER_MINUTE
    return ErrorAnswer(
        status=429,
        message="Rate limit exceeded: free-models-per-min.",
        rate_limit={
            "X-RateLimit-Limit": str(per_minute),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(reset_ms),
        },
        of_account=True,
    )
