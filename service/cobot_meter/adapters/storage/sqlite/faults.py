"""What an error of SQLite means: for the values, for the file, or for the moment.

Nothing was written in any of the three.
"""

from __future__ import annotations

import sqlite3

from cobot_meter.adapters.storage.outage import StorageOutage
from cobot_meter.domain.errors import BooksDamaged, CobotMeterError

# The codes of the file being none of ours, or no longer what was written.
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})
# What the database or the driver raises for values that no row may hold: that transition's own.
UNBOOKABLE = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    OverflowError,
    TypeError,
    ValueError,
)
RESTORE = (
    "stop the service, keep a copy of the file, and restore a backup (docs/operating.md, "
    "\u201cThe damaged file\u201d)"
)
_MISSING = ("no such table", "no such column", "no such index", "malformed database schema")


def is_damage(error: BaseException) -> bool:
    """Whether the file, and not the moment or the values, is at fault."""
    if not isinstance(error, sqlite3.Error):
        return False
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return False
    return code & 0xFF in DAMAGE or str(error).startswith(_MISSING)


def may_pass(error: BaseException) -> bool:
    """Whether the connection is as good as before: a lock that is held, a disk that is full."""
    code = getattr(error, "sqlite_errorcode", None)
    return not isinstance(error, sqlite3.Error) or (code is not None and code & 0xFF in PASSING)


def damaged(where: object, error: BaseException | str) -> BooksDamaged:
    """One sentence that names the file."""
    return BooksDamaged(f"the books at {where} are damaged ({error}): {RESTORE}")


def fault_of(error: BaseException, *, where: object, outage: StorageOutage) -> CobotMeterError:
    """BooksDamaged, or BooksBusy for what may pass: a full disk, a lock, a lost mount."""
    if is_damage(error):
        return damaged(where, error)
    return outage.met(error)
