"""What `cobot-meter db` does: bring the books up to date, look at them, copy them.

Must not know: terminals. What speaks to PostgreSQL is loaded only when it is spoken to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cobot_meter.adapters.storage.schema import head
from cobot_meter.adapters.storage.sqlite.backup import back_up
from cobot_meter.adapters.storage.sqlite.connections import WriterLock
from cobot_meter.adapters.storage.sqlite.integrity import refuse_damage
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.adapters.storage.sqlite.schema import engine_for, found_revision, upgrade
from cobot_meter.domain.errors import Broken, SettingInvalid
from cobot_meter.domain.ledger.accounts import Commodity
from cobot_meter.ports.ledger_reports import JournalEntry, LedgerReports
from cobot_meter.wiring.opening.databases import BOOKS_FILE, open_reports, refuse_no_books
from cobot_meter.wiring.settings.settings import Settings

if TYPE_CHECKING:
    from cobot_meter.adapters.storage.copy_books import CopiedTable


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """Where the books are, how new their tables are, and whether they add up.

    `schema` None: no tables yet. `entries` and `balanced` are None where nothing can be read.
    """

    where: str
    schema: str | None
    wanted: str
    entries: int | None = None
    balanced: bool | None = None

    @property
    def well(self) -> bool:
        """Whether this version can work with it."""
        return self.schema == self.wanted and bool(self.balanced)


async def upgrade_database(settings: Settings) -> DatabaseState:
    """The tables of this version. Raises SettingInvalid, also while a service has the file."""
    if settings.database.url:
        from cobot_meter.adapters.storage.postgres.schema import upgrade_postgres

        await upgrade_postgres(settings.database.url.reveal())
    else:
        refuse_no_books(settings)
        path = settings.data_dir / BOOKS_FILE
        lock = WriterLock(path)
        try:
            await asyncio.to_thread(upgrade, path)
        finally:
            lock.release()
    return await check_database(settings)


async def check_database(settings: Settings) -> DatabaseState:
    """Look, and change nothing; of a file at every page, however long it takes.

    Raises SettingInvalid when it cannot be reached, BooksDamaged when it cannot be read.
    """
    if settings.database.url:
        from cobot_meter.adapters.storage.postgres.schema import found_schema

        where = settings.database.shown
        schema = await found_schema(settings.database.url.reveal())
    else:
        refuse_no_books(settings)
        path = settings.data_dir / BOOKS_FILE
        where = str(path)
        await asyncio.to_thread(refuse_damage, path)
        schema = await asyncio.to_thread(lambda: found_revision(engine_for(path)))
    state = DatabaseState(where=where, schema=schema, wanted=head())
    if schema != head():
        return state
    async with open_reports(settings) as reports, reports.snapshot() as still:
        sums = await _sums(still)
        entries = 0
        async for _ in still.journal():
            entries += 1
    return DatabaseState(
        where=where, schema=schema, wanted=head(), entries=entries, balanced=not any(sums.values())
    )


async def back_up_database(settings: Settings, target: Path) -> int:
    """Copy the file's books to a new file for its owner alone, beside whoever writes; its bytes.

    Raises SettingInvalid for books elsewhere and for a target that is there already.
    """
    if settings.database.url:
        message = (
            "the books are in PostgreSQL: back them up with pg_dump or base backups "
            "(docs/postgresql.md)"
        )
        raise SettingInvalid(message)
    refuse_no_books(settings)
    return await asyncio.to_thread(_backed_up, settings.data_dir / BOOKS_FILE, target)


def _backed_up(books: Path, target: Path) -> int:
    if target.exists():
        message = f"{target} is there already: name a file that is not, or move that one away"
        raise SettingInvalid(message)
    back_up(books, target)
    return target.stat().st_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What was copied, and how many lines of the trial balance are the same on both sides."""

    tables: tuple[CopiedTable, ...]
    lines: int
    accounts: int


async def copy_database(settings: Settings) -> Copied:
    """The file's books, in the database that the setting names.

    Raises SettingInvalid when that cannot be, Broken when the copy is not equal.
    """
    if not settings.database.url:
        message = "COBOT_METER_DATABASE_URL is missing: it says where to copy the books to"
        raise SettingInvalid(message)
    from cobot_meter.adapters.storage.copy_books import copy_books

    source = settings.data_dir / BOOKS_FILE
    url = settings.database.url.reveal()
    tables = await copy_books(source, url)
    async with open_sqlite_reports(source) as old, open_reports(settings) as new:
        lines = await old.trial_balance()
        accounts = await old.balances()
        same = lines == await new.trial_balance() and accounts == await new.balances()
        if not same or not await _same_journal(old, new):
            message = "the copy does not read as the books do: drop it, and keep the file"
            raise Broken(message)
    return Copied(tables=tables, lines=len(lines), accounts=len(accounts))


async def _same_journal(old: LedgerReports, new: LedgerReports) -> bool:
    async with contextlib.aclosing(_entries(new)) as others:
        async for entry in old.journal():
            if entry != await anext(others, None):
                return False
        return await anext(others, None) is None


async def _entries(reports: LedgerReports) -> AsyncGenerator[JournalEntry, None]:
    async for entry in reports.journal():
        yield entry


async def _sums(reports: LedgerReports) -> dict[str, int]:
    sums = {commodity.value: 0 for commodity in Commodity}
    for line in await reports.trial_balance():
        sums[line.commodity] += line.net
    return sums
