"""Wake-ups: a changed row tells whoever waits for it. Must not know: what changed.

A wake-up may be lost or come twice; whoever is woken reads the row again.
"""

from __future__ import annotations

from typing import Protocol


class Wakes(Protocol):
    """Tells waiters about changed subjects (escrow and top-up ids)."""

    def wake(self, subject_id: str) -> None:
        """Wake everybody who waits for this subject."""

    async def wait(self, subject_id: str, *, timeout_s: float) -> bool:
        """Wait for the next wake-up; False when the time ran out."""
