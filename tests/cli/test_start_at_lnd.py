"""`cobot-meter serve` at an lnd that is wrong, or cannot be reached: one sentence, and exit 2."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.lnd.stubs import staterpc
from tests.cli.shop import CommandLine, command_line_in
from tests.fakes.lnd.lnd_certificates import make_tls_pair
from tests.fakes.lnd.lnd_server import FakeLnd

WRONG_SETTING = 2


@pytest.fixture
async def lnd(tmp_path: Path) -> AsyncIterator[FakeLnd]:
    """A node that serves."""
    fake = FakeLnd(tmp_path)
    await fake.start()
    yield fake
    await fake.stop()


async def said(folder: Path, lnd: FakeLnd, **more: str) -> str:
    """The one line that a start writes before it ends with exit code 2."""
    access = lnd.access()
    settings = {
        "COBOT_METER_NODE": "lnd",
        "COBOT_METER_LND_ADDRESS": access.address,
        "COBOT_METER_LND_TLS_CERT": str(access.tls_cert_path),
        "COBOT_METER_LND_MACAROON": str(access.macaroon_path),
        **more,
    }
    service: CommandLine = command_line_in(folder / "data")
    ended = await asyncio.to_thread(service.spawn, "serve", **settings)
    assert ended.returncode == WRONG_SETTING, ended.stderr
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return line


async def test_another_certificate(lnd: FakeLnd, tmp_path: Path) -> None:
    """What gRPC itself says of the handshake stays out of the way of ours."""
    lnd.show_certificate(make_tls_pair())
    assert "shows another certificate" in await said(tmp_path, lnd)


async def test_no_tls(lnd: FakeLnd, tmp_path: Path) -> None:
    """An address that speaks something else is no lnd."""
    server = await asyncio.start_server(_answer_in_http, "127.0.0.1", 0, family=socket.AF_INET)
    async with server:
        host, port = server.sockets[0].getsockname()
        line = await said(tmp_path, lnd, COBOT_METER_LND_ADDRESS=f"{host}:{port}")
    assert "does not speak TLS" in line


async def test_a_locked_wallet(lnd: FakeLnd, tmp_path: Path) -> None:
    """The operator is told what to type."""
    lnd.faults.state = staterpc.LOCKED
    assert "lncli unlock" in await said(tmp_path, lnd)


async def test_another_network(lnd: FakeLnd, tmp_path: Path) -> None:
    """Real money is never asked for with an invoice of another network."""
    mainnet = {"COBOT_METER_NETWORK": "mainnet", "COBOT_METER_ACCEPTED_RISKS": "simulated-answers"}
    line = await said(tmp_path, lnd, **mainnet)
    assert "the node is on regtest and the setting says mainnet" in line


async def _answer_in_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()
