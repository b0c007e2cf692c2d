"""Books that somebody edited behind the service's back are called wrong, by name."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.shop import CommandLine

DAMAGES = {
    "a row of an account": (
        "UPDATE account SET credits_posted = credits_posted + 1 WHERE code = 'revenue/completions'",
        "account_differs",
    ),
    "a transfer": (
        "UPDATE transfer SET amount = amount + 1 WHERE credit = 'revenue/completions'",
        "postings_differ",
    ),
    "an escrow's state": (
        "UPDATE escrow SET state = 'settled' WHERE state = 'invoiced'",
        "state_differs",
    ),
    "an entry of the journal": (
        "DELETE FROM journal WHERE kind = 'completion_delivered'",
        "state_differs",
    ),
    "facts": (
        "UPDATE journal SET facts = replace(facts, 'gen-', 'gem-') WHERE kind LIKE 'completion_r%'",
        "row_differs",
    ),
}


def damaged(commands: CommandLine, statement: str) -> None:
    """Run raw SQL on the books, without their triggers."""
    books = Path(commands.environ["COBOT_METER_DATA_DIR"]) / "books.sqlite3"
    with closing(sqlite3.connect(books)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        assert connection.execute(statement).rowcount > 0
        connection.commit()


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_named(shop: CommandLine, name: str) -> None:
    """`audit` exits 1 and shows the finding; --json has it too."""
    statement, code = DAMAGES[name]
    damaged(shop, statement)
    shown = shop.run("audit")
    assert shown.exit_code == 1
    assert code in shown.stdout
    assert "✗ the books are wrong" in shown.stdout
    document = shop.read("audit")
    assert code in {finding["code"] for finding in document["findings"]}


def test_triggers_refuse_what_the_damage_needs(shop: CommandLine) -> None:
    """With its triggers in place the journal cannot be edited."""
    books = Path(shop.environ["COBOT_METER_DATA_DIR"]) / "books.sqlite3"
    with (
        closing(sqlite3.connect(books)) as connection,
        pytest.raises(sqlite3.DatabaseError),
    ):
        connection.execute("DELETE FROM journal")


def test_a_node_without_its_memory_contradicts_nothing_silently(shop: CommandLine) -> None:
    """A node's file that is gone leaves settlements unchecked: exit 3, and it is said."""
    (Path(shop.environ["COBOT_METER_DATA_DIR"]) / "development-node.log").unlink()
    shown = shop.run("audit")
    assert shown.exit_code == 3
    assert "node_unreachable" in shown.stdout
    assert "not everything was checked" in shown.stdout


def test_a_payment_that_the_node_denies_is_found(shop: CommandLine) -> None:
    """A node that never settled what the books have as paid is a finding."""
    log = Path(shop.environ["COBOT_METER_DATA_DIR"]) / "development-node.log"
    kept = [line for line in log.read_text().splitlines(keepends=True) if '"settled"' not in line]
    log.write_text("".join(kept))
    shown = shop.run("audit")
    assert shown.exit_code == 1
    assert "settlement_denied" in shown.stdout
