"""A small HTTP/1.1 client for the load: keep-alive, one request at a time on each connection.

Cheap, so that the load is not what is measured.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

import httptools


@dataclass(slots=True)
class Response:
    """An answer, whole; header names in lower case, the last value of each."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


class Connection(asyncio.Protocol):
    """One connection. The parser calls the `on_` methods."""

    def __init__(self) -> None:
        """Not yet connected."""
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._response = Response()
        self._pieces: list[bytes] = []
        self._answered: asyncio.Future[Response] | None = None

    async def ask(self, request: bytes) -> Response:
        """Send the bytes of one request, and wait for its answer. Raises ConnectionError."""
        if self._transport is None:
            raise ConnectionError("the connection is closed")
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits for an answer gets none."""
        self._transport = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError(f"hung up: {exc}"))

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        self._response.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        response, self._response = self._response, Response()
        response.status = self._parser.get_status_code()
        response.body, self._pieces = b"".join(self._pieces), []
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(response)


async def connect(port: int) -> Connection:
    """A connection to this machine's `port`."""
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, "127.0.0.1", port
    )
    return connection


def request_bytes(
    method: str, path: str, *, body: bytes = b"", authorization: bytes = b""
) -> bytes:
    """One request as it goes on the wire."""
    lines = [f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n".encode()]
    if authorization:
        lines.append(b"authorization: %b\r\n" % authorization)
    if body:
        lines.append(b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body))
    return b"".join((*lines, b"\r\n", body))
