"""What is in the books is shown, as tables for people and as JSON for machines."""

from __future__ import annotations

import pytest

from service import __version__
from tests.cli.shop import CommandLine

READING = (("ledger",), ("audit",), ("invoices", "list"), ("callers", "list"), ("doctor",))


def test_the_trial_balance_is_shown_in_both_commodities(sold: CommandLine) -> None:
    """`ledger` lists every account on its side, with equal sums in msat and in USD."""
    shown = sold.run("ledger")
    assert shown.exit_code == 0
    assert "Trial balance in msat" in shown.stdout
    assert "Trial balance in USD" in shown.stdout
    assert shown.stdout.count(" balanced ") == 2
    assert "cost/upstream" in shown.stdout
    rows = sold.read("ledger")["trial_balance"]
    for commodity in ("msat", "pusd"):
        nets = [row["net"] for row in rows if row["commodity"] == commodity]
        assert nets
        assert sum(nets) == 0


def test_a_callers_statement_adds_up_to_its_standing(sold: CommandLine) -> None:
    """`ledger --caller` shows what moved, and the figures are those of `callers list`."""
    (caller,) = sold.read("callers", "list")
    shown = sold.run("ledger", "--caller", caller["caller_id"][-8:])
    assert "invoice settled" in shown.stdout
    assert f"settled {caller['settled_msat']:,}" in shown.stdout
    statement = sold.read("ledger", "--caller", caller["caller_id"])
    assert statement["caller"] == caller
    kinds = [entry["kind"] for entry in statement["statement"]]
    assert kinds[0] == "invoice_issued"
    assert kinds[-1] == "opened"
    limited = sold.run("ledger", "--caller", caller["caller_id"], "--limit", "1")
    assert "invoice settled" not in limited.stdout


def test_sound_books_are_called_right(sold: CommandLine) -> None:
    """`audit` ends with the verdict and exit 0, and says the same to machines."""
    shown = sold.run("audit")
    assert shown.exit_code == 0
    assert shown.stdout.rstrip().endswith("✓ the books are right")
    document = sold.read("audit")
    assert document["sound"]
    assert document["findings"] == []
    assert document["figures"]["settlements_confirmed"] == 1


def test_invoices_are_listed_newest_first(sold: CommandLine) -> None:
    """`invoices list` shows each with its state; --state chooses, --limit bounds."""
    states = [row["state"] for row in sold.read("invoices", "list")]
    assert states == ["invoiced", "released"]
    shown = sold.run("invoices", "list", "--state", "released")
    assert "released" in shown.stdout
    assert "invoiced" not in shown.stdout
    assert len(sold.read("invoices", "list", "--limit", "1")) == 1


@pytest.mark.parametrize("by", ["escrow_id", "payment_hash", "end of the id"])
def test_an_invoice_is_shown_whole(sold: CommandLine, by: str) -> None:
    """`invoices show` finds it by id, payment hash or end, and asks the node too."""
    row = sold.read("invoices", "list")[1]
    given = row["escrow_id"][-8:] if by == "end of the id" else row[by]
    shown = sold.run("invoices", "show", given)
    assert shown.exit_code == 0
    assert "SETTLED" in shown.stdout
    assert "completion delivered" in shown.stdout
    document = sold.read("invoices", "show", given)
    assert document["node"] == "SETTLED"
    assert [entry["kind"] for entry in document["entries"]][-1] == "completion_delivered"


def test_callers_are_listed_with_their_caps(sold: CommandLine) -> None:
    """`callers list` shows the cap that follows from what was settled."""
    (caller,) = sold.read("callers", "list")
    cap = 200_000 + caller["settled_msat"] // 10
    assert f"{cap:,}" in sold.run("callers", "list").stdout


def test_the_doctor_finds_nothing_wrong_with_a_closed_shop(sold: CommandLine) -> None:
    """`doctor` tells apart what is well and what does not run, and exits 0."""
    checks = {check["name"]: check["well"] for check in sold.read("doctor")}
    assert checks["books"] is checks["node"] is checks["exchange rate"] is True
    assert checks["service"] is checks["upstream"] is None
    shown = sold.run("doctor")
    assert shown.exit_code == 0
    assert "✓" in shown.stdout
    assert "✗" not in shown.stdout


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_tables_fit_into_a_hundred_columns(sold: CommandLine, words: tuple[str, ...]) -> None:
    """Nothing is wider than 100 characters, so that a pipe and a small window can show it."""
    assert max(len(line) for line in sold.run(*words).stdout.splitlines()) <= 100


def test_a_pipe_gets_plain_text(sold: CommandLine) -> None:
    """In a process of its own and without a terminal there is no colour, and it is as wide."""
    piped = sold.spawn("invoices", "list")
    assert piped.returncode == 0
    assert "\x1b" not in piped.stdout
    assert "released" in piped.stdout
    assert max(len(line) for line in piped.stdout.splitlines()) <= 100


def test_the_version_is_said(nothing: CommandLine) -> None:
    """`--version` needs no command and no settings."""
    said = nothing.run("--version", COBOT_METER_UPSTREAM="nonsense")
    assert said.exit_code == 0
    assert said.stdout == f"cobot-meter {__version__}\n"
