"""One HTTP exchange over plain ASGI: read the request, send the response, notice who hangs up.

Must not know: routes, errors' statuses, or any framework.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    MutableMapping,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import orjson

from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import RequestInvalid, RequestTooLarge
from cobot_meter.http_api.http.addresses import TrustedProxies, address_of
from cobot_meter.http_api.http.body_room import BodyHold, BodyRoom

Header = tuple[bytes, bytes]

JSON_HEADER: Header = (b"content-type", b"application/json")
NO_STORE: Header = (b"cache-control", b"no-store")
NO_RETRY: Header = (b"x-should-retry", b"false")


class PlainAnswer(NamedTuple):
    """A whole response: header names in lower case, content-length among them.

    `sent` is called once all of it was handed to the socket.
    """

    status: int
    headers: list[Header]
    body: bytes
    sent: Callable[[], None] | None = None


class Stream(NamedTuple):
    """A response bit by bit, each made when the socket has room; header names in lower case.

    Without a content-length it is as long as its chunks. They are closed whatever becomes of them,
    once the response has begun or its caller has gone.
    """

    status: int
    headers: list[Header]
    chunks: AsyncGenerator[bytes, None]


Response = PlainAnswer | Stream
Done = TypeVar("Done")


def json_answer(
    status: int, document: dict[str, Any], headers: Sequence[Header] = ()
) -> PlainAnswer:
    """`document` as JSON, with its type and length before the further `headers`."""
    body = orjson.dumps(document)
    length = (b"content-length", b"%d" % len(body))
    return PlainAnswer(status, [JSON_HEADER, length, *headers], body)


Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

QUERY_FIELDS_MAX = 16
_LENGTH_DIGITS_MAX = 12
# Set in the scope of a HEAD, which is a GET behind the edge.
HEAD_ONLY = "cobot_meter.head_only"


class CallerGone(Exception):
    """The connection was closed by the other side; there is nobody to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """How large a body may be, how long it may take to arrive, and the room for all of them.

    An address is told as behind `trusted_proxies`.
    """

    bytes_max: int = 1_048_576
    timeout_s: float = 30.0
    room: BodyRoom = field(default_factory=BodyRoom)
    trusted_proxies: TrustedProxies = ()

    def address_of(self, scope: Scope) -> str:
        """The address that a connection's bodies count against."""
        client = scope.get("client")
        return address_of(
            peer=client[0] if client else None,
            forwarded_for=[value for name, value in scope["headers"] if name == b"x-forwarded-for"],
            trusted_proxies=self.trusted_proxies,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request as it came: header names in lower case, `peer` the host that connected.

    `head_only` says that nothing but the answer's head is sent, so nothing may be handed over.
    """

    method: str
    path: str
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    peer: str | None
    body: Body
    head_only: bool = False

    def lines(self, name: bytes) -> list[bytes]:
        """Every value of a header, in order."""
        return [value for found, value in self.headers if found == name]

    def query_field(self, name: str) -> str | None:
        """The last value of a query field. Raises RequestInvalid for a query of many fields."""
        if not self.query:
            return None
        try:
            fields = parse_qsl(
                self.query.decode("ascii", "replace"),
                keep_blank_values=True,
                max_num_fields=QUERY_FIELDS_MAX,
            )
        except ValueError:
            message = f"A query has at most {QUERY_FIELDS_MAX} fields."
            raise RequestInvalid(message) from None
        return dict(fields).get(name)


def request_of(scope: Scope, content: bytes = b"") -> HttpRequest:
    """The request of an ASGI scope, with the body that was read for it."""
    client = scope.get("client")
    return HttpRequest(
        method=scope["method"],
        path=scope["path"],
        query=scope.get("query_string", b""),
        headers=scope["headers"],
        peer=client[0] if client else None,
        body=Body(content),
        head_only=HEAD_ONLY in scope,
    )


async def read_body(scope: Scope, receive: Receive, limits: BodyLimits, hold: BodyHold) -> bytes:
    """The whole body, which `hold` grows with.

    Raises RequestTooLarge as soon as it is, AddressBusy and ServiceBusy as soon as there is no room
    for it, RequestInvalid, CallerGone.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            _check_length(value, limits.bytes_max)
    try:
        async with asyncio.timeout(limits.timeout_s):
            return await _read(receive, limits.bytes_max, hold)
    except TimeoutError:
        message = f"The body did not arrive within {limits.timeout_s:g} s; send it again."
        raise RequestInvalid(message) from None


async def send_answer(send: Send, answer: PlainAnswer) -> None:
    """Status, header lines and the whole body."""
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})
    if answer.sent is not None:
        answer.sent()


async def send_stream(send: Send, stream: Stream) -> None:
    """Status, header lines and one chunk after the other, as fast as they are taken.

    The first is asked for before anything is sent: chunks that were never begun could not be
    closed, and whatever they hold would stay open.
    """
    async with contextlib.aclosing(stream.chunks) as chunks:
        first = await anext(chunks, b"")
        await send(
            {"type": "http.response.start", "status": stream.status, "headers": stream.headers}
        )
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Done]) -> Done | None:
    """What `work` comes to; None when the caller hung up first, which cancels `work` alone.

    `work` that answers must not raise: it turns its own faults into answers.
    """
    answer = None
    try:
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(_until_gone(receive))
            answer = await work
            watch.cancel()
    except* CallerGone:
        pass  # whoever waits for a run waits through a shield: the run goes on
    return answer


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # more of a body that nobody reads
    raise CallerGone


async def _read(receive: Receive, bytes_max: int, hold: BodyHold) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > bytes_max:
            raise RequestTooLarge(_too_large(bytes_max))
        hold.grow(len(chunk))
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks) if len(chunks) > 1 else chunk


def _check_length(digits: bytes, bytes_max: int) -> None:
    if len(digits) > _LENGTH_DIGITS_MAX or int(digits) > bytes_max:
        raise RequestTooLarge(_too_large(bytes_max))


def _too_large(bytes_max: int) -> str:
    return f"The body is over {bytes_max} bytes; send a shorter conversation."
