"""A gateway that lists models, fails every run, and keeps every byte that it was sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson

MODEL = "example/cloud-model"
_ROW = {
    "id": MODEL,
    "canonical_slug": MODEL,
    "name": MODEL,
    "context_length": 131_072,
    "pricing": {"prompt": "0.0000001", "completion": "0.0000004"},
    "top_provider": {"context_length": 131_072, "max_completion_tokens": 16_384},
    "supported_parameters": ["max_tokens", "tools"],
}


@dataclass
class RecordingGateway:
    """What came, over all connections."""

    url: str = ""
    received: bytearray = field(default_factory=bytearray)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.received += head
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    self.received += await reader.readexactly(int(line.partition(b":")[2]))
            runs = head.startswith(b"POST")
            status = b"500 Failed" if runs else b"200 OK"
            body = orjson.dumps(_answer(head.partition(b"\r\n")[0]))
            writer.write(
                b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\n"
                b"content-length: %d\r\n\r\n%b" % (status, len(body), body)
            )
            await writer.drain()
        writer.close()


def _answer(asked: bytes) -> dict[str, object]:
    if asked.startswith(b"POST"):
        return {"error": {"code": 500, "message": "not today"}}
    if b"/models" in asked:
        return {"data": [_ROW]}
    return {"data": {"total_credits": 100, "total_usage": 0, "usage": 0, "limit": None}}


@contextlib.asynccontextmanager
async def recording_gateway() -> AsyncIterator[RecordingGateway]:
    """One on a port of its own."""
    gateway = RecordingGateway()
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    gateway.url = f"http://{host}:{port}/api/v1"
    try:
        yield gateway
    finally:
        server.close()
