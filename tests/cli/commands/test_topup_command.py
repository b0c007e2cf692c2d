"""`cobot-meter topup`: credit and a key in one command, at a service that runs."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.cli.main import command_line
from tests.cli.shop import CommandLine, command_line_in, selling
from tests.client.cli.qr_reader import qr_of, text_of


async def ran(commands: CommandLine, *words: str) -> str:
    """What the command prints; it has to end well."""
    result = await asyncio.to_thread(commands.run, *words)
    assert result.exit_code == ExitCode.RIGHT, result.output
    return str(result.stdout)


async def test_one_command_makes_a_key_that_buys(tmp_path: Path) -> None:
    """Paid with play money: the two lines that it prints are all that a program needs."""
    commands = command_line_in(tmp_path)
    async with selling(commands) as (running, _), httpx.AsyncClient(trust_env=False) as http:
        told = await ran(commands, "topup", "500", "--key", "laptop", "--pay")
        assert "invoice lnbcrt" in told
        line = next(one for one in told.splitlines() if "export" in one)
        base_url, key = (word.partition("=")[2] for word in line.split()[1:])
        assert base_url == f"{running.face.url}/v1"
        bearer = {"Authorization": f"Bearer {key}"}
        shown = (await http.get(f"{base_url}/key", headers=bearer)).json()["data"]["cobot"]
        assert (shown["key"]["name"], shown["available_msat"]) == ("laptop", 500_000)
        more = json.loads(await ran(commands, "topup", "70", "--key", key, "--pay", "--json"))
        assert (more["available_msat"], more["key"]) == (570_000, None)


async def test_a_pasted_preimage_shows_the_proof(tmp_path: Path) -> None:
    """Any wallet will do; what is no preimage is told so, and nothing is lost."""
    commands = command_line_in(tmp_path)
    async with selling(commands):
        wrong = await asyncio.to_thread(
            CliRunner().invoke,
            command_line(),
            ["topup", "500", "--key", "laptop"],
            input="not one\n",
            env=dict(commands.environ),
        )
        assert wrong.exit_code == ExitCode.FINDING
        assert "64 hexadecimal digits" in wrong.output


def on_terminal(commands: CommandLine, columns: int, *words: str) -> str:
    """What a command shows on a terminal so wide, where nobody pays."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "cobot_meter", *words],
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns), **commands.environ},
        stdin=subprocess.PIPE,
        stdout=its,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(its)
        shown = bytearray()
        assert process.stdin is not None
        process.stdin.write(b"not one\n")
        process.stdin.close()
        with contextlib.suppress(OSError):  # what a terminal says whose last writer is gone
            while part := os.read(ours, 4_096):
                shown += part
        os.close(ours)
    return shown.decode()


@pytest.mark.parametrize(("columns", "drawn"), [(100, True), (40, False)])
async def test_on_a_terminal_the_invoice_is_drawn(
    tmp_path: Path, columns: int, *, drawn: bool
) -> None:
    """For a telephone: it reads what stands above it. Where it has no room a sentence says so."""
    commands = command_line_in(tmp_path)
    async with selling(commands):
        told = await asyncio.to_thread(on_terminal, commands, columns, "topup", "500")
        assert ("too narrow" in told) != drawn
        if drawn:
            invoice = told.split()[1]
            assert text_of(qr_of(told)).lower() == invoice


async def test_a_refusal_is_the_services_own_sentence(tmp_path: Path) -> None:
    """Exit 1, and no invoice."""
    commands = command_line_in(tmp_path)
    async with selling(commands):
        refused = await asyncio.to_thread(commands.run, "topup", "5", "--pay")
        assert refused.exit_code == ExitCode.FINDING
        assert "at least 10 sat" in refused.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense"])
def test_without_a_service_it_could_not_look(tmp_path: Path, url: str) -> None:
    """Exit 3, with what to do."""
    result = command_line_in(tmp_path).run("topup", "500", "--url", url)
    assert result.exit_code == ExitCode.COULD_NOT_LOOK
    assert "cobot-meter serve" in result.stderr
