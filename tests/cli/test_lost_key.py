"""A secret that is gone, or another one: nothing is begun with it, and every command says so."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cobot_meter.adapters.storage.secret_marks import knows_a_secret
from cobot_meter.adapters.storage.sqlite.schema import upgrade
from cobot_meter.wiring.opening.databases import BOOKS_FILE
from cobot_meter.wiring.opening.ports import KEY_FILE
from tests.cli.shop import CommandLine
from tests.cli.test_refusals import one_line
from tests.postgres.cluster import Cluster

SAYS = {"removed": "is missing, and the books were begun with it", "swapped": "another secret"}
WRITING = (("serve",), ("callers", "block", "c_"), ("invoices", "cancel", "esc_"))


def folder_of(shop: CommandLine) -> Path:
    """Its data directory."""
    return Path(shop.environ["COBOT_METER_DATA_DIR"])


def removed(key: Path) -> None:
    """Nobody knows where it went."""
    key.unlink()


def swapped(key: Path) -> None:
    """Another service's."""
    key.write_text(secrets.token_hex(32), encoding="ascii")


@pytest.mark.parametrize("lose", [removed, swapped])
@pytest.mark.parametrize("words", WRITING, ids=lambda words: words[0])
def test_no_book_is_written_without_its_secret(
    shop: CommandLine, lose: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    """Exit 2 and one sentence; no secret is made, and with the right one all goes on."""
    key = folder_of(shop) / KEY_FILE
    was = key.read_text(encoding="ascii")
    lose(key)
    left = key.read_text(encoding="ascii") if key.exists() else None
    caller = shop.read("callers", "list")[0]["caller_id"]
    escrow = shop.read("invoices", "list")[0]["escrow_id"]
    subject = [] if words == ("serve",) else [caller if words[0] == "callers" else escrow]
    refused = shop.spawn(*words[:2], *subject)
    assert refused.returncode == 2, refused.stderr
    assert SAYS[lose.__name__] in one_line(refused.stderr)
    assert (key.read_text(encoding="ascii") if key.exists() else None) == left
    key.write_text(was, encoding="ascii")
    key.chmod(0o600)
    assert shop.run("callers", "block", caller).exit_code == 0


@pytest.mark.parametrize("lose", [removed, swapped])
def test_doctor_and_audit_say_it(shop: CommandLine, lose: Callable[[Path], None]) -> None:
    """The doctor's row is wrong, and the audit of right books ends with the same sentence."""
    assert shop.run("audit").exit_code in {0, 3}
    lose(folder_of(shop) / KEY_FILE)
    rows = {row["name"]: row for row in shop.read("doctor")}
    assert rows["secret key"]["well"] is False
    assert SAYS[lose.__name__] in rows["secret key"]["detail"]
    audited = shop.run("audit")
    assert audited.exit_code == 2
    assert SAYS[lose.__name__] in one_line(audited.stderr)


def test_books_from_before_the_mark_know_their_secret(shop: CommandLine) -> None:
    """Without a mark the newest payment hash tells another secret from theirs."""
    key, books = folder_of(shop) / KEY_FILE, folder_of(shop) / BOOKS_FILE
    with closing(sqlite3.connect(books)) as connection, connection:
        connection.execute("DELETE FROM secret_mark")
    connection.close()
    was = key.read_text(encoding="ascii")
    caller = shop.read("callers", "list")[0]["caller_id"]
    swapped(key)
    refused = shop.run("callers", "block", caller)
    assert refused.exit_code == 2
    assert SAYS["swapped"] in one_line(refused.stderr)
    key.write_text(was, encoding="ascii")
    assert shop.run("callers", "block", caller).exit_code == 0


def test_empty_tables_know_no_secret(nothing: CommandLine) -> None:
    """Books that were only given their tables are begun with the secret that is made then."""
    folder = folder_of(nothing)
    folder.mkdir(mode=0o700)
    upgrade(folder / BOOKS_FILE)
    assert not knows_a_secret(folder / BOOKS_FILE)
    rows = {row["name"]: row for row in nothing.read("doctor")}
    assert rows["secret key"]["well"] is None
    (folder / BOOKS_FILE).write_bytes(b"no books" * 500)
    assert knows_a_secret(folder / BOOKS_FILE)


def test_a_copy_on_postgresql_knows_it_too(shop: CommandLine, cluster: Cluster) -> None:
    """The mark goes over with the books; neither a missing nor another secret opens them there."""
    copy = CommandLine({**shop.environ, "COBOT_METER_DATABASE_URL": cluster.new_database()})
    assert copy.run("db", "copy").exit_code == 0
    key = folder_of(shop) / KEY_FILE
    caller = copy.read("callers", "list")[0]["caller_id"]
    for lose in (swapped, removed):
        lose(key)
        refused = copy.run("callers", "block", caller)
        assert refused.exit_code == 2
        assert SAYS[lose.__name__] in one_line(refused.stderr)
    assert not key.exists()
