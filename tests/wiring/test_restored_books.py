"""The restore drill: a whole service is started on the books of an older backup.

Found, credited, said; and nothing new is sold before that.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from cobot_meter.cli.demo.agent import Agent
from cobot_meter.domain.invoices import COMPLETION
from cobot_meter.wiring.app import Running
from tests.cli.shop import CommandLine, command_line_in, order, selling
from tests.contracts.lightning_node_rig import new_order
from tests.end_to_end.live import ask_body

BOOKS = "books.sqlite3"


@contextlib.asynccontextmanager
async def shop(commands: CommandLine) -> AsyncIterator[tuple[Running, Agent]]:
    """The service of these settings, and a buyer."""
    async with selling(commands) as opened:
        yield opened


def backed_up(commands: CommandLine, folder: Path) -> Path:
    """A copy of the books of a service that does not run."""
    copy = folder / "backup.sqlite3"
    shutil.copy(Path(commands.environ["COBOT_METER_DATA_DIR"]) / BOOKS, copy)
    return copy


def restored(commands: CommandLine, backup: Path) -> None:
    """The backup in the place of the books, and nothing of what was there."""
    data = Path(commands.environ["COBOT_METER_DATA_DIR"])
    for left in data.glob(f"{BOOKS}*"):
        left.unlink()
    shutil.copy(backup, data / BOOKS)


async def _sell(commands: CommandLine, prompt: str, *, nameless: bool = False) -> int:
    """One completion sold; what was paid. `nameless` adds a payment that names no caller."""
    async with shop(commands) as (running, agent):
        bought = await agent.buy(order(prompt))
        if nameless:
            node = running.service.parts.node
            invoice = await node.add_invoice(replace(new_order(), memo=COMPLETION))
            async with httpx.AsyncClient() as http:
                wallet = f"{running.play_wallet_url}/pay"
                await http.post(wallet, json={"payment_request": invoice.payment_request})
        assert bought.payment is not None
        return bought.payment.amount_msat


def test_books_of_an_older_backup_credit_what_was_paid_since(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """K3.3: audit finds it, the start credits it and says so, and then the books are right."""
    commands = command_line_in(tmp_path / "data")
    asyncio.run(_sell(commands, "Write 200 words on ledgers."))
    backup = backed_up(commands, tmp_path)
    paid_msat = asyncio.run(_sell(commands, "Write 200 words on backups."))
    restored(commands, backup)
    audit = commands.run("audit")
    assert audit.exit_code == 1
    assert "settlement_missing" in audit.stdout

    async def start() -> None:
        async with shop(commands) as (running, agent):
            async with httpx.AsyncClient() as http, asyncio.timeout(60):
                while (told := await http.get(f"{running.face.url}/readyz")).status_code != 200:  # noqa: ASYNC110 - of another server
                    await asyncio.sleep(0.1)
            ready = told.json()
            assert ready["notices"]["node_sweep"] == "payments_found"
            await agent.buy(order("Write 200 words on tides."))

    asyncio.run(start())
    assert "older than the node" in caplog.text
    credit_msat = [caller["available_msat"] for caller in commands.read("callers", "list")]
    assert max(credit_msat) >= paid_msat
    assert commands.run("audit").exit_code == 0


def test_nothing_is_sold_while_a_payment_names_nobody(tmp_path: Path) -> None:
    """Asks are refused and /readyz says why, until the operator has set it aside."""
    commands = command_line_in(tmp_path / "data")
    asyncio.run(_sell(commands, "Write 200 words on ledgers.", nameless=True))

    async def start() -> None:
        async with shop(commands) as (running, _), httpx.AsyncClient() as http:
            url = f"{running.face.url}/v1/chat/completions"
            refused = await http.post(url, json=ask_body("Write 90 words on locks."))
            assert refused.status_code == 503
            ready = (await http.get(f"{running.face.url}/readyz")).json()
            assert ready["parts"]["settlements"]["code"] == "node_unavailable"
            said = await asyncio.to_thread(
                commands.spawn, "invoices", "set-aside", "--all", "--reason", "our test of May"
            )
            assert said.returncode == 0, said.stderr
            asked = await http.post(url, json=ask_body("Write 90 words on locks."))
            assert asked.status_code == 402

    asyncio.run(start())
    assert commands.run("audit").exit_code == 0


def test_a_start_on_its_own_books_finds_nothing(tmp_path: Path) -> None:
    """An ordinary restart sells at once and books nothing."""
    commands = command_line_in(tmp_path / "data")
    asyncio.run(_sell(commands, "Write 200 words on ledgers."))
    entries = commands.read("audit")["figures"]["entries"]

    async def start() -> None:
        async with shop(commands) as (running, _):
            assert running.service.flows.operating.sweep_node.found == 0
            assert not running.service.flows.operating.sweep_node.holds

    asyncio.run(start())
    assert commands.read("audit")["figures"]["entries"] == entries
