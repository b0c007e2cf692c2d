"""An upstream that answers whatever bytes it is told to, down to its header lines.

No HTTP library stands between a test and the wire, because none would send what is to be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

EVENTS = (b"content-type", b"text/event-stream")
JSON = (b"content-type", b"application/json")
Line = tuple[bytes, bytes]


@dataclass(slots=True, kw_only=True)
class Reply:
    """One answer: a body in these pieces; not `whole` is one whose connection breaks after them."""

    status: int = 200
    headers: Sequence[Line] = (EVENTS,)
    pieces: Sequence[bytes] = ()
    whole: bool = True


@dataclass(slots=True)
class RawUpstream:
    """What each path answers next, and what was asked."""

    run: Reply = field(default_factory=Reply)
    record: Reply = field(default_factory=lambda: Reply(status=404, headers=(JSON,)))
    models: Reply = field(default_factory=lambda: Reply(headers=(JSON,)))
    endpoints: Reply = field(default_factory=lambda: Reply(headers=(JSON,)))
    key: Reply = field(default_factory=lambda: Reply(headers=(JSON,)))
    posts: list[bytes] = field(default_factory=list)
    lookups: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one exchange."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            reply = self._reply_to(head.split(b" ", 2)[1], await _body(reader, head))
            writer.write(_head(reply))
            for piece in reply.pieces:
                if piece:
                    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    await writer.drain()
            if reply.whole:
                writer.write(b"0\r\n\r\n")
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def _reply_to(self, path: bytes, body: bytes) -> Reply:
        if body:
            self.posts[:] = [*self.posts[-9:], body]
            return self.run
        if b"/generation" in path:
            self.lookups += 1
            return self.record
        if path.endswith(b"/endpoints"):
            return self.endpoints
        return self.models if path.endswith(b"/models") else self.key


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return await reader.readexactly(int(rest.split(b"\r\n", 1)[0])) if found else b""


def _head(reply: Reply) -> bytes:
    lines = (b"%b: %b\r\n" % line for line in reply.headers)
    framing = b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    return b"HTTP/1.1 %d Told\r\n%b%b" % (reply.status, b"".join(lines), framing)


@contextlib.asynccontextmanager
async def raw_upstream() -> AsyncIterator[tuple[RawUpstream, str]]:
    """The upstream on a free port of 127.0.0.1, and its address."""
    upstream = RawUpstream()
    server = await asyncio.start_server(upstream.answer, "127.0.0.1", 0)
    async with server:
        yield upstream, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
