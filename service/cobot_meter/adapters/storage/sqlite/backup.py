"""Copies of the books' file, of one moment, for their owner alone.

A copy is made page by page while others write, checked, and only then given its name. Must not
know: when or why it is made.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from cobot_meter.adapters.storage.sqlite.connections import connect_reader
from cobot_meter.adapters.storage.sqlite.faults import damaged, is_damage
from cobot_meter.adapters.storage.sqlite.integrity import refuse_damage
from cobot_meter.domain.errors import SettingInvalid

BUSY_TIMEOUT_S = 10.0
PAGES_AT_ONCE = 4_096


def back_up(path: Path, target: Path) -> None:
    """Copy the books at `path` to `target`, mode 0600, in place of what may be there.

    Raises BooksDamaged for books that cannot be read whole, SettingInvalid for a target that
    cannot be written.
    """
    fresh = target.with_name(f"{target.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with (
            closing(connect_reader(path, busy_timeout_s=BUSY_TIMEOUT_S)) as books,
            closing(sqlite3.connect(fresh)) as copy,
        ):
            books.backup(copy, pages=PAGES_AT_ONCE)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, and no log beside it
        refuse_damage(fresh)
        _kept(fresh)
        fresh.replace(target)
        _kept(target.parent)
    except (sqlite3.Error, OSError) as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        if is_damage(error):
            raise damaged(path, error) from error
        message = f"{path} cannot be copied to {target}: {error}"
        raise SettingInvalid(message) from error


def _kept(path: Path) -> None:
    """On the disk, not on its way there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
