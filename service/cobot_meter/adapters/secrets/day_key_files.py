"""The files of the keys of the day: one secret for each UTC day, in a directory of their own.

`2026-11-28.key` holds 64 hex digits. It is linked under its name when it is whole and on the disk,
so that two processes that make it at once agree on one. A key that is dropped is overwritten before
it is unlinked, and `2026-11-28.0123456789abcdef.gone` says that what it sealed is lost for good; an
operator says the same of a key that was lost. `2026-11-28*.key` are further keys of that day, as
they come about where two directories are brought together. Everything here blocks.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cobot_meter.adapters.secrets.secret_files import (
    PRIVATE,
    SECRET_BYTES,
    is_open_to_others,
    secret_in,
    write_secret,
)
from cobot_meter.domain.body_keys import DAY, DAY_CHARS, day_of, key_name, unusable

MARK_BYTES = 8
KEY, GONE, NEW = ".key", ".gone", ".new"
# For so long a dropped key is known as dropped: older backups of the books ask the operator.
GONE_KEPT = dt.timedelta(days=400)
_OF_A_DAY = re.compile(rf"{DAY}\..*|{DAY}[^.]*\.key", re.ASCII)


@dataclass(frozen=True, slots=True)
class DayKey:
    """One secret and its name."""

    name: str
    secret: bytes = field(repr=False)


def made_key(folder: Path, day: str, *, begins: bool = True) -> DayKey:
    """The key of this day, made unless there is one, and the directory too if it `begins`.

    A directory that was there is not made again: it is a share that went away. Raises
    BodyKeysUnusable.
    """
    path = folder / f"{day}{KEY}"
    try:
        if begins:
            folder.mkdir(mode=0o700, exist_ok=True)
        _refuse_open(folder)
        if not path.exists():
            _linked(path, secrets.token_bytes(SECRET_BYTES))
        key = _read(path)
        _to_disk(folder)  # whoever made it may not have come to this yet
    except OSError as fault:
        raise unusable(_cannot(folder, fault)) from None
    return key


def found_key(folder: Path, name: str) -> DayKey | None:
    """The key of this name; None when it is not there. Raises BodyKeysUnusable."""
    try:
        _refuse_open(folder)
        return next((key for key in _keys_of(folder, day_of(name)) if key.name == name), None)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise unusable(_cannot(folder, fault)) from None


def is_gone(folder: Path, name: str) -> bool:
    """Whether this key was dropped, or an operator has said that it is lost.

    Raises BodyKeysUnusable.
    """
    try:
        return (folder / f"{name}{GONE}").exists()
    except OSError as fault:
        raise unusable(_cannot(folder, fault)) from None


def refuse_unusable(folder: Path) -> None:
    """Raises BodyKeysUnusable when a key could not be kept there; nothing is tried."""
    try:
        _refuse_open(folder)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as fault:
        raise unusable(_cannot(folder, fault)) from None


def put_back(folder: Path, key: DayKey) -> None:
    """The file of a key that is still held in memory, as if it had never been away.

    Raises BodyKeysUnusable.
    """
    path = folder / f"{day_of(key.name)}{KEY}"
    try:
        _refuse_open(folder)
        if path.exists():
            path = folder / f"{key.name}{KEY}"
        _linked(path, key.secret)
        (folder / f"{key.name}{GONE}").unlink(missing_ok=True)
        _to_disk(folder)
    except OSError as fault:
        raise unusable(_cannot(folder, fault)) from None


def dropped_keys(folder: Path, *, kept: Collection[str], before: str) -> tuple[str, ...]:
    """Erase what is of a day before `before` and not `kept`; the names of the erased keys.

    A damaged file stays while a key of its day is needed: it may be that one, or what is left of
    it. Raises BodyKeysUnusable.
    """
    needed = {day_of(name) for name in kept}
    forgotten = (dt.date.fromisoformat(before) - GONE_KEPT).isoformat()
    names = []
    try:
        for path in sorted(_of_days(folder)):
            day = path.name[:DAY_CHARS]
            if path.suffix == KEY and day < before:
                secret = secret_in(path)
                name = _named(path, secret or b"")
                if name not in kept and (secret is not None or day not in needed):
                    _erase(path, name)
                    names.append(name)
            elif path.suffix == NEW and day < before:
                path.unlink(missing_ok=True)  # it may be a key's other name: never overwritten
            elif path.suffix == GONE and day < forgotten and path.stem not in kept:
                path.unlink(missing_ok=True)
        if names:
            _to_disk(folder)
    except OSError as fault:
        raise unusable(_cannot(folder, fault)) from None
    return tuple(names)


def _linked(path: Path, secret: bytes) -> None:
    """Whole and on the disk before it has its name; whoever is first gives it."""
    fresh = path.with_name(f"{path.stem}.{secrets.token_hex(MARK_BYTES)}{NEW}")
    try:
        write_secret(fresh, secret)
        os.link(fresh, path)
    except FileExistsError:
        pass  # another process was first: its key is the one
    finally:
        fresh.unlink(missing_ok=True)


def _erase(path: Path, name: str) -> None:
    """Say that it is gone before it is, so that nobody waits for it to come back."""
    gone = os.open(path.parent / f"{name}{GONE}", os.O_WRONLY | os.O_CREAT, PRIVATE)
    try:
        os.fsync(gone)
    finally:
        os.close(gone)
    _to_disk(path.parent)
    _overwrite(path)


def _overwrite(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return  # another process drops it too
    try:
        os.pwrite(descriptor, b"0" * (2 * SECRET_BYTES) + b"\n", 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)


def _keys_of(folder: Path, day: str) -> Iterator[DayKey]:
    """Every key of one day; a damaged one is none, and so is one that is dropped just now."""
    for path in sorted(_of_days(folder)):
        if path.suffix == KEY and path.name.startswith(day):
            try:
                _refuse_open(path)
                secret = secret_in(path)
            except FileNotFoundError:
                continue
            if secret is not None:
                yield DayKey(_named(path, secret), secret)


def _of_days(folder: Path) -> Iterator[Path]:
    """Our own files, whoever keeps something else beside them."""
    return (path for path in folder.iterdir() if _OF_A_DAY.fullmatch(path.name))


def _read(path: Path) -> DayKey:
    _refuse_open(path)
    secret = secret_in(path)
    if secret is None:
        why = (
            f"{path} must hold {2 * SECRET_BYTES} hex digits: put it back from its backup, or "
            "move it away where there is none "
            "(docs/operating.md, \u201cA lost key of the day\u201d)"
        )
        raise unusable(why)
    return DayKey(_named(path, secret), secret)


def _named(path: Path, secret: bytes) -> str:
    mark = hmac.digest(secret, b"cobot-meter/1/day-mark", hashlib.sha256)[:MARK_BYTES].hex()
    return key_name(path.name[:DAY_CHARS], mark)


def _refuse_open(path: Path) -> None:
    if is_open_to_others(path):
        mode = 700 if path.is_dir() else 600
        raise unusable(f"{path} is open to others; run: chmod {mode} {path}")


def _to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot(folder: Path, fault: OSError) -> str:
    return (
        f"the keys of the day cannot be kept in {folder}: {fault.strerror or fault}; let this user "
        "write there, make room, or name another directory in COBOT_METER_BODY_KEYS_DIR"
    )
