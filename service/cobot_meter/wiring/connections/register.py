"""Who is connected to one listener: how many, from where, since when; and what was refused.

A connection that waits for bytes of its caller is *quiet*. Where the listener is full the quietest
makes room for the newcomer, so that silence buys nothing; only work that runs is never cut off.
Must not know: HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from cobot_meter.http_api.http.addresses import UNKNOWN, address_of, is_trusted
from cobot_meter.wiring.connections.limits import ConnectionLimits

LOG = logging.getLogger(__name__)
SWEEP_S = 1.0
TOLD_EVERY_S = 60.0


class Connection(Protocol):
    """What the register asks of a connection."""

    def check(self, now_s: float) -> None:
        """End whatever has taken longer than its time."""

    def evict(self) -> None:
        """Close at once: somebody else needs the room."""


class Register:
    """The connections of one listener."""

    def __init__(
        self,
        limits: ConnectionLimits,
        *,
        clock: Callable[[], float],
        report: Callable[[str], None] | None = None,
    ) -> None:
        """`clock` is the event loop's, in seconds; `report` hears why, of each refusal."""
        self.limits = limits
        self.clock = clock
        self._report = report
        self._addresses: dict[Connection, str | None] = {}
        self._by_address: Counter[str] = Counter()
        self._quiet: dict[Connection, None] = {}
        self._refused: Counter[str] = Counter()
        self._told_at_s = clock() - TOLD_EVERY_S

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self._addresses)

    def admit(self, connection: Connection, host: str | None) -> bool:
        """Whether there is room for one more from this host; the longest quiet one makes it."""
        address = self._counted(host)
        if address is not None and self._by_address[address] >= self.limits.address_max:
            self.refused("too many connections of one address")
            return False
        if self.total >= self.limits.connections_max and not self._made_room():
            self.refused("too many connections")
            return False
        self._addresses[connection] = address
        if address is not None:
            self._by_address[address] += 1
        self._quiet[connection] = None
        return True

    def remove(self, connection: Connection) -> None:
        """It is gone; said twice it changes nothing."""
        address = self._addresses.pop(connection, None)
        self._quiet.pop(connection, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def quiet(self, connection: Connection) -> None:
        """It waits for its caller from now on."""
        if connection in self._addresses:
            self._quiet.pop(connection, None)
            self._quiet[connection] = None

    def busy(self, connection: Connection) -> None:
        """A whole request of it has arrived, and is worked on."""
        self._quiet.pop(connection, None)

    def refused(self, why: str) -> None:
        """Count one; a line of log for each would be a way to fill a disk."""
        self._refused[why] += 1
        if self._report is not None:
            self._report(why)

    async def watch(self, every_s: float = SWEEP_S) -> None:
        """Look at each connection's times again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            self.sweep()

    def sweep(self) -> None:
        """One look at all of them, and at most one line of log in a minute."""
        now_s = self.clock()
        for connection in list(self._addresses):
            connection.check(now_s)
        self._tell(now_s)

    def _tell(self, now_s: float) -> None:
        if self._refused and now_s - self._told_at_s >= TOLD_EVERY_S:
            counts = ", ".join(f"{why}: {count}" for why, count in self._refused.most_common())
            LOG.warning("requests and connections refused since the last such line: %s", counts)
            self._refused.clear()
            self._told_at_s = now_s

    def _made_room(self) -> bool:
        oldest = next(iter(self._quiet), None)
        if oldest is None:
            return False
        self.refused("quiet connections closed to make room")
        self.remove(oldest)
        oldest.evict()
        return True

    def _counted(self, host: str | None) -> str | None:
        """The address that this connection counts against; None where it stands for many."""
        if is_trusted(host, self.limits.many_behind):
            return None
        address = address_of(peer=host, forwarded_for=(), trusted_proxies=())
        return None if address == UNKNOWN else address
