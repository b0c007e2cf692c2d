"""What is left at an upstream, as far as it says. Must not know: HTTP, or which upstream it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamAccount:
    """Amounts in pico-USD; None for what is not limited, not said or not permitted to our key.

    `limit` is the key's own and starts anew every `limit_reset` (`daily`, ...; None: never);
    `credit_left` is the whole account's.
    """

    usage_pusd: int
    usage_daily_pusd: int | None = None
    limit_pusd: int | None = None
    limit_remaining_pusd: int | None = None
    limit_reset: str | None = None
    credit_left_pusd: int | None = None

    @property
    def left_pusd(self) -> int | None:
        """What can be spent before somebody says no; None when nothing is known to bound it."""
        known = [
            left for left in (self.limit_remaining_pusd, self.credit_left_pusd) if left is not None
        ]
        return min(known, default=None)
