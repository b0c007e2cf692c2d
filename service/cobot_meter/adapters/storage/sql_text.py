"""Core statements turned into SQL text once, so that the hot path pays for the database alone.

Must not know: any table, or which statements there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ClauseElement
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import Dialect

from cobot_meter.domain.errors import Broken

_FROM_ACCOUNT = re.compile(r"\bFROM account\b")
_FROM_JOURNAL = re.compile(r"(max\(journal\.sequence\) AS \w+\s+)FROM journal\b")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with positional parameters; `names` says what stands at each position."""

    sql: str
    names: tuple[str, ...]


def dialect_of(database: str) -> Dialect:
    """How `sqlite` or `postgresql` is spoken to by the drivers that we use."""
    if database != "postgresql":
        return sqlite.dialect(paramstyle="qmark")
    from sqlalchemy.dialects.postgresql import asyncpg

    spoken: Callable[[], Dialect] = asyncpg.dialect
    return spoken()


def compiled(clause: ClauseElement, *names: str, dialect: Dialect) -> Statement:
    """The text of `clause`, whose parameters must come in the order of `names`.

    Raises Broken when they do not: values would go where they do not belong.
    """
    text = clause.compile(dialect=dialect)
    found = tuple(getattr(text, "positiontup", None) or ())
    if found != names:
        raise Broken(f"parameters {found} where {names} are passed: {text}")
    return Statement(str(text), names)


def with_legs(statement: Statement, database: str) -> Statement:
    """Reads what stands: PostgreSQL has legs beside its sums that are not rolled up yet."""
    if database != "postgresql":
        return statement
    seen = _FROM_ACCOUNT.sub("FROM account_now AS account", statement.sql)
    seen = _FROM_JOURNAL.sub(r"\1FROM journal_mark AS journal", seen)
    return Statement(seen, statement.names)
