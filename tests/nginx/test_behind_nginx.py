"""Behind a proxy that keeps its connections, everybody gets the answer to their own request."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import httpx
import orjson
import pytest

from cobot_pay import DevWallet
from tests.cli.shop import CommandLine, command_line_in, order, selling
from tests.end_to_end.live import ask_body
from tests.nginx.fixtures import Before

VICTIMS = 12
CHAT = "/v1/chat/completions"


async def raw(address: str, data: bytes) -> bytes:
    """Send bytes on a connection of their own; the first answer, and what comes soon after it."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    async with asyncio.timeout(20):
        got = await reader.readuntil(b"\r\n\r\n")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            while piece := await reader.read(65_536):
                got += piece
    writer.close()
    return got


def attack(inner: bytes, upgrade: bytes) -> bytes:
    """A request that asks for an upgrade, whose body is a request."""
    head = b"POST %s HTTP/1.1\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"
    return head % (CHAT.encode(), upgrade) + b"Content-Length: %d\r\n\r\n%s" % (len(inner), inner)


def slow_shop(folder: Path) -> CommandLine:
    """Runs that take long enough for the proxy to have kept the connection meanwhile."""
    environ = command_line_in(folder).environ
    return CommandLine({**environ, "COBOT_METER_SIMULATOR_LATENCY_S": "0.1"})


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket", b"anything"])
async def test_nobody_gets_the_answer_to_a_smuggled_request(
    tmp_path: Path, nginx: Before, upgrade: bytes
) -> None:
    """Twelve victims after an attack each: every answer names the path that was asked for."""
    ask = orjson.dumps(ask_body("Of the attacker"))
    inner = b"POST %s HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n%s"
    smuggled = inner % (CHAT.encode(), len(ask), ask)
    async with selling(slow_shop(tmp_path / "data")) as (running, _):
        with nginx(running.face.port) as address:
            async with httpx.AsyncClient(base_url=address, trust_env=False) as http:
                for number in range(VICTIMS):
                    assert b" 400 " in (await raw(address, attack(smuggled, upgrade)))[:20]
                    answer = await http.get(f"/of-victim-{number}")
                    assert f"/of-victim-{number}" in answer.text


async def test_an_open_request_does_not_swallow_a_victims_completion(
    tmp_path: Path, nginx: Before
) -> None:
    """A body that is the beginning of a request takes nothing of what is sent after it."""
    begun = b"POST %s HTTP/1.1\r\nHost: b\r\nContent-Length: 9000\r\n\r\n" % CHAT.encode()
    async with selling(slow_shop(tmp_path / "data")) as (running, agent):
        bought = (await agent.buy(order("Write 200 words on proxies."))).escrow["id"]
        with nginx(running.face.port) as address:
            async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=5) as http:
                for _ in range(VICTIMS):
                    assert b" 400 " in (await raw(address, attack(begun, b"h2c")))[:20]
                    assert (await http.get(f"/v1/escrows/{bought}")).json()["id"] == bought


async def test_curls_http2_buys_as_everybody_does(tmp_path: Path) -> None:
    """`curl --http2` asks for h2c and goes on in HTTP/1.1: a challenge, payment, the completion."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")

    async def post(url: str, *more: str) -> tuple[int, bytes]:
        body = orjson.dumps(ask_body("How fast is Lightning?")).decode()
        process = await asyncio.create_subprocess_exec(
            *(curl, "--http2", "-s", "-w", "\n%{http_code}", url + CHAT, "-d", body, *more),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        answer, _, status = out.rpartition(b"\n")
        return int(status), answer

    async with selling(command_line_in(tmp_path / "data")) as (running, _):
        status, challenge = await post(running.face.url)
        assert status == 402
        document = orjson.loads(challenge)
        assert "escrow" in document
        wallet = DevWallet(running.play_wallet_url)
        payment = await wallet.pay(document["invoice"], max_fee_msat=0)
        proof = f"Authorization: L402 {document['macaroon']}:{payment.preimage}"
        status, answer = await post(running.face.url, "-H", proof)
        assert (status, orjson.loads(answer)["object"]) == (200, "chat.completion")
