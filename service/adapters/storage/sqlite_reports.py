"""The reports on one SQLite file, beside a running service or without one.

Must not know: the writer, or which reads there are.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from service.adapters.storage.migrate import HEAD, VERSION_TABLE, other_schema
from service.adapters.storage.report_sessions import ReportSessions
from service.adapters.storage.sqlite_connections import connect_reader
from service.adapters.storage.sqlite_faults import damaged, is_damage
from service.adapters.storage.sqlite_integrity import refuse_damage, refuse_missing_tables
from service.adapters.storage.stored_reports import StoredReports
from service.domain.errors import SettingInvalid

NO_WAY_IN = "cannot be read: it and its directory must be writable, for its log lies beside it"


@asynccontextmanager
async def open_sqlite_reports(
    path: Path, *, checked_s: float = 0.0
) -> AsyncIterator[StoredReports]:
    """Open the books at `path` for reading; their pages are looked at first, for so long.

    Raises SettingInvalid when there are none to read, BooksDamaged when they cannot be read.
    """
    await asyncio.to_thread(_check_readable, path)
    if checked_s:
        await asyncio.to_thread(refuse_damage, path, within_s=checked_s)
        await asyncio.to_thread(refuse_missing_tables, path)
    sessions = ReportSessions(path)
    try:
        yield StoredReports(sessions.session, database="sqlite")
    finally:
        await sessions.aclose()


def _check_readable(path: Path) -> None:
    """Books of this version, or one line that says what is wrong."""
    if not path.exists():
        raise SettingInvalid(f"there are no books at {path}: start the service once to make them")
    try:
        with closing(connect_reader(path, busy_timeout_s=1.0)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        if is_damage(error) and VERSION_TABLE not in str(error):
            raise damaged(path, error) from error
        problem = "holds no books of this service" if VERSION_TABLE in str(error) else NO_WAY_IN
        raise SettingInvalid(f"{path} {problem}: {error}") from error
    if found != (HEAD,):
        raise other_schema(path, found and found[0])
