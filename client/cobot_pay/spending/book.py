"""The file in which payments and what was spent are kept: SQLite, shared by processes.

Every change is one transaction that is on disk before it returns, and takes the file for itself
from its first statement: two processes can never both find the same room under a limit. The file
holds macaroons and preimages, so that only its owner may read it, and the log that SQLite keeps
beside it (`-wal`, `-shm`) has the same rights. It has to lie on a disk of this machine: such a log
is not seen across a network.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cobot_pay.spending.idle_connections import IdleConnections

_OWNER_ONLY_FILE, _OWNER_ONLY_FOLDER = 0o600, 0o700

# `amount_msat` is what is set aside, fee included, and once it is paid what was paid. `for_key`: a
# key asked for it, so that its proof is that key and no more, and never who we are.
_TABLES = """
CREATE TABLE IF NOT EXISTS payment (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  payment_hash TEXT NOT NULL,
  host TEXT NOT NULL,
  origin TEXT NOT NULL,
  macaroon TEXT NOT NULL,
  preimage TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('reserved', 'unknown', 'paid')),
  amount_msat INTEGER NOT NULL CHECK (amount_msat >= 0),
  fee_msat INTEGER NOT NULL,
  micro_usd_per_btc INTEGER,
  for_key INTEGER NOT NULL,
  process INTEGER NOT NULL,
  reserved_at_s INTEGER NOT NULL,
  paid_at_s INTEGER
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS payment_once ON payment (payment_hash) WHERE payment_hash <> '';
CREATE INDEX IF NOT EXISTS payment_open ON payment (host) WHERE state <> 'paid';
CREATE INDEX IF NOT EXISTS payment_origin ON payment (origin, number) WHERE state = 'paid';
CREATE TABLE IF NOT EXISTS spent (
  host TEXT NOT NULL,
  period TEXT NOT NULL,
  began_s INTEGER NOT NULL,
  msat INTEGER NOT NULL,
  micro_usd INTEGER NOT NULL,
  PRIMARY KEY (host, period, began_s)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS account_key (
  origin TEXT PRIMARY KEY,
  key TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cobot_limits (
  folder TEXT PRIMARY KEY,
  origin TEXT NOT NULL,
  limits TEXT NOT NULL,
  started_at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


class Book:
    """One file of payments."""

    def __init__(self, path: Path) -> None:
        """Makes the file, and the folder that it lies in, where there is none yet."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=_OWNER_ONLY_FOLDER)
        path.touch(mode=_OWNER_ONLY_FILE)
        path.chmod(_OWNER_ONLY_FILE)
        self._connections = IdleConnections(path)
        with self._connections.taken() as connection:
            # Where another process has the file in hand it stays as it is: as safe, only slower.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction that nobody else writes beside: committed at its end.

        What raises before is undone: a connection that is closed takes back what is not committed.
        """
        with self._connections.taken() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def look(self) -> Iterator[sqlite3.Connection]:
        """A connection to read what is there now with."""
        with self._connections.taken() as connection:
            yield connection
