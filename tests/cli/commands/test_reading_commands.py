"""What is in the books is shown, as tables for people and as JSON for machines."""

from __future__ import annotations

import re

import pytest

from cobot_meter import __version__
from cobot_meter.cli.wording import name
from tests.cli.shop import CommandLine


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


def test_a_pipe_gets_plain_text_and_a_line_for_each_row(sold: CommandLine) -> None:
    """In a process of its own and without a terminal nothing is coloured, cut or wrapped."""
    piped = sold.spawn("invoices", "list", COLUMNS="40")
    assert piped.returncode == 0
    assert "\x1b" not in piped.stdout
    rows = [line for line in piped.stdout.splitlines() if "esc_" in line]
    assert [("released" in row, "invoiced" in row) for row in rows] == [
        (False, True),
        (True, False),
    ]
    assert all(row.count("…") == 3 for row in rows)
    assert "2 listed" in piped.stdout.splitlines()[-2]


def test_a_callers_row_has_age_and_the_last_line_adds_up(sold: CommandLine) -> None:
    """One caller: its figures are also the totals."""
    (caller,) = sold.read("callers", "list")
    lines = sold.run("callers", "list").stdout.splitlines()
    (row,) = (line for line in lines if name(caller["caller_id"]) in line)
    (footer,) = (line for line in lines if "1 callers" in line)
    assert re.search(r" \d+ (s|min|h) ", row)
    assert f"{caller['settled_msat']:,}" in footer


@pytest.mark.parametrize(
    "words",
    [
        ("invoices", "list", "--state", "paid"),
        ("invoices", "list", "--sort", "size"),
        ("callers", "list", "--sort", "name"),
    ],
    ids=" ".join,
)
def test_a_word_that_means_nothing_is_refused_with_those_that_do(
    sold: CommandLine, words: tuple[str, ...]
) -> None:
    """An empty table would be believed."""
    refused = sold.run(*words)
    assert refused.exit_code == 2
    assert f"{words[2]} {words[3]} means nothing: say one of " in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert ("released" in refused.stderr) == (words[2] == "--state")


def test_lists_are_sorted_as_asked(sold: CommandLine) -> None:
    """By time both ways, and by amount."""
    times = [row["opened_at_ms"] for row in sold.read("invoices", "list", "--sort", "oldest")]
    assert times == sorted(times)
    amounts = [
        row["invoice"]["amount_msat"] for row in sold.read("invoices", "list", "--sort", "amount")
    ]
    assert amounts == sorted(amounts, reverse=True)
    assert len(sold.read("invoices", "list", "--sort", "paid", "--limit", "1")) == 1


@pytest.mark.parametrize("given", ["a", "…a", "abcde"])
def test_an_end_that_could_be_anybodys_is_refused(sold: CommandLine, given: str) -> None:
    """Too short: the least that is needed is said, and nothing is looked for."""
    for words in (("invoices", "show", given), ("callers", "block", given)):
        refused = sold.run(*words)
        assert refused.exit_code == 2
        assert "at least 6 characters of its end" in refused.stderr


def test_the_version_is_said(nothing: CommandLine) -> None:
    """`--version` needs no command and no settings."""
    said = nothing.run("--version", COBOT_METER_UPSTREAM="nonsense")
    assert said.exit_code == 0
    assert said.stdout == f"cobot-meter {__version__}\n"
