"""The process edge of HTTP: every fault becomes an answer, and the only catch-all is here.

What nobody foresaw is a 500 that says nothing; the log gets its type and where it came from, and
never its message, which may quote a caller.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from cobot_meter.domain.api_key.faults import KeyExposed
from cobot_meter.domain.api_key.record import SECRET_PREFIX
from cobot_meter.domain.errors import Broken, CobotMeterError
from cobot_meter.http_api.http.body_room import BodyHold
from cobot_meter.http_api.http.cross_origin import CORS, preflight_answer
from cobot_meter.http_api.http.error_table import BROKEN_MESSAGE, error_response
from cobot_meter.http_api.http.exchange import (
    HEAD_ONLY,
    NO_STORE,
    AsgiApp,
    BodyLimits,
    CallerGone,
    Header,
    HttpRequest,
    Message,
    PlainAnswer,
    Receive,
    Response,
    Scope,
    Send,
    Stream,
    json_answer,
    read_body,
    request_of,
    send_answer,
    send_stream,
    while_connected,
)
from cobot_meter.http_api.http.known_paths import KnownPaths

Handler = Callable[[HttpRequest], Awaitable[Response]]
PlainHandler = Callable[[HttpRequest], Awaitable[PlainAnswer]]
Answered = TypeVar("Answered", bound=Response)

LOG = logging.getLogger(__name__)
NOT_FOUND = 404
NOT_ALLOWED = 405
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_ALL = "*"
_SECRET = SECRET_PREFIX.encode()
EXPOSED = (
    "An API key stands in the address of this request, where proxies and histories keep it: take "
    "it for leaked, end it (DELETE /v1/keys/{id}, or rotate it), and send another one in "
    "Authorization: Bearer."
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


async def serve(
    handler: Handler, scope: Scope, receive: Receive, send: Send, limits: BodyLimits
) -> None:
    """One exchange with a handler; nothing is sent to a caller who hung up."""
    with limits.room.held_by(limits.address_of(scope)) as hold:
        request = await _request(scope, receive, send, limits, hold)
        if request is None:
            return
        answer = await while_connected(receive, answered(handler, request))
        if isinstance(answer, Stream):
            await while_connected(receive, send_stream(send, answer))
        elif answer is not None:
            await send_answer(send, answer)


async def _request(
    scope: Scope, receive: Receive, send: Send, limits: BodyLimits, hold: BodyHold
) -> HttpRequest | None:
    """The request; None when it was refused, or nobody is there any more."""
    if scope["method"] not in _WITH_BODY:
        return request_of(scope)
    try:
        return request_of(scope, await read_body(scope, receive, limits, hold))
    except CallerGone:
        return None
    except CobotMeterError as fault:
        await send_answer(send, error_response(fault))
        return None


async def answered(
    handler: Callable[[HttpRequest], Awaitable[Answered]], request: HttpRequest
) -> Answered | PlainAnswer:
    """The handler's answer, or that of the error table. Raises nothing."""
    try:
        return await handler(request)
    except CobotMeterError as error:
        if isinstance(error, Broken):
            LOG.error("%s %s: %s", error.code, type(error).__name__, error.message)  # noqa: TRY400
        _let_go(error)
        return error_response(error)
    except Exception as error:
        _log_unforeseen(error)
        return error_response(Broken(BROKEN_MESSAGE))


def _let_go(error: BaseException | None) -> None:
    """Drop the frames of an error that has been heard.

    A run's error has passed through a frame that holds the run, and the run holds the error: until
    the collector comes by, which is long after a burst, the whole request stays in memory.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


class Edge:
    """Wraps an ASGI application: HEAD is GET without its body, and no exception passes.

    With `public` paths, pages of any origin may read what is answered, and OPTIONS is answered
    here for all of them.
    """

    def __init__(self, app: AsgiApp, *, public: KnownPaths | None = None) -> None:
        """`app` is everything behind the edge."""
        self._app = app
        self._public = public
        self._cors = CORS if public is not None else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, of any type that ASGI has."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        head_only = scope["method"] == "HEAD"

        def send_on(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._cors]}
            elif head_only and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            return send(message)

        if head_only:
            scope = {**scope, "method": "GET", HEAD_ONLY: True}
        try:
            await self._called(scope, receive, send_on)
        except Exception as error:
            _log_unforeseen(error)
            if not started:
                await send_answer(send_on, error_response(Broken(BROKEN_MESSAGE)))

    def _called(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if _names_a_key(scope):
            return send_answer(send, error_response(KeyExposed(EXPOSED)))
        if scope["method"] == "OPTIONS" and self._public is not None:
            every = scope["path"] == _ALL
            methods = _METHODS if every else self._public.methods(scope["path"])
            if methods:
                return send_answer(send, preflight_answer(methods, scope["headers"]))
        return self._app(scope, receive, send)


def _names_a_key(scope: Scope) -> bool:
    """Whether an API key stands in the address, where it is written down on the way."""
    query: bytes = scope.get("query_string", b"")
    if SECRET_PREFIX in scope["path"] or _SECRET in query:
        return True
    return b"%" in query and _SECRET in unquote_to_bytes(query)


def refused_route(
    status: int, request_line: str, headers: Mapping[str, str], *, meant: str | None = None
) -> PlainAnswer:
    """404 for an unknown path and 405 for a wrong method, in OpenAI's shape.

    `meant` is the path that there is instead.
    """
    unknown = status == NOT_FOUND
    what = "has no such path" if unknown else "takes another method there"
    hint = f"It is {meant} here" if meant else "See GET /openapi.json"
    document = {
        "error": {
            "message": f"This service {what}: {request_line[:200]}. {hint}.",
            "type": "invalid_request_error",
            "param": None,
            "code": "unknown_url" if unknown else "method_not_allowed",
        }
    }
    extra: list[Header] = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
    ]
    return json_answer(status, document, (NO_STORE, *extra))


def _log_unforeseen(error: Exception) -> None:
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # of a stream, whose caller was watched meanwhile
    frames = "".join(traceback.format_tb(error.__traceback__))
    LOG.error("unforeseen %s\n%s", type(error).__name__, frames)
