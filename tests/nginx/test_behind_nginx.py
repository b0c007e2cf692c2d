"""Behind a proxy that keeps its connections, everybody gets the answer to their own request."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import httpx
import orjson
import pytest

from service.client import DevWallet
from tests.cli.shop import command_line_in, order, selling
from tests.end_to_end.live import ask_body
from tests.nginx.fixtures import Before

VICTIMS = 12
CHAT = "/v1/chat/completions"


async def raw(address: str, data: bytes) -> bytes:
    """Send bytes on a connection of their own, and read until nothing comes for a moment."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    got = b""
    try:
        async with asyncio.timeout(0.3):
            while piece := await reader.read(65_536):
                got += piece
    except TimeoutError:
        pass
    writer.close()
    return got


def attack(inner: bytes, upgrade: bytes) -> bytes:
    """A request that asks for an upgrade, whose body is a request."""
    head = b"POST %s HTTP/1.1\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"
    return head % (CHAT.encode(), upgrade) + b"Content-Length: %d\r\n\r\n%s" % (len(inner), inner)


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket", b"anything"])
async def test_nobody_gets_the_answer_to_a_smuggled_request(
    tmp_path: Path, nginx: Before, upgrade: bytes
) -> None:
    """Twelve victims after an attack each: every answer names the path that was asked for."""
    async with selling(command_line_in(tmp_path / "data")) as (running, _):
        with nginx(running.face.port) as address:
            async with httpx.AsyncClient(base_url=address, trust_env=False) as http:
                for number in range(VICTIMS):
                    inner = b"GET /of-the-attacker HTTP/1.1\r\nHost: b\r\n\r\n"
                    assert b"of-the-attacker" not in await raw(address, attack(inner, upgrade))
                    answer = await http.get(f"/of-victim-{number}")
                    assert f"/of-victim-{number}" in answer.text


async def test_an_open_request_does_not_swallow_a_victims_completion(
    tmp_path: Path, nginx: Before
) -> None:
    """A body that is the beginning of a request takes nothing of what is sent after it."""
    async with selling(command_line_in(tmp_path / "data")) as (running, agent):
        bought = (await agent.buy(order("Write 200 words on proxies."))).escrow["id"]
        with nginx(running.face.port) as address:
            begun = b"POST /of-the-attacker HTTP/1.1\r\nHost: b\r\nContent-Length: 9000\r\n\r\n"
            for _ in range(VICTIMS):
                thief = await raw(address, attack(begun, b"h2c"))
                async with httpx.AsyncClient(base_url=address, trust_env=False) as http:
                    url = f"/v1/escrows/{bought}"
                    assert (await http.get(url)).json()["id"] == bought
                assert bought.encode() not in thief


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
