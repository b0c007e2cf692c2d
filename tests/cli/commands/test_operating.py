"""Commands that change something: through the service's socket, or on the books when it is gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import Result

from cobot_meter.cli.terminal import CommandFailed
from cobot_meter.wiring.opening.nodes import NODE_FILE
from cobot_meter.wiring.operator_offline import SOCKET_FILE
from tests.cli.shop import CommandLine, command_line_in, one_sold_one_open, order, selling


async def beside(commands: CommandLine, *words: str) -> Result:
    """One command while the service runs in this very event loop."""
    return await asyncio.to_thread(commands.run, *words)


def test_an_invoice_is_canceled_without_a_service(shop: CommandLine) -> None:
    """The command opens the books itself; the books stay right, and a second time is refused."""
    open_one = shop.read("invoices", "list", "--state", "invoiced")[0]["escrow_id"]
    canceled = shop.run("invoices", "cancel", open_one)
    assert canceled.exit_code == 0
    assert canceled.stdout == f"canceled: {open_one} is expired\n"
    assert shop.run("invoices", "cancel", open_one).exit_code == 1
    assert shop.run("audit").exit_code == 0


def test_callers_are_changed_without_a_service(shop: CommandLine) -> None:
    """Cap, block, unblock and back to the formula: each is shown and kept."""
    caller_id = shop.read("callers", "list")[0]["caller_id"]
    assert "cap fixed at 77,000 msat" in shop.run("callers", "cap", caller_id, "77").stdout
    assert ": blocked" in shop.run("callers", "block", caller_id[-8:]).stdout
    listed = shop.run("callers", "list").stdout
    assert "blocked, cap fixed" in listed
    assert "77,000" in listed
    assert "not blocked" in shop.run("callers", "unblock", caller_id).stdout
    assert "cap by formula" in shop.run("callers", "cap", caller_id, "--formula").stdout
    assert shop.run("audit").exit_code == 0


def test_another_node_is_adopted_at_the_operators_word(shop: CommandLine) -> None:
    """A start at it is refused with exit 2; adopting closes what was open, and all is right."""
    (Path(shop.environ["COBOT_METER_DATA_DIR"]) / NODE_FILE).unlink()
    refused = shop.spawn("serve")
    assert refused.returncode == 2
    assert refused.stderr.startswith("cobot-meter: the node is ")
    assert refused.stderr.endswith("cobot-meter lnd adopt\n")
    assert refused.stderr.count("\n") == 1
    adopted = shop.run("lnd", "adopt")
    assert adopted.exit_code == 0
    assert "closed as unpaid: 1 escrows, 0 top-ups" in adopted.stdout
    assert shop.read("invoices", "list", "--state", "invoiced") == []
    again = shop.read("lnd", "adopt")
    assert (again["left_pubkey"], again["escrows_closed"], again["number"]) == (None, 0, 2)
    audit = shop.run("audit")
    assert audit.exit_code == 0
    assert "settlements on nodes left since" in audit.stdout


async def test_adopting_the_node_that_is_there_changes_nothing(tmp_path: Path) -> None:
    """Through the socket of the running service, which goes on selling."""
    commands = command_line_in(tmp_path / "data")
    async with selling(commands) as (_, agent):
        adopted = await beside(commands, "lnd", "adopt")
        assert "nothing had to be closed" in adopted.stdout
        sold, _ = await one_sold_one_open(agent)
        assert await agent.state_of(sold.escrow["id"]) == "released"


@pytest.mark.parametrize("words", [(), ("5", "--formula"), ("-1",)])
def test_a_cap_must_be_said_one_way(shop: CommandLine, words: tuple[str, ...]) -> None:
    """Neither, both and less than nothing are refused, and nothing is changed."""
    before = shop.read("callers", "list")
    refused = shop.run("callers", "cap", before[0]["caller_id"], *words)
    assert refused.exit_code != 0
    assert shop.read("callers", "list") == before


async def test_everything_works_beside_a_running_service(tmp_path: Path) -> None:
    """Reading goes past it, changing goes through it, and the service sees the change at once."""
    commands = command_line_in(tmp_path / "data")
    async with selling(commands) as (running, agent):
        _, unpaid = await one_sold_one_open(agent)
        for words in (("ledger",), ("audit",), ("invoices", "list"), ("doctor",), ("models",)):
            assert (await beside(commands, *words)).exit_code == 0
        escrow_id = unpaid.escrow["id"]
        assert "expired" in (await beside(commands, "invoices", "cancel", escrow_id)).stdout
        assert await agent.state_of(escrow_id) == "expired"
        caller_id = await agent.caller_id()
        assert (await beside(commands, "callers", "block", caller_id)).exit_code == 0
        with pytest.raises(CommandFailed, match="403"):
            await agent.buy(order("May I?"))
        assert (await beside(commands, "callers", "unblock", caller_id)).exit_code == 0
        refused = await beside(commands, "invoices", "cancel", escrow_id)
        assert "expired" in refused.stderr
        assert running.service.flows.runs.active == 0
    assert not (tmp_path / "data" / SOCKET_FILE).exists()


async def test_pay_prints_the_preimage(tmp_path: Path) -> None:
    """`pay` pays once, says the same of it again, and refuses what is no invoice in one line."""
    commands = command_line_in(tmp_path / "data")
    async with selling(commands) as (_, agent):
        unpaid = await agent.only_ask(order("Write 200 words on wallets."))
        paid = await beside(commands, "pay", unpaid.challenge["invoice"])
        assert paid.exit_code == 0
        assert "preimage" in paid.stdout
        link = f"lightning:{unpaid.challenge['invoice'].upper()}"
        again = await beside(commands, "pay", link)
        assert (again.exit_code, again.stdout) == (0, paid.stdout)
        refused = await beside(commands, "pay", "lnbcrt1")
        assert refused.exit_code == 1
        assert "refused to pay" in refused.stderr
        assert refused.stderr.count("\n") == 1


async def test_a_second_service_is_refused(tmp_path: Path) -> None:
    """Two services on one data directory: the second says who has it and exits 2."""
    commands = command_line_in(tmp_path / "data")
    async with selling(commands):
        other = command_line_in(tmp_path / "data")
        refused = await asyncio.to_thread(other.spawn, "serve")
    assert refused.returncode == 2
    assert refused.stderr.startswith("cobot-meter: ")
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("line", [b"", b"nonsense\n", b"[]\n", b'{"ok": true}\n'])
async def test_an_answer_that_is_none_is_not_taken_for_success(
    shop: CommandLine, line: bytes
) -> None:
    """A service that hangs up, or answers something else, fails the command in one line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(line)
        writer.close()

    path = Path(shop.environ["COBOT_METER_DATA_DIR"]) / SOCKET_FILE
    caller_id = (await asyncio.to_thread(shop.read, "callers", "list"))[0]["caller_id"]
    async with await asyncio.start_unix_server(answer, path=str(path)):
        refused = await beside(shop, "callers", "block", caller_id)
    assert refused.exit_code == 3
    assert refused.stderr == "cobot-meter: the service gave no answer\n"
