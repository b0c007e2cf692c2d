"""`db upgrade`, `check` and `copy`, and every other command on a copied PostgreSQL database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cobot_meter.adapters.storage.schema import head
from cobot_meter.adapters.storage.sqlite.connections import WriterLock
from cobot_meter.wiring.opening.databases import BOOKS_FILE
from tests.cli.shop import CommandLine
from tests.cli.test_refusals import one_line
from tests.postgres.cluster import Cluster

URL = "COBOT_METER_DATABASE_URL"
READING = (("ledger",), ("audit",), ("invoices", "list"), ("callers", "list"))


def on(shop: CommandLine, url: str) -> CommandLine:
    """The same settings with the books in this database."""
    return CommandLine({**shop.environ, URL: url})


def books_of(shop: CommandLine) -> Path:
    """The file of its books."""
    return Path(shop.environ["COBOT_METER_DATA_DIR"]) / BOOKS_FILE


def set_schema(shop: CommandLine, revision: str) -> None:
    """Say that the file has another schema."""
    with closing(sqlite3.connect(books_of(shop))) as books, books:
        books.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    books.close()


def test_a_copy_reads_as_the_file_does(shop: CommandLine, cluster: Cluster) -> None:
    """From books that were sold from to an empty database: every command says the same there."""
    copy = on(shop, cluster.new_database())
    copied = copy.read("db", "copy")
    rows = {table["name"]: table["rows"] for table in copied["tables"]}
    assert rows["journal"] > 10
    assert rows["transfer"] > 10
    assert rows["escrow"] == 2
    for words in READING:
        assert copy.read(*words) == shop.read(*words), words
    caller = shop.read("callers", "list")[0]["caller_id"]
    statement = ("ledger", "--caller", caller)
    assert copy.read(*statement) == shop.read(*statement)
    state = copy.read("db", "check")
    assert state["balanced"]
    assert state["entries"] == rows["journal"]
    assert copy.run("db", "check").exit_code == 0


def test_a_copied_journal_goes_on_behind_its_end(shop: CommandLine, cluster: Cluster) -> None:
    """What is booked in the copy gets numbers of its own, and the audit has nothing to say."""
    copy = on(shop, cluster.new_database())
    assert copy.run("db", "copy").exit_code == 0
    caller = copy.read("callers", "list")[0]["caller_id"]
    entries = copy.read("db", "check")["entries"]
    assert copy.run("callers", "block", caller).exit_code == 0
    assert copy.read("db", "check")["entries"] > entries
    assert copy.read("callers", "list")[0]["blocked"]
    assert copy.run("audit").exit_code in {0, 3}


def test_a_second_copy_is_refused(shop: CommandLine, cluster: Cluster) -> None:
    """Books are never copied over books; what is there stays."""
    copy = on(shop, cluster.new_database())
    assert copy.run("db", "copy").exit_code == 0
    before = copy.read("db", "check")
    refused = copy.run("db", "copy")
    assert refused.exit_code == 2
    assert "has books already" in one_line(refused.stderr)
    assert copy.read("db", "check") == before


def test_books_in_use_are_not_copied(shop: CommandLine, cluster: Cluster) -> None:
    """While a service has the file, nothing is copied and nothing is upgraded."""
    copy = on(shop, cluster.new_database())
    lock = WriterLock(books_of(shop))
    try:
        for refused in (copy.run("db", "copy"), shop.run("db", "upgrade")):
            assert refused.exit_code == 2
            assert "in use by another process" in one_line(refused.stderr)
    finally:
        lock.release()
    assert "holds no books" in copy.run("db", "check").stdout


def test_a_copy_needs_both_ends(shop: CommandLine, nothing: CommandLine, database: str) -> None:
    """Without a target, without a source, or with a source of another version: one line."""
    set_schema(shop, "0003")
    for commands, says in (
        (shop, "COBOT_METER_DATABASE_URL is missing"),
        (on(nothing, database), "there are no books"),
        (on(shop, database), "have schema 0003"),
    ):
        refused = commands.run("db", "copy")
        assert refused.exit_code == 2
        assert says in one_line(refused.stderr)


def test_the_file_is_checked_too(shop: CommandLine) -> None:
    """Without the setting `db` is about the file in the data directory."""
    assert f"schema {head()}" in shop.run("db", "check").stdout
    assert f"schema {head()}" in shop.run("db", "upgrade").stdout
    set_schema(shop, "9999")
    shown = shop.run("db", "check")
    assert shown.exit_code == 1
    assert "newer version" in shown.stdout
    assert "db upgrade" not in shown.stdout
    refused = shop.run("db", "upgrade")
    assert refused.exit_code == 2
    assert "newer version" in one_line(refused.stderr)


def test_books_that_do_not_add_up_are_found(shop: CommandLine) -> None:
    """An account that somebody changed by hand is said, and the exit code is 1."""
    with closing(sqlite3.connect(books_of(shop))) as books, books:
        books.execute("UPDATE account SET debits_posted = debits_posted + 1 WHERE exact = 0")
    books.close()
    shown = shop.run("db", "check")
    assert shown.exit_code == 1
    assert "do NOT add up" in shown.stdout


def test_a_fresh_database_is_given_tables(nothing: CommandLine, cluster: Cluster) -> None:
    """Empty, then upgraded, then well; commands that read refuse it before."""
    commands = on(nothing, f"{cluster.new_database()}?sslmode=disable")
    assert commands.run("db", "check").exit_code == 1
    refused = commands.run("ledger")
    assert refused.exit_code == 2
    assert "db upgrade" in one_line(refused.stderr)
    assert f"schema {head()}" in commands.run("db", "upgrade").stdout
    assert commands.run("db", "check").exit_code == 0
    assert commands.read("ledger")["trial_balance"] == []


def test_a_user_without_rights_is_told_so(nothing: CommandLine, cluster: Cluster) -> None:
    """Who may not make tables there reads what the server says, in one line."""
    url = cluster.new_database()
    cluster.sql("CREATE ROLE guest LOGIN")
    refused = on(nothing, url.replace("postgres@", "guest@")).run("db", "upgrade")
    assert refused.exit_code == 2
    assert "permission denied" in one_line(refused.stderr)


@pytest.mark.parametrize("words", [("ledger",), ("db", "upgrade"), ("db", "check")])
def test_a_database_that_cannot_be_reached_is_one_line(
    sold: CommandLine, cluster: Cluster, words: tuple[str, ...]
) -> None:
    """No server, no such database, no such user: exit code 2, and never the password."""
    server = cluster.url("").removesuffix("/").rpartition("@")[2]
    for url in (
        "postgresql://ann:canary@127.0.0.1:1/books",
        f"postgresql://postgres:canary@{server}/nowhere",
        f"postgresql://nobody:canary@{server}/postgres",
    ):
        refused = on(sold, url).run(*words)
        assert refused.exit_code == 2, refused.stdout
        assert "canary" not in one_line(refused.stderr)


def test_serve_refuses_an_older_schema(sold: CommandLine, database: str, cluster: Cluster) -> None:
    """Several replicas may run on it: only the operator upgrades, and is told how."""
    name = database.rpartition("/")[2]
    cluster.sql("UPDATE alembic_version SET version_num = '0003'", database=name)
    refused = on(sold, database).spawn("serve")
    assert refused.returncode == 2
    assert "db upgrade" in one_line(refused.stderr)


def test_serve_stops_at_a_database_that_is_not_there(sold: CommandLine) -> None:
    """One line and exit code 2, as for any setting that is wrong."""
    refused = on(sold, "postgresql://ann:canary@127.0.0.1:1/books").spawn("serve")
    assert refused.returncode == 2
    assert "canary" not in one_line(refused.stderr)


def test_the_doctor_looks_at_the_database(sold: CommandLine, database: str) -> None:
    """It says where the books are, without user and password."""
    checks = {check["name"]: check for check in on(sold, database).read("doctor")}
    assert checks["books"]["well"]
    assert database.rpartition("@")[2] in checks["books"]["detail"]
