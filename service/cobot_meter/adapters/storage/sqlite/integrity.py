"""Is the file what SQLite wrote: its pages, its tables, and whether it may be written.

`quick_check` reads every page once; where that would take too long it is stopped, and says so.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cobot_meter.adapters.storage.sqlite.connections import connect_reader, connect_writer
from cobot_meter.adapters.storage.sqlite.faults import damaged, is_damage
from cobot_meter.adapters.storage.tables import METADATA
from cobot_meter.domain.errors import BooksBusy

BUSY_TIMEOUT_S = 1.0
# The virtual machine of SQLite is asked after so many of its steps whether it is late.
STEPS = 20_000
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look at the file came to; not `whole` when it was stopped before its end."""

    fault: str = ""
    whole: bool = True


def look_at_pages(path: Path, *, within_s: float | None = None) -> Looked:
    """Every page and the order of every index, as far as time allows."""
    until_s = None if within_s is None else time.monotonic() + within_s
    try:
        with closing(connect_reader(path, busy_timeout_s=BUSY_TIMEOUT_S)) as connection:
            if until_s is not None:
                late = until_s
                connection.set_progress_handler(lambda: int(time.monotonic() > late), STEPS)
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        # Stopped, locked, not to be opened: whoever reads it next says what is wrong.
        return Looked(fault=str(error)) if is_damage(error) else Looked(whole=False)
    return Looked() if found == "ok" else Looked(fault=str(found).partition("\n")[0])


def refuse_damage(path: Path, *, within_s: float | None = None) -> Looked:
    """Every page and the order of every index, as far as time allows.

    Raises BooksDamaged for pages that are not what was written.
    """
    looked = look_at_pages(path, within_s=within_s)
    if looked.fault:
        raise damaged(path, looked.fault)
    return looked


def refuse_missing_tables(path: Path) -> None:
    """Raises BooksDamaged when a table of this version is not there."""
    try:
        with closing(connect_reader(path, busy_timeout_s=BUSY_TIMEOUT_S)) as connection:
            there = {name for (name,) in connection.execute(TABLES)}
    except sqlite3.Error as error:
        raise damaged(path, error) from error
    missing = sorted(set(METADATA.tables) - there)
    if missing:
        raise damaged(path, f"there is no table {missing[0]}")


def refuse_read_only(path: Path) -> None:
    """Take the lock of writing and let it go. Raises BooksBusy, BooksDamaged."""
    try:
        with closing(connect_writer(path, busy_timeout_s=BUSY_TIMEOUT_S)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if is_damage(error):
            raise damaged(path, error) from error
        raise BooksBusy(f"{path} cannot be written: {error}") from error
