"""Keep the keys of the day: make today's, miss none that the books need, drop what nobody needs.

A day's key is dropped when the day and the one after it are over and no sealed body names it any
more. While the key that was used last is missing nothing new is sold: its bodies would be sealed
where the other processes cannot open them. Must not know: files, or what is sealed.
"""

from __future__ import annotations

import logging

from cobot_meter.domain.body_keys import day_of, is_key_name, lacks_sentence, unusable
from cobot_meter.domain.errors import BodyKeysUnusable
from cobot_meter.domain.retention import DAY_MS
from cobot_meter.flows.offer.quote_request import utc_day
from cobot_meter.flows.steady_clock import SteadyClock
from cobot_meter.ports.body_keys import BodyKeys
from cobot_meter.ports.books import SealedWith

LOG = logging.getLogger(__name__)
# More names than days for which anything is kept; beyond them nothing is dropped.
NAMES_MAX = 1_000
MISSING = "body_keys_missing"


class KeepBodyKeys:
    """`missing` are the names that the last look did not find."""

    def __init__(self, *, books: SealedWith, keys: BodyKeys, steady_clock: SteadyClock) -> None:
        """Nothing was looked at yet. By `steady_clock` the days go."""
        self._books = books
        self._keys = keys
        self._steady_clock = steady_clock
        self._why: str | None = None
        self._stops = False
        self.missing: tuple[str, ...] = ()

    @property
    def stopped(self) -> bool:
        """Whether nothing new is sold because of them."""
        return self._stops

    @property
    def notice(self) -> str | None:
        """What the operator has to look at though new asks are taken."""
        return MISSING if self.missing and not self._stops else None

    def check(self) -> None:
        """Return while something can be sealed that every process opens.

        Raises BodyKeysUnusable.
        """
        if self._stops and self._why is not None:
            raise unusable(self._why)

    async def ping(self) -> None:
        """Return while new bodies can be sealed, for whoever awaits every part.

        Raises BodyKeysUnusable.
        """
        self.check()

    async def look(self) -> None:
        """One look at everything; what is wrong is said once. Raises BooksBusy."""
        named = await self._books.body_keys(limit=NAMES_MAX)
        names = tuple(filter(is_key_name, named))
        try:
            self.missing = await self._keys.missing(names)
            stops = _lacks_last_day(self.missing, names)
            if not stops:  # else it is another directory than theirs: nothing is made there
                await self._keys.prepare(utc_day(self._steady_clock.day_ms()))
                if len(named) < NAMES_MAX:
                    before = utc_day(self._steady_clock.day_ms() - DAY_MS)
                    await self._keys.drop(kept=frozenset(names), before=before)
        except BodyKeysUnusable as fault:
            self._say(fault.why, stops=True)
        else:
            lacks = lacks_sentence(self._keys.where, self.missing) if self.missing else None
            self._say(lacks, stops=stops)

    def _say(self, why: str | None, *, stops: bool) -> None:
        if why is not None and (why, stops) != (self._why, self._stops):
            what = "nothing is sold: " if stops else "some kept completions cannot be opened: "
            LOG.warning("%s%s", what, why)
        elif why is None and self._why is not None:
            LOG.warning("the keys of the day are as they should be again")
        self._why, self._stops = why, stops


def _lacks_last_day(missing: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Whether the processes that sell have another directory than ours."""
    return bool(missing) and day_of(max(missing)) == day_of(max(names))
