"""What waits for the operator, on the command line: with a service beside it and without one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.escrows import escrow_transition
from cobot_meter.domain.transitions.operator import releases_transition
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.wiring.opening.databases import BOOKS_FILE
from tests.cli.shop import MODEL, CommandLine, selling

RETENTION = Retention()
ASK = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}


def open_escrow_of(shop: CommandLine) -> str:
    """The one that is invoiced and unpaid."""
    escrow_id: str = shop.read("invoices", "list", "--state", "invoiced")[0]["escrow_id"]
    return escrow_id


def write(shop: CommandLine, transition: Transition) -> None:
    """One transition, as a service would write it."""

    async def written() -> None:
        path = Path(shop.environ["COBOT_METER_DATA_DIR"]) / BOOKS_FILE
        async with open_sqlite_books(path, retention=RETENTION) as books:
            await books.apply(transition)

    asyncio.run(written())


def park(shop: CommandLine, escrow_id: str) -> None:
    """Put it into quarantine."""

    async def transition() -> Transition:
        path = Path(shop.environ["COBOT_METER_DATA_DIR"]) / BOOKS_FILE
        async with open_sqlite_books(path, retention=RETENTION) as books:
            row = await books.escrow(escrow_id)
        assert row is not None
        event = on.QuarantineBegun(event="cost_confirmed", reason="out of range \u202e")
        return escrow_transition(row, event, at_ms=row.changed_at_ms, retention=RETENTION)

    write(shop, asyncio.run(transition()))


def doctor_says(shop: CommandLine, name: str) -> tuple[bool | None, str]:
    """One row of `doctor`."""
    checks = {check["name"]: check for check in shop.read("doctor")}
    return checks[name]["well"], checks[name]["detail"]


def test_what_is_parked_is_listed_shown_and_let_go_on(shop: CommandLine) -> None:
    """Audit and doctor ring until the operator has spoken, and then the books are right."""
    escrow_id = open_escrow_of(shop)
    assert shop.run("quarantine", "list").stdout == "nothing is in quarantine\n"
    assert doctor_says(shop, "quarantine")[0] is True
    park(shop, escrow_id)
    well, detail = doctor_says(shop, "quarantine")
    assert (well, detail.startswith("1 cannot be booked")) == (False, True)
    (row,) = shop.read("quarantine", "list")["waiting"]
    assert (row["id"], row["state"]) == (escrow_id, "invoiced")
    listed = shop.run("quarantine", "list").stdout
    assert "cost_confirmed: out of range" in listed
    assert "\u202e" not in listed
    assert "out of range" in shop.run("quarantine", "show", escrow_id).stdout
    audit = shop.run("audit")
    assert audit.exit_code == 1
    assert "quarantined" in audit.stdout
    retried = shop.run("quarantine", "retry", escrow_id)
    assert (retried.exit_code, retried.stdout) == (0, f"{escrow_id} goes on: it is invoiced\n")
    assert shop.run("audit").exit_code == 0
    assert shop.run("quarantine", "show", escrow_id).exit_code == 1


def test_what_is_parked_is_written_off(shop: CommandLine) -> None:
    """Its invoice is canceled, nothing is owed, and the reason is in the journal."""
    escrow_id = open_escrow_of(shop)
    park(shop, escrow_id)
    assert shop.run("quarantine", "write-off", escrow_id).exit_code == 2, "a reason is demanded"
    ended = shop.run("quarantine", "write-off", escrow_id, "--reason", "looked at")
    assert (ended.exit_code, ended.stdout) == (0, f"{escrow_id} is written off: it is expired\n")
    shown = shop.read("invoices", "show", escrow_id)
    assert (shown["state"], shown["node"], shown["quarantine"]) == ("expired", "CANCELED", None)
    assert shown["entries"][-1]["facts"]["reason"] == "looked at"
    assert shop.run("audit").exit_code == 0


def test_releases_stay_stopped_over_a_restart_until_the_operator_opens_them(
    shop: CommandLine,
) -> None:
    """Asks are refused, doctor and audit say why, and the reason of the opening is journalled."""
    assert shop.run("releases", "show").stdout == "completions are sold and released\n"
    assert shop.run("releases", "open", "--reason", "nothing").exit_code == 1
    word = releases_transition(sequence=0, stopped=True, reason="a hold differs", at_ms=1)
    write(shop, word)
    assert shop.run("releases", "show").exit_code == 1
    assert doctor_says(shop, "releases")[0] is False
    audit = shop.run("audit")
    assert audit.exit_code == 1
    assert "releases_stopped" in audit.stdout

    async def beside_a_service() -> None:
        async with selling(shop) as (running, _), httpx.AsyncClient() as http:
            url = f"{running.face.url}/v1/chat/completions"
            refused = await http.post(url, json=ASK)
            assert (refused.status_code, refused.json()["error"]["code"]) == (
                503,
                "releases_stopped",
            )
            ready = await http.get(f"{running.face.url}/readyz")
            assert (ready.status_code, ready.json()["parts"]["releases"]) == (
                503,
                {"ok": False, "code": "releases_stopped"},
            )
            opened = await asyncio.to_thread(
                shop.run, "releases", "open", "--reason", "the row was mended"
            )
            assert opened.exit_code == 0, opened.stderr
            assert (await http.post(url, json=ASK)).status_code == 402

    asyncio.run(beside_a_service())
    assert shop.read("releases", "show") == {
        "stopped": False,
        "reason": "the row was mended",
        "words": 2,
    }
    assert shop.run("audit").exit_code == 0
