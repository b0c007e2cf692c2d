"""The keys of the day, without which no sealed body opens: made, watched and dropped."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class BodyKeys(Protocol):
    """Lies outside the books. Every method raises BodyKeysUnusable where nothing can be kept."""

    @property
    def where(self) -> str:
        """How an operator finds them."""

    async def prepare(self, day: str) -> None:
        """Make this day's key unless there is one; it outlives a loss of power from here on."""

    async def missing(self, names: Collection[str]) -> tuple[str, ...]:
        """Which of these are neither there nor known to be gone for good.

        One that this process still holds is put back, and is not missing.
        """

    async def drop(self, *, kept: Collection[str], before: str) -> tuple[str, ...]:
        """Erase all keys of days before `before` that are not `kept`; what they sealed is gone."""
