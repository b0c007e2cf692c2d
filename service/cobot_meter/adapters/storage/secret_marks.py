"""The mark of the secret that books were begun with: what it seals no other secret opens.

Books from before there was a mark are asked for the newest payment hash: its preimage is derived
from the secret, so only the right one leads to it. Must not know: the secret, or how it is kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobot_meter.adapters.storage.sqlite.connections import connect_reader
from cobot_meter.domain.errors import SettingInvalid

BUSY_TIMEOUT_S = 5.0
KNOWN = "SELECT mark FROM secret_mark"
KEEP = "INSERT OR IGNORE INTO secret_mark (number, mark) VALUES (1, ?)"
_ESCROW = """
SELECT escrow_id, attempt, payment_hash FROM escrow WHERE payment_hash IS NOT NULL
ORDER BY opened_sequence DESC LIMIT 1
"""
_TOPUP = "SELECT topup_id, attempt, payment_hash FROM topup ORDER BY opened_sequence DESC LIMIT 1"
NEWEST = (_ESCROW, _TOPUP)
ANOTHER = (
    "these books were begun with another secret: copy secret.key into the data directory "
    "from where the service ran before, from its backup or from another replica "
    "(docs/operating.md, \u201cThe lost key\u201d)"
)
SubjectHashes = Iterable[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretProof:
    """What a secret shows of itself: its mark, and the payment hash of a subject's attempt."""

    mark: str
    payment_hash: Callable[[str, int], str]

    def refuse_another(self, known: str | None, newest: SubjectHashes) -> None:
        """Raises SettingInvalid when the books know another mark, or hashes of another secret."""
        if known is not None:
            same = known == self.mark
        else:
            same = all(self.payment_hash(name, attempt) == was for name, attempt, was in newest)
        if not same:
            raise SettingInvalid(ANOTHER)


def known_mark(path: Path) -> str | None:
    """What the file knows; None when it knows none. Raises sqlite3.Error."""
    with closing(connect_reader(path, busy_timeout_s=BUSY_TIMEOUT_S)) as connection:
        row = connection.execute(KNOWN).fetchone()
    return str(row[0]) if row else None


def knows_a_secret(path: Path) -> bool:
    """Whether anything in the file was made with a secret; of one that cannot be read, yes."""
    try:
        with closing(connect_reader(path, busy_timeout_s=BUSY_TIMEOUT_S)) as connection:
            written = connection.execute("SELECT 1 FROM journal LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return True
    try:
        return written or known_mark(path) is not None
    except sqlite3.Error:
        return written  # tables of before there was a mark, and nothing in them


def keep_mark(path: Path, proof: SecretProof) -> None:
    """Refuse another secret than these books were begun with, or note the one they begin with.

    Raises SettingInvalid.
    """
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
        row = connection.execute(KNOWN).fetchone()
        newest = [one for query in NEWEST for one in connection.execute(query)]
        proof.refuse_another(row[0] if row else None, newest)
        if row is None:
            with connection:
                connection.execute(KEEP, (proof.mark,))
