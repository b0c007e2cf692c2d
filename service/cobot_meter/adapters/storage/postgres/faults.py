"""What an error of PostgreSQL means: for the values, for the tables, or for the moment.

Decided by the class of its SQLSTATE, unknown ones included: what is not about our values or about
tables that are no longer ours may pass, and nothing was written by it. Must not know: statements.
"""

from __future__ import annotations

import asyncpg

from cobot_meter.adapters.storage.outage import StorageOutage
from cobot_meter.domain.errors import BooksDamaged, CobotMeterError, LedgerUnbalanced

# Everything that a call to the database may raise.
CAUGHT = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the connection broke in the middle of its protocol
    EOFError,
    OSError,
    TimeoutError,
)
# Cardinality, data, constraints, limits of the program, and what our own functions raise.
VALUES = frozenset({"21", "22", "23", "44", "54", "P0"})
VALUES_EXACTLY = frozenset({"40002"})
# Tables or functions that are gone or others, and pages that are not what was written.
DAMAGE = frozenset({"3F", "42"})
DAMAGE_EXACTLY = frozenset({"XX001", "XX002"})
# Among those: a right that was taken away comes back.
PASSING_EXACTLY = frozenset({"42501"})


def is_about_values(error: BaseException) -> bool:
    """Whether no row may hold what was to be written: that transition's own trouble."""
    state = _state(error)
    return state[:2] in VALUES or state in VALUES_EXACTLY


def is_damage(error: BaseException) -> bool:
    """Whether these are no longer the books of this version."""
    state = _state(error)
    return state in DAMAGE_EXACTLY or (state[:2] in DAMAGE and state not in PASSING_EXACTLY)


def fault_of(error: BaseException, *, outage: StorageOutage) -> CobotMeterError:
    """LedgerUnbalanced, BooksDamaged, or BooksBusy for what may pass."""
    if is_about_values(error):
        return LedgerUnbalanced(f"it cannot be booked: {error}")
    if is_damage(error):
        return BooksDamaged(
            f"the books in the database are damaged ({error}): stop the service and restore a "
            "backup (docs/operating.md, \u201cThe damaged file\u201d)"
        )
    return outage.met(error)


def _state(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else ""
