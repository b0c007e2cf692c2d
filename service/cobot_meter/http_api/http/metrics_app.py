"""`/metrics` for the operator, as an application of its own: it listens where no caller comes.

What it shows (revenue, losses, what is left upstream) is nobody else's business.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

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
)

METRICS_PATH = "/metrics"
OK = 200
_TEXT: Header = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


def metrics_app(registry: CollectorRegistry) -> AsgiApp:
    """The registry in Prometheus's text format, at one path."""

    async def metrics(request: HttpRequest) -> PlainAnswer:
        line = f"{request.method} {request.path}"
        if request.path != METRICS_PATH:
            return refused_route(NOT_FOUND, line, {})
        if request.method != "GET":
            return refused_route(NOT_ALLOWED, line, {"Allow": "GET"})
        body = generate_latest(registry)
        length = (b"content-length", b"%d" % len(body))
        return PlainAnswer(OK, [_TEXT, length, NO_STORE], body)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await serve(metrics, scope, receive, send, BodyLimits())

    return Edge(app)


def refused_metrics() -> PlainAnswer:
    """404 where callers come: where the operator reads them."""
    where = "for the operator alone, where COBOT_METER_METRICS_LISTEN says (127.0.0.1:8405), not"
    return refused_route(NOT_FOUND, f"GET {METRICS_PATH}", {}, meant=where)
