"""The HTTP face as one ASGI application: hot routes on plain ASGI, the rest behind FastAPI.

Must not know: adapters, settings, or who listens.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

from prometheus_client import Counter

from cobot_meter.http_api import caller_routes, health_routes, model_routes
from cobot_meter.http_api.caller_routes import CallerRoutes
from cobot_meter.http_api.chat.route import CHAT_PATH, ChatRoute
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.escrow_routes import EscrowRoutes
from cobot_meter.http_api.health_routes import HealthRoutes
from cobot_meter.http_api.http import openapi as document
from cobot_meter.http_api.http.documented_app import Route, documented_app, known_paths
from cobot_meter.http_api.http.edge import Edge, Handler, serve
from cobot_meter.http_api.http.exchange import AsgiApp, BodyLimits, Receive, Scope, Send
from cobot_meter.http_api.identity import Askers
from cobot_meter.http_api.l402.challenges import Challenges
from cobot_meter.http_api.model_routes import ModelRoutes
from cobot_meter.http_api.quote_routes import QUOTES_PATH, QuoteRoutes
from cobot_meter.http_api.views import ESCROWS_PATH, completion_path, escrow_path

_ESCROW_PREFIX = f"{ESCROWS_PATH}/"
_COMPLETION_SUFFIX = "/completion"


def build_face(parts: FaceParts) -> AsgiApp:
    """The application. Build one for each registry: it adds its own counter there."""
    challenges = Challenges(tokens=parts.tokens, public_url=parts.public_url)
    askers = Askers(parts=parts, challenges=challenges)
    escrows = EscrowRoutes(parts=parts, askers=askers, challenges=challenges)
    routes = _routes(parts, askers)
    known = known_paths(routes)
    hot = HotRoutes(
        chat=ChatRoute(
            parts=parts, askers=askers, challenges=challenges, outcomes=_outcomes(parts)
        ),
        status=escrows.status,
        completion=escrows.completion,
        quote=QuoteRoutes(parts=parts).quote,
        limits=replace(parts.limits.body, trusted_proxies=parts.trusted_proxies),
        rest=documented_app(routes, known),
    )
    return Edge(hot, public=known)


class HotRoutes:
    """Asking, quoting and claiming, past every framework; whatever else goes to `rest`."""

    def __init__(
        self,
        *,
        chat: Handler,
        status: Handler,
        completion: Handler,
        quote: Handler,
        limits: BodyLimits,
        rest: AsgiApp,
    ) -> None:
        """`rest` answers unknown paths and wrong methods too."""
        self._chat = chat
        self._status = status
        self._completion = completion
        self._quote = quote
        self._limits = limits
        self._rest = rest

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """One connection of any type; no frame of its own is kept while a caller waits."""
        handler = self._handler(scope) if scope["type"] == "http" else None
        if handler is None:
            return self._rest(scope, receive, send)
        return serve(handler, scope, receive, send, self._limits)

    def _handler(self, scope: Scope) -> Handler | None:
        path: str = scope["path"]
        if path == CHAT_PATH:
            return self._chat if scope["method"] == "POST" else None
        if path == QUOTES_PATH:
            return self._quote if scope["method"] == "POST" else None
        if scope["method"] == "GET" and path.startswith(_ESCROW_PREFIX):
            return self._completion if path.endswith(_COMPLETION_SUFFIX) else self._status
        return None


def _outcomes(parts: FaceParts) -> Counter:
    return Counter(
        "cobot_meter_asks",
        "Asks by how they ended: a kind of answer, or an error's code",
        ["outcome"],
        registry=parts.registry,
    )


def _routes(parts: FaceParts, askers: Askers) -> tuple[Route, ...]:
    callers = CallerRoutes(parts=parts, askers=askers)
    health = HealthRoutes(parts=parts)
    models = ModelRoutes(parts=parts)
    return (
        Route("POST", CHAT_PATH, None, document.CHAT),
        Route("POST", QUOTES_PATH, None, document.QUOTE),
        Route("GET", escrow_path("{escrow_id}"), None, document.STATUS),
        Route("GET", completion_path("{escrow_id}"), None, document.COMPLETION),
        Route("GET", model_routes.MODELS_PATH, models.models, document.MODELS),
        Route("GET", model_routes.COUNT_PATH, models.count, document.MODEL_COUNT),
        Route("GET", model_routes.SHORT_MODEL_PATH, models.listed_model, document.SHORT_MODEL),
        Route("GET", model_routes.LISTED_MODEL_PATH, models.listed_model, document.LISTED_MODEL),
        Route("GET", model_routes.MODEL_PATH, models.model, document.MODEL),
        Route("GET", model_routes.ENDPOINTS_PATH, models.endpoints, document.ENDPOINTS),
        Route("GET", caller_routes.GENERATION_PATH, callers.generation, document.GENERATION),
        Route("GET", caller_routes.KEY_PATH, callers.key, document.KEY),
        Route("GET", caller_routes.CREDITS_PATH, callers.credits, document.CREDITS),
        Route("GET", caller_routes.LEDGER_PATH, callers.ledger, document.LEDGER),
        Route("GET", health_routes.HEALTH_PATH, health.health, document.HEALTH),
        Route("GET", health_routes.READY_PATH, health.ready, document.READY),
    )
