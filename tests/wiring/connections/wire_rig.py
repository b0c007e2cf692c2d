"""A listener with a clock of the test's own, an application that records, and raw sockets to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import orjson

from cobot_meter.http_api.http.exchange import Receive, Scope, Send
from cobot_meter.wiring.connections.limits import ConnectionLimits
from cobot_meter.wiring.connections.register import Register
from tests.fakes.servers.serving import serving

PATIENCE_S = 20.0


@dataclass(slots=True)
class Clock:
    """Seconds that pass when the test says so."""

    now_s: float = 1_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


@dataclass(slots=True)
class Recorder:
    """An application that keeps what it was asked; `/wait` answers when it is let go on."""

    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[bytes, bytes]] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    answer: bytes = b""
    gone: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body (but not at `/unread`), and answer with how many were asked so far."""
        body, path = b"", scope["path"]
        while path != "/unread":
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self.seen.append((scope["method"], path, body))
        self.headers.append(dict(scope["headers"]))
        if path == "/wait":
            await self.go_on.wait()
        answer = self.answer or orjson.dumps({"number": len(self.seen), "path": path})
        length = (b"content-length", b"%d" % len(answer))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})


@dataclass(slots=True)
class Line:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode().strip().split("\r\n")
            headers = {line.partition(": ")[0]: line.partition(": ")[2] for line in lines}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(first.split(" ")[1]), headers, body

    async def rest(self) -> bytes:
        """Everything until the other side has closed, however it did."""
        got = b""
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(65_536):
                    got += piece
        return got

    async def is_open(self) -> bool:
        """Whether a small request is still answered here."""
        self.send(b"GET /alive HTTP/1.1\r\n\r\n")
        try:
            return (await self.answer())[0] == 200
        except (ConnectionError, asyncio.IncompleteReadError):
            return False


@dataclass(slots=True)
class Wire:
    """A running listener."""

    port: int
    app: Recorder
    clock: Clock
    register: Register
    lines: list[Line] = field(default_factory=list)

    async def line(self, host: str = "127.0.0.1") -> Line:
        """A new connection from an address of this machine."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(host, 0))
        self.lines.append(Line(reader, writer))
        return self.lines[-1]

    async def said(self, data: bytes) -> tuple[int, Line]:
        """What a new connection that sends this is answered first."""
        line = await self.line()
        line.send(data)
        return (await line.answer())[0], line

    async def until(self, total: int) -> None:
        """Until so many connections are registered."""
        await _holds(lambda: self.register.total == total)

    async def asked(self, count: int) -> None:
        """Until so many requests have reached the application."""
        await _holds(lambda: len(self.app.seen) >= count)

    def pass_s(self, passed_s: float) -> None:
        """Let time pass, and let the register look."""
        self.clock.now_s += passed_s
        self.register.sweep()


async def _holds(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - it is the server's own state
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def wire(limits: ConnectionLimits | None = None) -> AsyncIterator[Wire]:
    """A listener with these limits."""
    app, clock = Recorder(), Clock()
    register = Register(limits or ConnectionLimits(), clock=clock)
    async with serving(app, register=register) as url:
        running = Wire(int(url.rpartition(":")[2]), app, clock, register)
        try:
            yield running
        finally:
            app.go_on.set()
            for line in running.lines:
                line.writer.transport.abort()
            await running.until(0)
