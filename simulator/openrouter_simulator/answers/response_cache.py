"""Answers that were given before: the same body again within its time costs nothing."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

_KEPT_MAX = 1_000
_MS_PER_S = 1_000
TTL_S = 300
TTL_MAX_S = 86_400


class ResponseCache:
    """Bodies that were answered, and by which generation."""

    def __init__(self) -> None:
        """Begin empty."""
        self._answered: OrderedDict[bytes, tuple[str, int]] = OrderedDict()

    def source_of(self, body: bytes, now_ms: int) -> str | None:
        """The generation that answered this body before and still counts."""
        generation_id, until_ms = self._answered.get(_digest(body), (None, 0))
        return generation_id if now_ms < until_ms else None

    def keep(self, body: bytes, generation_id: str, *, now_ms: int, ttl_s: int) -> None:
        """Remember an answer for so long."""
        self._answered[_digest(body)] = (generation_id, now_ms + ttl_s * _MS_PER_S)
        if len(self._answered) > _KEPT_MAX:
            self._answered.popitem(last=False)

    def forget(self, body: bytes) -> None:
        """Forget one answer."""
        self._answered.pop(_digest(body), None)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()
