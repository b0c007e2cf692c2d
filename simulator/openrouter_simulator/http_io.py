"""Plain ASGI: bodies in, JSON out, and the ways a connection ends badly.

Written without a framework, because a faithful look-alike has to be able to break the protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from decimal import Decimal
from typing import Any

import orjson

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = dict[bytes, bytes]

_BODY_BYTES_MAX = 16 * 1_024 * 1_024
_DISCONNECT = "http.disconnect"


class BodyTooLarge(Exception):
    """The request body is over the limit."""


class ReaderLeft(Exception):
    """The other side has closed the connection."""


async def read_body(receive: Receive) -> bytes:
    """The whole request body. Raises BodyTooLarge and ReaderLeft."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == _DISCONNECT:
            raise ReaderLeft
        piece = message.get("body", b"")
        size += len(piece)
        if size > _BODY_BYTES_MAX:
            raise BodyTooLarge
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)


def dumps(document: object) -> bytes:
    """JSON, with Decimals as plain numbers."""
    return orjson.dumps(document, default=_number)


async def send_head(send: Send, status: int, headers: Headers) -> None:
    """Status and headers; the body follows."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers.items())})


async def send_piece(send: Send, piece: bytes, *, last: bool) -> None:
    """A piece of the body."""
    await send({"type": "http.response.body", "body": piece, "more_body": not last})


async def send_json(
    send: Send, status: int, document: object, headers: Headers | None = None
) -> None:
    """A whole JSON answer."""
    body = dumps(document)
    length = str(len(body)).encode()
    head = {b"content-type": b"application/json", b"content-length": length, **(headers or {})}
    await send_head(send, status, head)
    await send_piece(send, body, last=True)


async def reader_left(receive: Receive, *, within_s: float) -> bool:
    """Wait this long; True as soon as the reader has gone."""
    try:
        async with asyncio.timeout(within_s):
            while (await receive())["type"] != _DISCONNECT:
                pass
    except TimeoutError:
        return False
    return True


async def drop_connection(receive: Receive, send: Send) -> None:
    """Cut the connection as a crashing server does, whether or not an answer has begun.

    ASGI has no word for it, so the server's own transport is asked for; without one, an exception
    makes every server close the connection.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if not isinstance(transport, asyncio.BaseTransport):
        raise ConnectionAbortedError("simulated reset")
    transport.close()
    await reader_left(receive, within_s=1.0)


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"not JSON: {type(value).__name__}")
