"""`budgets list`, `set` and `clear`: beside a running service and without one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cli.shop import CommandLine, command_line_in, one_sold_one_open, selling


def test_budgets_are_set_changed_and_taken_away_without_a_service(shop: CommandLine) -> None:
    """Each is listed as it stands; the books stay right."""
    assert shop.read("budgets", "list") == []
    assert "the operator has set no budget" in shop.run("budgets", "list").stdout
    caller_id = shop.read("callers", "list")[0]["caller_id"]
    assert shop.run("budgets", "set", "service", "month", "1.50usd").exit_code == 0
    words = ("budgets", "set", f"caller:{caller_id}", "day", "5000sat", "--zone", "Europe/Berlin")
    shown = shop.run(*words)
    assert shown.exit_code == 0
    assert "the service" in shown.stdout
    assert "5000 sat" in shown.stdout
    changed = shop.run("budgets", "set", "service", "month", "2usd")
    assert "2 USD" in changed.stdout
    first, second = shop.read("budgets", "list")
    assert (first["scope"], first["limit"], first["commodity"]) == ("operator", 2 * 10**12, "pusd")
    assert (second["subject"], second["limit"]) == (caller_id, 5_000_000)
    assert second["resets_at"].endswith(("+01:00", "+02:00"))
    cleared = shop.run("budgets", "clear", "service", "month", "--unit", "usd")
    assert cleared.exit_code == 0
    assert len(shop.read("budgets", "list")) == 1
    assert shop.run("budgets", "clear", "every").exit_code == 0
    assert shop.read("budgets", "list") == []
    assert shop.run("audit").exit_code == 0


def test_the_operator_says_at_which_shares_dearer_models_go(shop: CommandLine) -> None:
    """Two shares, the usual ones, or none at all; and a budget of a task."""
    assert (
        "above 50 % left, middle ones above 20 %" in shop.run("budgets", "plan", "50", "20").stdout
    )
    assert "bars no model" in shop.run("budgets", "plan", "off").stdout
    assert shop.run("budgets", "set", "task:code", "day", "5usd").exit_code == 0
    assert "above 60 % left" in shop.run("budgets", "plan", "usual").stdout
    (code,) = shop.read("budgets", "list")
    assert (code["scope"], code["subject"]) == ("task", "code")
    assert shop.run("audit").exit_code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("plan", "20", "50"), "two whole shares from 0 to 100"),
        (("plan", "60"), "say two shares"),
        (("plan", "off", "5"), "say two shares"),
        (("plan", "most", "5"), "say two shares"),
        (("set", "task:poetry", "day", "5sat"), "task must be one of factual"),
        (("set", "service", "day", "5"), "write 5000sat or 1.50usd"),
        (("set", "service", "day", "0sat"), "must be above zero"),
        (("set", "service", "day", "1.5sat"), "a whole number"),
        (("set", "service", "year", "5sat"), "period must be one of hour, day, week, month"),
        (("set", "service", "day", "5sat", "--zone", "Mars/Base"), "no time zone 'Mars/Base'"),
        (("set", "galaxy", "day", "5sat"), "'galaxy' is nobody's"),
        (("set", "key:", "day", "5sat"), "'key:' is nobody's"),
        (("clear", "service", "day"), "there is no such budget"),
        (("clear", "service"), "say whose budget and of which period"),
        (("clear", "service", "day", "--unit", "eur"), "say sat or usd"),
    ],
)
def test_what_no_budget_is_gets_a_sentence(
    shop: CommandLine, words: tuple[str, ...], says: str
) -> None:
    """One line, and nothing is changed."""
    refused = shop.run("budgets", *words)
    assert refused.exit_code != 0
    assert says in refused.output
    assert shop.read("budgets", "list") == []


async def test_a_budget_of_the_service_holds_from_the_next_request_on(tmp_path: Path) -> None:
    """Through the socket of the running service."""
    commands = command_line_in(tmp_path / "data")
    async with selling(commands) as (_, agent):
        await asyncio.to_thread(commands.run, "budgets", "set", "service", "day", "100000sat")
        await one_sold_one_open(agent)
        listed = await asyncio.to_thread(commands.read, "budgets", "list")
        assert listed[0]["spent"] > 0
