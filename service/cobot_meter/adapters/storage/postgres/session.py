"""Who is alive and who has which duty, by locks of one connection that lasts as long as we do.

A lock ends with its connection: nobody has to tidy up after a process that died. Because every
connection breaks when the server restarts, a process whose lock is not held is only suspected at
first, and counts as gone when it has not come back for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from cobot_meter.adapters.storage.outage import AWAY
from cobot_meter.adapters.storage.postgres.connections import (
    CALL_S,
    CONNECT_S,
    WRONG,
    Connection,
    unreachable,
)
from cobot_meter.adapters.storage.postgres.faults import CAUGHT
from cobot_meter.adapters.storage.secret_marks import KNOWN, NEWEST, SecretProof
from cobot_meter.domain.errors import BooksBusy
from cobot_meter.ports.process import Clock

LOG = logging.getLogger(__name__)
# A connection that broke, or cannot be made just now.
LOST = (*CAUGHT, *WRONG)
# Beyond this a process that does not hold its lock is gone; it tries to take it every second.
GONE_AFTER_MS = 10_000
SUSPECTS_MAX = 1_000
# Two spaces of locks, apart from those that writing takes.
REPLICA = 8404
DUTY = 8405
TAKE = "SELECT pg_try_advisory_lock($1, hashtext($2))"
HELD = """
SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = $1::INT::OID AND objid = hashtext($2)::BIGINT::BIT(32)::BIGINT::OID)
"""
KEEP_MARK = "INSERT INTO secret_mark VALUES (1, $1) ON CONFLICT (number) DO NOTHING"
# The server gives up a host that fell silent, and with it the locks, within half a minute.
KEEPALIVE = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


@asynccontextmanager
async def open_postgres_session(
    url: str, *, own_id: str, clock: Clock, gone: frozenset[str] = frozenset()
) -> AsyncIterator[PostgresSession]:
    """Known to the others from here on; `gone` are those who are known not to be alive.

    Raises SettingInvalid when nothing can be reached.
    """
    session = PostgresSession(url, own_id=own_id, clock=clock, gone=gone)
    try:
        await session.begin()
    except WRONG as fault:
        raise unreachable(url, fault) from None
    try:
        yield session
    finally:
        session.let_go()


async def known_mark(url: str) -> str | None:
    """What the database knows of its secret; None when it knows nothing, or holds no books."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=CALL_S)
    except WRONG as fault:
        raise unreachable(url, fault) from None
    try:
        mark: str | None = await connection.fetchval(KNOWN)
    except asyncpg.UndefinedTableError:
        return None
    except CAUGHT as fault:
        raise unreachable(url, fault) from None
    else:
        return mark
    finally:
        await connection.close()


async def refuse_another_secret(url: str, proof: SecretProof) -> None:
    """Raises SettingInvalid when these books were begun with another secret than `proof` is of.

    What one secret seals no other opens, and its preimages are not the other's.
    """
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=CALL_S)
    except WRONG as fault:
        raise unreachable(url, fault) from None
    try:
        newest = [tuple(row) for query in NEWEST for row in await connection.fetch(query)]
        proof.refuse_another(await connection.fetchval(KNOWN), newest)
        await connection.execute(KEEP_MARK, proof.mark)
        proof.refuse_another(await connection.fetchval(KNOWN), ())
    except CAUGHT as fault:  # a standby, a right that is missing: nothing can be written here
        raise unreachable(url, fault) from None
    finally:
        await connection.close()


class PostgresSession:
    """The ports `Replicas` and `Duties`; `keep` must be called every second or so."""

    def __init__(self, url: str, *, own_id: str, clock: Clock, gone: frozenset[str]) -> None:
        """Nothing is connected before `begin`."""
        self._url = url
        self._gone = gone
        self._own_id = own_id
        self._clock = clock
        self._connection: Connection | None = None
        self._known = False
        self._duties: set[str] = set()
        self._suspects: dict[str, int] = {}
        self._turn = asyncio.Lock()

    @property
    def own_id(self) -> str:
        """The name of this start of the process, as it was given; our own lock is of this name."""
        return self._own_id

    async def begin(self) -> None:
        """Connect, and take our own lock. Raises what connecting raises."""
        self._connection = await asyncpg.connect(
            self._url, timeout=CONNECT_S, command_timeout=CALL_S, server_settings=KEEPALIVE
        )
        self._suspects.clear()  # while we were away ourselves, we saw nobody
        self._known = await self._connection.fetchval(TAKE, REPLICA, self._own_id)

    async def keep(self) -> None:
        """Connect again where that is needed. Raises nothing of the database's."""
        async with self._turn:
            try:
                if self._connection is None:
                    await self.begin()
                    LOG.info("this process is known in the database again")
                elif self._known:
                    await self._connection.fetchval("SELECT 1")
                else:  # a connection of ours that broke still holds it
                    self._known = await self._connection.fetchval(TAKE, REPLICA, self._own_id)
            except LOST as fault:
                if self._connection is not None:
                    # Whether the books can be written is said where they are written.
                    LOG.info("this process is not known in the database: %s", type(fault).__name__)
                self.let_go()

    async def alive(self, replica_id: str) -> bool:
        """Whether that process holds its lock, or was first missed less than GONE_AFTER_MS ago.

        One look into `pg_locks`; none for ourselves (True) and for those known to be gone (False).
        Raises BooksBusy when the database cannot be asked.
        """
        if replica_id == self._own_id:
            return True
        if replica_id in self._gone:
            return False
        async with self._turn:
            held = await self._asked(HELD, REPLICA, replica_id)
        if held:
            self._suspects.pop(replica_id, None)
            return True
        if len(self._suspects) >= SUSPECTS_MAX:
            self._suspects.clear()
        now_ms = self._clock.monotonic_ms()
        return now_ms - self._suspects.setdefault(replica_id, now_ms) < GONE_AFTER_MS

    async def mine(self, name: str) -> bool:
        """Whether this process has the lock of the duty; `pg_try_advisory_lock` takes it if free.

        False while the database cannot be asked. Raises nothing.
        """
        async with self._turn:
            if name not in self._duties:
                try:
                    taken = await self._asked(TAKE, DUTY, name)
                except BooksBusy:
                    return False
                if taken:
                    self._duties.add(name)
                    LOG.info("this process has the duty: %s", name)
            return name in self._duties

    def let_go(self) -> None:
        """Every lock is given up at once."""
        connection, self._connection = self._connection, None
        self._known = False
        self._duties.clear()
        if connection is not None:
            connection.terminate()

    async def _asked(self, question: str, space: int, name: str) -> bool:
        if self._connection is None:
            raise BooksBusy(AWAY)
        try:
            answer: bool = await self._connection.fetchval(question, space, name)
        except CAUGHT as fault:
            self.let_go()
            raise BooksBusy(AWAY) from fault
        return answer
