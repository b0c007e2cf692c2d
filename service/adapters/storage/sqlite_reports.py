"""The reports on one SQLite file, beside a running service or without one.

Must not know: the writer, or which reads there are.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from service.adapters.storage.migrate import HEAD
from service.adapters.storage.report_sessions import ReportSessions
from service.adapters.storage.sqlite_connections import connect_reader
from service.adapters.storage.stored_reports import StoredReports
from service.domain.errors import SettingInvalid


@asynccontextmanager
async def open_sqlite_reports(path: Path) -> AsyncIterator[StoredReports]:
    """Open the books at `path` for reading. Raises SettingInvalid when there are none to read."""
    await asyncio.to_thread(_check_readable, path)
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
        raise SettingInvalid(f"{path} holds no books of this service: {error}") from error
    if found != (HEAD,):
        raise SettingInvalid(
            f"the books at {path} have schema {found and found[0]} and this version reads {HEAD}: "
            "start the service once to bring them up to date"
        )
