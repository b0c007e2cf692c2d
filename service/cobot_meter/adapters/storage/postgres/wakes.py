"""Wake-ups across processes: what changes here is told to the others, and the other way round.

Told after the commit and beside it, in batches, on a connection of its own: a notification inside
the transaction would make all commits wait for one lock. Whoever waits reads again on a timer, so
what is lost while the connection is away costs a second, and nothing is kept for later. Must not
know: what changed.
"""

from __future__ import annotations

import asyncio
import logging

import asyncpg

from cobot_meter.adapters.storage.postgres.connections import CALL_S, CONNECT_S, Connection
from cobot_meter.adapters.storage.postgres.session import LOST
from cobot_meter.ports.process import Clock, Wakes

LOG = logging.getLogger(__name__)
CHANNEL = "cobot_meter_wakes"
TELL = "SELECT pg_notify($1, $2)"
# PostgreSQL takes 8,000 bytes; a subject's id has fewer than a hundred.
BATCH = 64
UNTOLD_MAX = 4_096
# Those that come in this time are told together.
GATHER_S = 0.02
LOOK_S = 5.0


class PostgresWakes:
    """The port `Wakes`; `talk` must be run again and again."""

    def __init__(self, url: str, *, inside: Wakes, clock: Clock) -> None:
        """`inside` wakes those who wait in this process."""
        self._url = url
        self._inside = inside
        self._clock = clock
        self._untold: dict[str, None] = {}
        self._some = asyncio.Event()

    def wake(self, subject_id: str) -> None:
        """Here at once, elsewhere in a moment."""
        self._inside.wake(subject_id)
        if len(self._untold) < UNTOLD_MAX:
            self._untold[subject_id] = None
            self._some.set()

    async def wait(self, subject_id: str, *, timeout_s: float) -> bool:
        """Wait for a wake-up from this process or another; False after `timeout_s` seconds."""
        return await self._inside.wait(subject_id, timeout_s=timeout_s)

    async def talk(self) -> None:
        """Tell and listen until the connection breaks. Raises nothing of the database's."""
        connection: Connection | None = None
        try:
            connection = await asyncpg.connect(self._url, timeout=CONNECT_S, command_timeout=CALL_S)
            await connection.add_listener(CHANNEL, self._heard)
            while True:
                await self._tell(connection)
        except LOST as fault:
            LOG.debug("wake-ups do not reach other processes now: %s", type(fault).__name__)
        finally:
            if connection is not None:
                connection.terminate()

    async def _tell(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._some.wait()
        except TimeoutError:
            await connection.fetchval("SELECT 1")
            return
        await self._clock.sleep(GATHER_S)
        names = list(self._untold)[:BATCH]
        await connection.fetchval(TELL, CHANNEL, ",".join(names))
        for name in names:
            del self._untold[name]
        if not self._untold:
            self._some.clear()

    def _heard(self, connection: Connection, pid: int, _channel: str, payload: object) -> None:
        if pid == connection.get_server_pid():
            return
        for subject_id in str(payload).split(","):
            self._inside.wake(subject_id)
