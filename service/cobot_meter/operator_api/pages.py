"""The operator's pages, beside the metrics: where no caller comes, and nothing can be changed.

They show what `/metrics` shows of other things: whoever reaches that address may read it. They have
no script, and no other site may frame them.
"""

from __future__ import annotations

from cobot_meter.flows.benchmarks.show_benchmarks import ShowBenchmarks
from cobot_meter.http_api.http.edge import NOT_ALLOWED, NOT_FOUND, Edge, refused_route, serve
from cobot_meter.http_api.http.exchange import (
    NO_STORE,
    AsgiApp,
    BodyLimits,
    Header,
    HttpRequest,
    PlainAnswer,
    Receive,
    Scope,
    Send,
    json_answer,
)
from cobot_meter.operator_api.benchmarks.page import JSON_PATH, benchmarks_page

PREFIX = "/operator/"
BENCHMARKS_PATH = "/operator/benchmarks"
OK = 200
_HTML: Header = (b"content-type", b"text/html; charset=utf-8")
_GUARDS: tuple[Header, ...] = (
    NO_STORE,
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


def operator_pages(show_benchmarks: ShowBenchmarks, *, rest: AsgiApp) -> AsgiApp:
    """The pages below `/operator/`; whatever else is asked for goes to `rest`."""

    async def pages(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await serve(_Pages(show_benchmarks).answer, scope, receive, send, BodyLimits())

    framed = Edge(pages)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        below = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (framed if below else rest)(scope, receive, send)

    return app


class _Pages:
    """One answer for each path and method."""

    def __init__(self, show_benchmarks: ShowBenchmarks) -> None:
        self._show_benchmarks = show_benchmarks

    async def answer(self, request: HttpRequest) -> PlainAnswer:
        line = f"{request.method} {request.path}"
        if request.path not in {BENCHMARKS_PATH, JSON_PATH}:
            return refused_route(NOT_FOUND, line, {})
        if request.method != "GET":
            return refused_route(NOT_ALLOWED, line, {"Allow": "GET"})
        found = await self._show_benchmarks.latest()
        if request.path == JSON_PATH:
            return json_answer(OK, found.document(), _GUARDS)
        body = benchmarks_page(found)
        return PlainAnswer(OK, [_HTML, (b"content-length", b"%d" % len(body)), *_GUARDS], body)
