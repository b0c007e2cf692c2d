"""Keeps in sight what waits for the operator: stopped releases, and what is in quarantine."""

from __future__ import annotations

from cobot_meter.flows.operate.quarantine import LISTED_MAX
from cobot_meter.flows.release_gate import KeepReleases
from cobot_meter.ports.books import Books


class Alarms:
    """`quarantined` is how many wait, as of the last look; counting ends at LISTED_MAX."""

    def __init__(self, *, books: Books, keep_releases: KeepReleases) -> None:
        """Nothing was looked at yet."""
        self._books = books
        self._keep_releases = keep_releases
        self.quarantined = 0

    async def look(self) -> None:
        """What another process did is seen here too. Raises BooksBusy."""
        await self._keep_releases.follow()
        self.quarantined = len(await self._books.quarantined(after="", limit=LISTED_MAX))
