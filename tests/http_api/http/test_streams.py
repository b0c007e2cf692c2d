"""Answers that are sent bit by bit: as fast as they are read, and closed when nobody reads."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import orjson
import pytest

from cobot_meter.http_api.app import HotRoutes
from cobot_meter.http_api.chat.answers import WRITE_BYTES
from cobot_meter.http_api.http.edge import Edge
from cobot_meter.http_api.http.exchange import BodyLimits, HttpRequest, Stream
from tests.fakes.servers.serving import serving
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.asgi_caller import AsgiCaller
from tests.http_api.face_rig import ASK, CHAT, open_face

CHUNK = b"x" * WRITE_BYTES
# What the sockets of both sides, and uvicorn's buffer, take before they are full.
BUFFERED_BYTES_MAX = 8 * 1_024 * 1_024
RECEIVE_BYTES = 65_536


class Endless:
    """A handler whose answer has no end; counts what was made of it."""

    def __init__(self) -> None:
        self.made_bytes = 0
        self.closed = asyncio.Event()
        self.fault: Exception | None = None

    async def __call__(self, _request: HttpRequest) -> Stream:
        return Stream(200, [(b"content-type", b"text/event-stream")], self._chunks())

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                self.made_bytes += len(CHUNK)
                yield CHUNK
                if self.fault:
                    raise self.fault
                await asyncio.sleep(0)
        finally:
            self.closed.set()

    async def stands_still(self) -> int:
        """What was made by the time that nothing more is."""
        before = -1
        while before != self.made_bytes:
            before = self.made_bytes
            await asyncio.sleep(0.1)
        return before


def app_of(endless: Endless) -> Edge:
    """A face whose only hot route is this one."""
    exact = {("POST", CHAT): endless}
    hot = HotRoutes(exact=exact, below=(), limits=BodyLimits(), rest=_nowhere)
    return Edge(hot)


async def _nowhere(*_: object) -> None:
    raise AssertionError


@contextlib.asynccontextmanager
async def reader_of(url: str, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection of small buffers that has sent this; it ends with the block."""
    host, port = url.removeprefix("http://").split(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=sock, limit=RECEIVE_BYTES)
    try:
        writer.write(request)
        yield reader
    finally:
        writer.transport.abort()


def post(body: bytes, *headers: bytes) -> bytes:
    """A POST of the chat route."""
    length = b"content-length: %d" % len(body)
    lines = (b"POST /v1/chat/completions HTTP/1.1", b"host: x", length, *headers)
    return b"\r\n".join((*lines, b"", body))


async def test_a_reader_who_stops_holds_up_what_is_made() -> None:
    """Once the buffers are full nothing more is made; reading on, it goes on; leaving closes it."""
    endless = Endless()
    async with serving(app_of(endless)) as url:
        async with reader_of(url, post(b"{}")) as reader:
            await reader.readuntil(b"\r\n\r\n")
            full_bytes = await endless.stands_still()
            assert 0 < full_bytes < BUFFERED_BYTES_MAX
            for _ in range(2 * full_bytes // RECEIVE_BYTES):
                await reader.read(RECEIVE_BYTES)
            assert full_bytes < await endless.stands_still() < 4 * BUFFERED_BYTES_MAX
            assert not endless.closed.is_set()
        async with asyncio.timeout(5):
            await endless.closed.wait()


async def test_who_hangs_up_ends_it() -> None:
    """Heard from the server between two chunks: they are closed, and nothing is raised."""
    endless = Endless()
    caller = AsgiCaller(app_of(endless))
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(caller.send("POST", CHAT, body=b"{}"))
        while not endless.made_bytes:  # noqa: ASYNC110
            await asyncio.sleep(0)
        caller.hang_up()
    assert endless.closed.is_set()
    assert asked.result().status == 200


async def test_what_breaks_in_the_middle_is_seen_by_the_reader(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The response ends without its end, and the log says so once."""
    endless = Endless()
    endless.fault = KeyError("bug")
    async with (
        serving(app_of(endless)) as url,
        reader_of(url, post(b"{}")) as reader,
    ):
        answer = await reader.read(-1)
    assert answer.startswith(b"HTTP/1.1 200")
    assert not answer.endswith(b"0\r\n\r\n")
    assert caplog.records[0].getMessage().startswith("unforeseen KeyError\n")
    assert "_chunks" in caplog.text


async def test_a_bought_answer_reaches_a_slow_reader_whole(tmp_path: Path) -> None:
    """Of a long replay a few writes are made at a time; read bit by bit it is all there."""
    text = "settled " * 60_000
    body = orjson.dumps({**ASK, "stream": True})
    async with open_face(tmp_path) as rig, serving(rig.app) as url:
        rig.upstream.then(Completes(answer=text))
        challenge = (await rig.ask(body)).json()
        payment = await rig.node.pay(challenge["invoice"])
        token = f"authorization: L402 {challenge['macaroon']}:{payment.preimage}".encode()
        async with reader_of(url, post(body, token)) as reader:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await asyncio.sleep(0.1)
            events = (await reader.readexactly(length)).split(b"\n\n")
    assert events[-2:] == [b"data: [DONE]", b""]
    chunks = [orjson.loads(event.removeprefix(b"data: ")) for event in events[:-2]]
    said = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(said) == text
