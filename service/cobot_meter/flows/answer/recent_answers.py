"""The answers of the last two minutes that the books do not keep.

What is captured on credit is mostly read while it comes, and never again: storing it would be the
larger part of what such a sale writes. Whoever lost the connection repeats the request at once, and
finds the answer here. A restart forgets them all. Must not know: who may read what.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from cobot_meter.ports.process import Clock

BYTES_MAX = 32 * 1_048_576
# As long as a repeated request is a retry; the domain decides, this only has it at hand.
KEPT_MS = 120_000
# Whoever paid for it is about to read it: until then no newer answer drives it out.
UNREAD_MS = 15_000


@dataclass(slots=True)
class _Kept:
    body: bytes
    since_ms: int
    was_read: bool = False


class RecentAnswers:
    """Bounded by time and bytes; the oldest go first."""

    def __init__(self, *, clock: Clock, bytes_max: int = BYTES_MAX) -> None:
        """Of more than `bytes_max` the oldest are forgotten once somebody has read them.

        With 0 nothing can be kept here, and `any` says so.
        """
        self._clock = clock
        self._bytes_max = bytes_max
        self.any = bytes_max > 0
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self.kept_bytes = 0

    def keep(self, escrow_id: str, body: bytes) -> None:
        """Have the answer of this sale at hand."""
        self._forget(escrow_id)
        self._kept[escrow_id] = _Kept(body, self._clock.monotonic_ms())
        self.kept_bytes += len(body)
        self._make_room()

    def of(self, escrow_id: str) -> bytes | None:
        """The answer; None when it is not kept, or no longer."""
        self._make_room()
        kept = self._kept.get(escrow_id)
        if kept is None:
            return None
        kept.was_read = True
        return kept.body

    def _make_room(self) -> None:
        """Forget from the oldest on, as far as it may be forgotten."""
        now_ms = self._clock.monotonic_ms()
        while self._kept:
            oldest = next(iter(self._kept))
            kept = self._kept[oldest]
            age_ms = now_ms - kept.since_ms
            read = kept.was_read or age_ms > UNREAD_MS
            if age_ms <= KEPT_MS and not (read and self.kept_bytes > self._bytes_max):
                return
            self._forget(oldest)

    def _forget(self, escrow_id: str) -> None:
        kept = self._kept.pop(escrow_id, None)
        if kept is not None:
            self.kept_bytes -= len(kept.body)
