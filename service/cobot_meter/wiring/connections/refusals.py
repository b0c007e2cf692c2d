"""What is said to a request that never reaches a route. Must not know: connections."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from cobot_meter.http_api.http.exchange import (
    NO_STORE,
    AsgiApp,
    PlainAnswer,
    Receive,
    Scope,
    Send,
    json_answer,
    send_answer,
)
from cobot_meter.wiring.connections.limits import ConnectionLimits

_CLOSE = (b"connection", b"close")
_RETRY = (b"retry-after", b"1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that closes the connection; `why` is the name under which it is counted."""

    status: HTTPStatus
    code: str
    message: str
    why: str

    def answer(self, limits: ConnectionLimits) -> PlainAnswer:
        """In OpenAI's shape, with the figures of these limits."""
        theirs = self.status < HTTPStatus.INTERNAL_SERVER_ERROR
        error: dict[str, Any] = {
            "message": self.message.format(limits=limits),
            "type": "invalid_request_error" if theirs else "server_error",
            "param": None,
            "code": self.code,
        }
        later = (_RETRY,) if self.status is HTTPStatus.SERVICE_UNAVAILABLE else ()
        return json_answer(self.status, {"error": error}, (NO_STORE, _CLOSE, *later))

    def on_the_wire(self, limits: ConnectionLimits) -> bytes:
        """Status line, header lines and body."""
        answer = self.answer(limits)
        lines = [b"%s: %s\r\n" % line for line in answer.headers]
        first = f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n".encode("ascii")
        return b"".join((first, *lines, b"\r\n", answer.body))

    def as_app(self, limits: ConnectionLimits) -> AsgiApp:
        """An ASGI application that sends this answer: for a refusal that waits for its turn.

        Its turn comes when the requests before it on the connection have been answered.
        """

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send_answer(send, self.answer(limits))

        return app


BAD_REQUEST = Refusal(
    status=HTTPStatus.BAD_REQUEST,
    code="bad_request",
    message="This is not an HTTP/1.1 request that can be read in one way only; correct it.",
    why="malformed requests",
)
HEAD_TOO_LARGE = Refusal(
    status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    code="head_too_large",
    message="Line and headers are over {limits.head_bytes} bytes; send fewer or shorter ones.",
    why="heads too large",
)
HEAD_TOO_SLOW = Refusal(
    status=HTTPStatus.REQUEST_TIMEOUT,
    code="request_timeout",
    message="The headers did not arrive within {limits.head_s:g} s; send the request again.",
    why="heads too slow",
)
BODY_TOO_SLOW = Refusal(
    status=HTTPStatus.REQUEST_TIMEOUT,
    code="request_timeout",
    message="The body did not arrive within {limits.body_s:g} s; send the request again.",
    why="bodies too slow",
)
VERSION_REFUSED = Refusal(
    status=HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    code="version_not_supported",
    message="Only HTTP/1.1 and HTTP/1.0 are spoken here; use one of them.",
    why="other versions of HTTP",
)
ENCODING_REFUSED = Refusal(
    status=HTTPStatus.NOT_IMPLEMENTED,
    code="encoding_not_supported",
    message="The only Transfer-Encoding is chunked, in HTTP/1.1; send it, or a Content-Length.",
    why="other transfer encodings",
)
CONNECT_REFUSED = Refusal(
    status=HTTPStatus.METHOD_NOT_ALLOWED,
    code="method_not_allowed",
    message="CONNECT is for proxies, and this is none; send the request itself.",
    why="CONNECT",
)
TOO_MANY_PIPELINED = Refusal(
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    code="too_many_pipelined",
    message=(
        "{limits.pipelined_max} requests wait on this connection already; read their answers, "
        "then send more."
    ),
    why="too many pipelined requests",
)
NO_ROOM = Refusal(
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    code="too_many_connections",
    message="There are too many connections of this address, or in all; close some, then retry.",
    why="too many connections",
)
