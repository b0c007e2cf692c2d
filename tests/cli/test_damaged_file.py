"""A file that is no longer what was written: one sentence and exit 4, whoever meets it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.wiring.opening.databases import BOOKS_FILE
from tests.cli.shop import CommandLine
from tests.cli.test_refusals import one_line
from tests.postgres.cluster import Cluster

READING = (
    ("audit",),
    ("ledger",),
    ("invoices", "list"),
    ("callers", "list"),
    ("db", "check"),
)
PAGE = 4_096


def books_of(shop: CommandLine) -> Path:
    """The file."""
    return Path(shop.environ["COBOT_METER_DATA_DIR"]) / BOOKS_FILE


def overwritten(seed: int) -> Callable[[Path], None]:
    """Three pages hold something else."""

    def damage(books: Path) -> None:
        chance = random.Random(seed)
        content = bytearray(books.read_bytes())
        for page in chance.sample(range(len(content) // PAGE), 3):
            content[page * PAGE : (page + 1) * PAGE] = chance.randbytes(PAGE)
        books.write_bytes(content)

    return damage


def truncated(share: float) -> Callable[[Path], None]:
    """Only the beginning is left."""

    def damage(books: Path) -> None:
        content = books.read_bytes()
        books.write_bytes(content[: int(len(content) * share)])

    return damage


def _garbage(books: Path) -> None:
    books.write_bytes(random.Random(7).randbytes(40_000))


def _no_table(books: Path) -> None:
    with closing(sqlite3.connect(books)) as connection:
        connection.execute("DROP TABLE tally")


DAMAGES: dict[str, Callable[[Path], None]] = {
    **{f"three pages, {seed}": overwritten(seed) for seed in range(3)},
    **{f"{share:.0%} left": truncated(share) for share in (0.3, 0.9)},
    "garbage": _garbage,
    "a table is gone": _no_table,
}


@pytest.mark.parametrize("name", DAMAGES)
def test_every_command_says_that_the_file_is_damaged(shop: CommandLine, name: str) -> None:
    """Reading commands and the doctor: the file is named, exit 4, and no traceback."""
    DAMAGES[name](books_of(shop))
    for words in READING:
        refused = shop.run(*words)
        assert refused.exit_code == ExitCode.BROKEN, (words, refused.stdout, refused.stderr)
        assert BOOKS_FILE in one_line(refused.stderr)
    doctor = shop.run("doctor", "--json")
    assert doctor.exit_code == ExitCode.BROKEN
    assert "damaged" in doctor.stdout


@pytest.mark.parametrize("name", ["three pages, 0", "30% left", "garbage", "a table is gone"])
def test_nothing_is_sold_from_a_damaged_file(shop: CommandLine, name: str) -> None:
    """`serve` stops before it listens, and the file stays as it is."""
    DAMAGES[name](books_of(shop))
    before = books_of(shop).read_bytes()
    refused = shop.spawn("serve")
    assert refused.returncode == ExitCode.BROKEN, refused.stderr
    assert "Traceback" not in refused.stderr
    assert BOOKS_FILE in one_line(refused.stderr)
    assert books_of(shop).read_bytes() == before


@pytest.mark.parametrize("left", [None, b""])
def test_books_that_are_gone_are_not_begun_anew(shop: CommandLine, left: bytes | None) -> None:
    """A file that is missing or empty where books were kept is no first start."""
    books = books_of(shop)
    books.unlink()
    if left is not None:
        books.write_bytes(left)
    refused = shop.spawn("serve")
    assert refused.returncode == ExitCode.BROKEN, refused.stderr
    assert "restore a backup" in one_line(refused.stderr)
    assert (books.read_bytes() if books.exists() else None) == left


def test_a_row_that_nobody_wrote_is_one_sentence(shop: CommandLine) -> None:
    """A state that no version knows costs the list, and neither a traceback nor another code."""
    with closing(sqlite3.connect(books_of(shop))) as connection, connection:
        connection.execute("UPDATE escrow SET state = 'sold twice'")
    connection.close()
    refused = shop.run("invoices", "list")
    assert refused.exit_code == ExitCode.BROKEN
    assert "a row that this version cannot read" in one_line(refused.stderr)


@pytest.mark.parametrize("table", ["journal", "account", "operator_leg", "secret_mark"])
def test_a_table_that_is_gone_from_postgresql(
    shop: CommandLine, cluster: Cluster, table: str
) -> None:
    """The same sentence and the same code, for every command and for the start."""
    url = cluster.new_database()
    there = CommandLine({**shop.environ, "COBOT_METER_DATABASE_URL": url})
    assert there.run("db", "copy").exit_code == 0
    cluster.sql(f"DROP TABLE {table} CASCADE", database=url.rpartition("/")[2])
    for words in (*READING, ("callers", "block", "c_x")):
        refused = there.run(*words)
        assert refused.exit_code == ExitCode.BROKEN, (words, refused.stderr)
        assert table in one_line(refused.stderr)
    assert there.run("doctor").exit_code == ExitCode.BROKEN


def test_sound_books_are_said_to_be_so(shop: CommandLine) -> None:
    """The doctor looks at every page, at the lock of writing, and at the room that is left."""
    rows = {row["name"]: row for row in shop.read("doctor")}
    assert rows["books"]["well"]
    assert "writable, every page is sound" in rows["books"]["detail"]
    assert "MiB free" in rows["disk"]["detail"]


def test_a_backup_reads_as_the_books_do(shop: CommandLine, tmp_path: Path) -> None:
    """`db backup` makes a file that can take the books' place, once, for its owner alone."""
    target = tmp_path / "backup.sqlite3"
    made = shop.run("db", "backup", str(target))
    assert made.exit_code == 0, made.stderr
    assert target.stat().st_mode & 0o777 == 0o600
    before = shop.read("ledger")
    again = shop.run("db", "backup", str(target))
    assert again.exit_code == 2
    assert "is there already" in one_line(again.stderr)
    books_of(shop).unlink()
    target.rename(books_of(shop))
    assert shop.read("ledger") == before
    assert shop.run("audit").exit_code in {0, 3}
    elsewhere = shop.run("db", "backup", "x", COBOT_METER_DATABASE_URL="postgresql://h/books")
    assert elsewhere.exit_code == 2
    assert "pg_dump" in one_line(elsewhere.stderr)
