"""What errors of the databases mean: every code and every SQLSTATE is decided, unknown ones too."""

from __future__ import annotations

import sqlite3

import asyncpg
import pytest
from asyncpg import exceptions

from cobot_meter.adapters.storage.outage import AWAY, StorageOutage
from cobot_meter.adapters.storage.postgres import faults as postgres_faults
from cobot_meter.adapters.storage.sqlite import faults as sqlite_faults
from cobot_meter.domain.errors import BooksBusy, BooksDamaged, LedgerUnbalanced

SQLSTATES = sorted(
    {
        state
        for one in vars(exceptions).values()
        if isinstance(state := getattr(one, "sqlstate", None), str)
    }
)
PASSING = {
    "58030": "an input or output error of the disk",
    "53100": "a full disk",
    "53200": "no memory",
    "XX000": "an internal error",
    "25P03": "a session that was idle for too long",
    "25006": "a standby",
    "55006": "an object in use",
    "55P03": "a lock that is held",
    "57014": "a call that was canceled",
    "57P01": "a server that is stopped",
    "57P03": "a server that starts",
    "40001": "a serialisation failure",
    "40P01": "a deadlock",
    "08006": "a broken connection",
    "42501": "a right that was taken away",
    "3D000": "a database that is not there",
    "28P01": "a password that was changed",
    "ZZ999": "what nobody has seen before",
}
DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_NOTADB)


def outage() -> StorageOutage:
    """One that has not begun."""
    return StorageOutage(what="the books cannot be written")


def of_state(state: str) -> asyncpg.PostgresError:
    """An error of PostgreSQL with this SQLSTATE."""
    error = asyncpg.PostgresError("said by the server")
    error.sqlstate = state
    return error


def of_code(code: int, said: str = "said by the library") -> sqlite3.OperationalError:
    """An error of SQLite with this code."""
    error = sqlite3.OperationalError(said)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("state", PASSING)
def test_what_may_pass_is_busy(state: str) -> None:
    """Nothing was written and the same may go well later: callers hear one plain sentence."""
    fault = postgres_faults.fault_of(of_state(state), outage=outage())
    assert type(fault) is BooksBusy
    assert fault.message == AWAY


@pytest.mark.parametrize("state", SQLSTATES)
def test_every_sqlstate_is_decided_by_its_class(state: str) -> None:
    """Values are their transition's trouble, tables and pages are damage, the rest may pass."""
    fault = postgres_faults.fault_of(of_state(state), outage=outage())
    if state[:2] in {"21", "22", "23", "44", "54", "P0"} or state == "40002":
        assert type(fault) is LedgerUnbalanced
    elif state in {"XX001", "XX002"} or (state[:2] in {"3F", "42"} and state != "42501"):
        assert type(fault) is BooksDamaged
    else:
        assert type(fault) is BooksBusy


def test_errors_without_a_state_may_pass() -> None:
    """A connection that broke, a driver that gave up and a time-out say nothing of the books."""
    for error in (
        OSError("no route"),
        TimeoutError(),
        EOFError(),
        asyncpg.InterfaceError("closed"),
    ):
        assert type(postgres_faults.fault_of(error, outage=outage())) is BooksBusy


@pytest.mark.parametrize("code", range(1, 29))
@pytest.mark.parametrize("extension", [0, 1, 7])
def test_every_code_of_sqlite_is_decided(code: int, extension: int) -> None:
    """A file that is none of ours is damage; everything else may pass, extended codes alike."""
    error = of_code(code | extension << 8)
    fault = sqlite_faults.fault_of(error, where="books", outage=outage())
    assert type(fault) is (BooksDamaged if code in DAMAGE_CODES else BooksBusy)


def test_a_table_that_is_gone_is_damage() -> None:
    """SQLite has no code of its own for it."""
    error = of_code(sqlite3.SQLITE_ERROR, "no such table: escrow")
    assert type(sqlite_faults.fault_of(error, where="b", outage=outage())) is BooksDamaged


def test_an_outage_is_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is met: one line at its beginning, one with its length at its end."""
    now_s = [100.0]
    one = StorageOutage(what="the books cannot be written", now_s=lambda: now_s[0])
    for _ in range(50):
        one.met(OSError("database or disk is full"))
    now_s[0] = 130.0
    assert one.lasts_s == 30
    one.over()
    one.over()
    assert one.lasts_s == 0
    assert [record.getMessage() for record in caplog.records] == [
        "the books cannot be written: database or disk is full",
        "over after 30.0 s: the books cannot be written (database or disk is full)",
    ]


def test_a_known_outage_is_tried_against_once_a_second() -> None:
    """Where each try costs seconds, everybody else hears at once that there is no use."""
    now_s = [100.0]
    one = StorageOutage(what="the books cannot be written", now_s=lambda: now_s[0])
    one.spare()
    one.met("away")
    one.spare()
    now_s[0] += 5
    one.spare()
    for _ in range(3):
        with pytest.raises(BooksBusy):
            one.spare()
    now_s[0] += 1
    one.spare()
    one.over()
    one.spare()
