"""Connections to one PostgreSQL database, and what their errors mean.

Must not know: statements or rows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from cobot_meter.domain.errors import SettingInvalid

CONNECT_S = 5.0
CALL_S = 10.0
# Taken by whoever brings the tables up to date.
UPGRADING = 8401

Pool = Any  # asyncpg ships no types
Connection = Any

# Undone as a whole, and worth the same once more.
UNDONE = (asyncpg.TransactionRollbackError, asyncpg.LockNotAvailableError)
# No such server, database, user or password, or a server that takes nobody in just now.
WRONG = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    OSError,
    TimeoutError,
    ValueError,
)


def shown(url: str) -> str:
    """The URL without its password."""
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{user}{parts.hostname or ''}{port}{parts.path}"


@asynccontextmanager
async def connections(url: str, *, at_most: int) -> AsyncIterator[Pool]:
    """A pool that reconnects by itself. Raises SettingInvalid when nothing can be reached now."""
    # It would log a traceback at every try; an outage has its line where it is met.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    try:
        pool = await asyncpg.create_pool(
            url, min_size=1, max_size=at_most, timeout=CONNECT_S, command_timeout=CALL_S
        )
    except WRONG as fault:
        raise unreachable(url, fault) from None
    try:
        yield pool
    finally:
        try:
            async with asyncio.timeout(CONNECT_S):
                await pool.close()
        except TimeoutError:
            pool.terminate()


def unreachable(url: str, fault: BaseException) -> SettingInvalid:
    """One sentence, without the password."""
    said = str(fault) or "it does not answer"
    return SettingInvalid(f"the database {shown(url)} cannot be used: {said}")
