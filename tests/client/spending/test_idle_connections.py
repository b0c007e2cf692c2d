"""A file's connections are used again, by one at a time, and never by a forked process."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest

from cobot_pay.spending.book import Book
from cobot_pay.spending.idle_connections import IdleConnections

THREADS = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with the tables of a book."""
    Book(tmp_path / "book.sqlite")
    return tmp_path / "book.sqlite"


def test_one_after_the_other_has_the_same_connection(path: Path) -> None:
    """Opening costs as much as ten small transactions, so it is done once."""
    connections = IdleConnections(path)
    with connections.taken() as first:
        pass
    with connections.taken() as second:
        pass
    assert first is second


def test_threads_at_once_have_one_each(path: Path) -> None:
    """A connection that two threads share would mix their transactions."""
    connections, met = IdleConnections(path), Barrier(THREADS)

    def take(_: int) -> sqlite3.Connection:
        with connections.taken() as connection:
            met.wait(timeout=20)
            return connection

    with ThreadPoolExecutor(THREADS) as pool:
        assert len(set(pool.map(take, range(THREADS)))) == THREADS


def test_what_raised_is_undone_and_its_connection_is_not_used_again(path: Path) -> None:
    """Half a transaction is never found by whoever takes a connection next."""
    book = Book(path)
    with suppress(ZeroDivisionError), book.change() as broken:
        broken.execute("INSERT INTO account_key VALUES ('https://a.example', 'secret')")
        raise ZeroDivisionError
    with book.look() as connection:
        assert connection is not broken
        assert connection.execute("SELECT * FROM account_key").fetchall() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_opens_its_own(path: Path) -> None:
    """SQLite's locks are the parent's; a child that used them would damage the file."""
    connections = IdleConnections(path)
    with connections.taken() as ours:
        pass
    child = os.fork()
    if not child:
        with connections.taken() as theirs:
            os._exit(theirs is ours)
    assert os.waitpid(child, 0)[1] == 0
    with connections.taken() as still_ours:
        assert still_ours is ours
        assert still_ours.execute("SELECT count(*) FROM payment").fetchone()[0] == 0


def test_a_file_that_was_put_back_from_a_copy_is_the_one_that_counts(path: Path) -> None:
    """A limit is kept in the file that has the name now, not in one that is deleted."""
    book = Book(path)
    copy = path.with_name("copy")
    with book.look() as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    with book.change() as connection:
        connection.execute("INSERT INTO account_key VALUES ('https://a.example', 'secret')")
    for log in ("-wal", "-shm"):
        path.with_name(path.name + log).unlink(missing_ok=True)
    shutil.move(copy, path)
    with book.look() as connection:
        assert connection.execute("SELECT * FROM account_key").fetchall() == []


def test_only_the_owner_may_read_the_log_beside_it(path: Path) -> None:
    """The log holds preimages and keys as the file does."""
    book = Book(path)
    with book.change() as connection:
        connection.execute("INSERT INTO account_key VALUES ('https://a.example', 'secret')")
    written = sorted(path.parent.iterdir())
    assert len(written) == 3
    assert {stat.S_IMODE(one.stat().st_mode) for one in written} == {0o600}


def test_a_book_that_nobody_holds_any_more_leaves_its_file_alone(path: Path) -> None:
    """Without a program that has it open the one file is everything, and can be copied."""
    book = Book(path)
    with book.change() as connection:
        connection.execute("INSERT INTO account_key VALUES ('https://a.example', 'secret')")
    del book, connection
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_book_of_before_the_log_is_taken_over_with_what_is_in_it(tmp_path: Path) -> None:
    """Files of older versions have no log; one that is being read meanwhile stays usable."""
    path = tmp_path / "book.sqlite"
    Book(path)
    older = sqlite3.connect(path)
    older.execute("PRAGMA journal_mode = DELETE")
    older.execute("INSERT INTO account_key VALUES ('https://a.example', 'secret')")
    older.commit()
    reading = older.execute("SELECT * FROM account_key")
    assert reading.fetchone()
    book = Book(path)  # while another process has it in hand
    reading.close()
    older.close()
    with Book(path).look() as connection, book.look() as beside:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        for one in (connection, beside):
            assert [row["key"] for row in one.execute("SELECT * FROM account_key")] == ["secret"]
