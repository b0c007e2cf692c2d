"""Duties that one of several processes has at a time. Must not know: what a duty consists of."""

from __future__ import annotations

from typing import Protocol


class Duties(Protocol):
    """Who does what only one needs to do. That two do it for a while must be harmless."""

    async def mine(self, name: str) -> bool:
        """Whether this process has the duty now; it takes what nobody has. Raises nothing.

        False while it cannot be found out: another process may have it.
        """
