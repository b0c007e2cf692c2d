"""The FastAPI application: it routes all but the hot routes, and writes `/openapi.json` for all.

Handlers take an HttpRequest and give a PlainAnswer; FastAPI's own validation, documentation pages
and redirects are off, so that every answer has one shape.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from cobot_meter import __version__
from cobot_meter.domain.errors import Broken
from cobot_meter.http_api.http.edge import NOT_FOUND, PlainHandler, answered, refused_route
from cobot_meter.http_api.http.exchange import PlainAnswer, request_of
from cobot_meter.http_api.http.known_paths import KnownPaths
from cobot_meter.http_api.http.metrics_app import METRICS_PATH, refused_metrics
from cobot_meter.http_api.http.openapi import RouteDocument

Endpoint = Callable[..., Awaitable[Response]]

OPENAPI_PATH = "/openapi.json"
_INFO = {
    "categories": ["ai", "llm"],
    "docs": {"apiReference": OPENAPI_PATH},
}


class Route(NamedTuple):
    """One route; `handler` None for a hot one, which is documented here and served elsewhere."""

    method: str
    path: str
    handler: PlainHandler | None
    document: RouteDocument


def known_paths(routes: tuple[Route, ...]) -> KnownPaths:
    """The paths of these routes, and that of their description."""
    return KnownPaths([*((route.method, route.path) for route in routes), ("GET", OPENAPI_PATH)])


def documented_app(routes: tuple[Route, ...], known: KnownPaths) -> FastAPI:
    """An application of these routes, and its own description."""
    app = FastAPI(
        title="cobot-meter",
        summary="Chat completions at what they cost, paid over Lightning.",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for route in routes:
        app.add_api_route(
            route.path,
            _endpoint(route.handler),
            methods=[route.method],
            name=route.document.summary,
            summary=route.document.summary,
            responses={status: dict(said) for status, said in route.document.responses.items()},
            response_class=Response,
            response_model=None,
            operation_id=_operation_id(route),
            openapi_extra=dict(route.document.extra),
        )
    app.add_api_route(OPENAPI_PATH, _description(app), include_in_schema=False)
    app.add_exception_handler(HTTPException, _refusing(known))
    return app


def _endpoint(handler: PlainHandler | None) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if handler is None:
            raise Broken("a hot route came past the hot routes")
        return _response(await answered(handler, request_of(request.scope)))

    return endpoint


def _description(app: FastAPI) -> Endpoint:
    async def openapi() -> Response:
        document = {**app.openapi(), "x-service-info": _INFO}
        headers = {"cache-control": "public, max-age=300"}
        return Response(orjson.dumps(document), media_type="application/json", headers=headers)

    return openapi


def _refusing(known: KnownPaths) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers: Mapping[str, str] = (isinstance(error, HTTPException) and error.headers) or {}
        path: str = request.scope["path"]
        if path == METRICS_PATH:
            return _response(refused_metrics())
        meant = known.meant(path) if status == NOT_FOUND else None
        line = f"{request.method} {path}"
        return _response(refused_route(status, line, headers, meant=meant))

    return refused


def _response(answer: PlainAnswer) -> Response:
    response = Response(answer.body, status_code=answer.status)
    response.raw_headers = list(answer.headers)
    return response


def _operation_id(route: Route) -> str:
    words = route.path.replace("{", "").replace("}", "").split("/")
    return "_".join((route.method.lower(), *filter(None, words)))
