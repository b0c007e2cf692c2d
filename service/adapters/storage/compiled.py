"""Core statements turned into SQL text once, so that the hot path pays for the database alone.

Must not know: any table, or which statements there are.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ClauseElement
from sqlalchemy.engine.interfaces import Dialect

from service.domain.errors import Broken


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with positional parameters; `names` says what stands at each position."""

    sql: str
    names: tuple[str, ...]


def compiled(clause: ClauseElement, *names: str, dialect: Dialect) -> Statement:
    """The text of `clause`, whose parameters must come in the order of `names`.

    Raises Broken when they do not: values would go where they do not belong.
    """
    text = clause.compile(dialect=dialect)
    found = tuple(getattr(text, "positiontup", None) or ())
    if found != names:
        raise Broken(f"parameters {found} where {names} are passed: {text}")
    return Statement(str(text), names)
