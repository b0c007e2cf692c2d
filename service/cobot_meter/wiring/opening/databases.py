"""The books where the settings say they are, and what several processes on them need.

What speaks to PostgreSQL is loaded only when the books are there: it would cost every embedded
service memory. Must not know: flows, or who reads and writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass

from cobot_meter.adapters.process import SoleProcess, process_file
from cobot_meter.adapters.storage.secret_marks import (
    SecretProof,
    keep_mark,
    known_mark,
    knows_a_secret,
)
from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.connections import were_begun
from cobot_meter.adapters.storage.sqlite.integrity import refuse_damage, refuse_read_only
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.background.wake_hub import WakeHub
from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.retention import Retention
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import LedgerReports
from cobot_meter.ports.process import Clock, Duties, Replicas, Wakes
from cobot_meter.wiring.settings.settings import Settings

BOOKS_FILE = "books.sqlite3"
PROCESS_FILE = "process.lock"
UPKEEP_S = 1.0
# For so long a reading command looks at the pages of the file before it reads.
CHECKED_S = 2.0

Upkeep = tuple[str, Callable[[], Awaitable[None]]]
Vital = tuple[str, Callable[[], Coroutine[None, None, None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The books and their surroundings; `upkeep` are actions to repeat every UPKEEP_S, by name.

    `vital` are to be run once, for as long as the process: what they raise has to end it.
    `away_s` is for how long the books could not be written, 0 while they can.
    """

    books: Books
    reports: LedgerReports
    wakes: Wakes
    replicas: Replicas
    duties: Duties
    away_s: Callable[[], float]
    upkeep: tuple[Upkeep, ...] = ()
    vital: tuple[Vital, ...] = ()


@contextlib.asynccontextmanager
async def open_database(
    settings: Settings, *, own_id: str, proof: SecretProof, clock: Clock, retention: Retention
) -> AsyncIterator[Database]:
    """The books for writing, begun when there are none. Raises SettingInvalid.

    `own_id` is this process in this run, `proof` what tells its secret from another one.
    """
    if settings.database.url:
        with process_file(settings.data_dir / PROCESS_FILE, own_id) as gone:
            opening = _open_postgres(
                settings.database.url.reveal(),
                own_id=own_id,
                gone=gone,
                proof=proof,
                clock=clock,
                retention=retention,
            )
            async with opening as database:
                yield database
        return
    path, alone = settings.data_dir / BOOKS_FILE, SoleProcess(own_id)
    async with (
        open_sqlite_books(path, retention=retention) as books,
        open_sqlite_reports(path) as reports,
    ):
        await asyncio.to_thread(keep_mark, path, proof)
        yield Database(
            books=books,
            reports=reports,
            wakes=WakeHub(),
            replicas=alone,
            duties=alone,
            away_s=lambda: books.outage.lasts_s,
            upkeep=(("books", books.look),),
            vital=(("ledger writer", books.died),),
        )


async def have_begun(settings: Settings) -> bool:
    """Whether there are books already, which know their secret. Raises SettingInvalid."""
    if settings.database.url:
        from cobot_meter.adapters.storage.postgres import session

        return await session.known_mark(settings.database.url.reveal()) is not None
    path = settings.data_dir / BOOKS_FILE
    if not path.exists() or not path.stat().st_size:
        return were_begun(path)
    return await asyncio.to_thread(knows_a_secret, path)


async def mark_of_books(settings: Settings) -> str | None:
    """What the books know of their secret; None when they know nothing. Raises SettingInvalid."""
    if settings.database.url:
        from cobot_meter.adapters.storage.postgres import session

        return await session.known_mark(settings.database.url.reveal())
    try:
        return await asyncio.to_thread(known_mark, settings.data_dir / BOOKS_FILE)
    except sqlite3.Error:
        return None  # what is wrong with the file is said where it is read


@contextlib.asynccontextmanager
async def open_reports(settings: Settings) -> AsyncIterator[LedgerReports]:
    """The books for reading, beside whoever writes them. Raises SettingInvalid."""
    if settings.database.url:
        from cobot_meter.adapters.storage.postgres.reports import open_postgres_reports

        async with open_postgres_reports(settings.database.url.reveal()) as reports:
            yield reports
        return
    refuse_no_books(settings)
    path = settings.data_dir / BOOKS_FILE
    async with open_sqlite_reports(path, checked_s=CHECKED_S) as reports:
        yield reports


async def look_at_file(settings: Settings, *, within_s: float) -> str:
    """What to say of the pages of the file, which must be writable too.

    Raises BooksDamaged, BooksBusy.
    """
    path = settings.data_dir / BOOKS_FILE
    looked = await asyncio.to_thread(refuse_damage, path, within_s=within_s)
    await asyncio.to_thread(refuse_read_only, path)
    if looked.whole:
        return " and writable, every page is sound"
    return " and writable (it is large: `cobot-meter db check` looks at every page)"


def refuse_no_books(settings: Settings) -> None:
    """Raises SettingInvalid when there is no file of books where one is expected."""
    if not settings.database.url and not (settings.data_dir / BOOKS_FILE).exists():
        message = (
            f"there are no books in {settings.data_dir}: `cobot-meter serve` begins them, "
            "COBOT_METER_DATA_DIR says where they lie"
        )
        raise SettingInvalid(message)


@contextlib.asynccontextmanager
async def _open_postgres(
    url: str,
    *,
    own_id: str,
    gone: frozenset[str],
    proof: SecretProof,
    clock: Clock,
    retention: Retention,
) -> AsyncIterator[Database]:
    """Empty databases are given their tables; older ones only by `cobot-meter db upgrade`."""
    from cobot_meter.adapters.storage.postgres import books as postgres
    from cobot_meter.adapters.storage.postgres import schema, session
    from cobot_meter.adapters.storage.postgres.reports import open_postgres_reports
    from cobot_meter.adapters.storage.postgres.wakes import PostgresWakes

    begins = await schema.found_schema(url) is None
    async with (
        postgres.open_postgres_books(url, retention=retention, upgrading=begins) as books,
        open_postgres_reports(url) as reports,
        session.open_postgres_session(url, own_id=own_id, clock=clock, gone=gone) as alive,
    ):
        await session.refuse_another_secret(url, proof)
        wakes = PostgresWakes(url, inside=WakeHub(), clock=clock)
        yield Database(
            books=books,
            reports=reports,
            wakes=wakes,
            replicas=alive,
            duties=alive,
            away_s=lambda: books.outage.lasts_s,
            upkeep=(
                ("books", books.look),
                ("database session", alive.keep),
                ("wake-ups", wakes.talk),
            ),
        )
