"""Secrets in files: 64 hex digits and a line end, for their owner's eyes alone."""

from __future__ import annotations

import os
from pathlib import Path

SECRET_BYTES = 32
PRIVATE = 0o600
_OPEN_TO_OTHERS = 0o077


def write_secret(fresh: Path, secret: bytes) -> None:
    """A new file with this secret, on the disk when this returns. Raises OSError.

    Whoever keeps it gives it its name afterwards: a half-written secret would be another one.
    """
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())


def secret_in(path: Path) -> bytes | None:
    """The secret; None where the file holds anything else. Raises OSError."""
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        return None
    return secret if len(secret) == SECRET_BYTES else None


def is_open_to_others(path: Path) -> bool:
    """Whether anybody but its owner may do anything with it. Raises OSError."""
    return bool(path.stat().st_mode & _OPEN_TO_OTHERS)
