"""The HTTP face as one ASGI application: hot routes on plain ASGI, the rest behind FastAPI.

Must not know: adapters, settings, or who listens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from prometheus_client import Counter

from cobot_meter.http_api import caller_routes, health_routes, model_routes
from cobot_meter.http_api.benchmarks import document as of_benchmarks
from cobot_meter.http_api.benchmarks.routes import BENCHMARKS_PATH, BenchmarkRoutes
from cobot_meter.http_api.budgets import document as of_budgets
from cobot_meter.http_api.budgets.routes import BUDGETS_PATH, BudgetRoutes
from cobot_meter.http_api.caller_routes import CallerRoutes
from cobot_meter.http_api.chat.credit_short import TopsUpCredit
from cobot_meter.http_api.chat.receipts import Receipts
from cobot_meter.http_api.chat.route import CHAT_PATH, ChatRoute
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.escrow_routes import EscrowRoutes
from cobot_meter.http_api.guide_routes import GUIDE_PATH, GuideRoutes
from cobot_meter.http_api.health_routes import HealthRoutes
from cobot_meter.http_api.http import openapi as document
from cobot_meter.http_api.http import openapi_tasks as of_tasks
from cobot_meter.http_api.http.documented_app import Route, documented_app, known_paths
from cobot_meter.http_api.http.edge import Edge, Handler, serve
from cobot_meter.http_api.http.exchange import AsgiApp, BodyLimits, Receive, Scope, Send
from cobot_meter.http_api.identity import Askers
from cobot_meter.http_api.key_routes import KEYS_PATH, KeyRoutes
from cobot_meter.http_api.l402.challenges import Challenges
from cobot_meter.http_api.model_routes import ModelRoutes
from cobot_meter.http_api.quote_routes import QUOTES_PATH, QuoteRoutes
from cobot_meter.http_api.tasks.routes import TaskRoutes
from cobot_meter.http_api.tasks.runs import TaskRuns
from cobot_meter.http_api.topup_routes import TopupRoutes
from cobot_meter.http_api.views import (
    ESCROWS_PATH,
    TASKS_PATH,
    TOPUPS_PATH,
    completion_path,
    escrow_path,
    topup_path,
)

_COMPLETION_SUFFIX = "/completion"


def build_face(parts: FaceParts) -> AsgiApp:
    """The application. Build one for each registry: it adds its own counter there."""
    challenges = Challenges(tokens=parts.tokens, public_url=parts.public_url)
    askers = Askers(parts=parts, challenges=challenges)
    receipts = Receipts(parts=parts)
    escrows = EscrowRoutes(parts=parts, askers=askers, challenges=challenges, receipts=receipts)
    outcomes = _outcomes(parts)
    chat = ChatRoute(
        parts=parts, askers=askers, challenges=challenges, receipts=receipts, outcomes=outcomes
    )
    paid = TopsUpCredit(chat, parts=parts, askers=askers, challenges=challenges)
    keys = KeyRoutes(parts=parts, askers=askers)
    budgets = BudgetRoutes(parts=parts, askers=askers)
    tasks = TaskRoutes(parts=parts, askers=askers, challenges=challenges)
    topups = TopupRoutes(parts=parts, askers=askers, challenges=challenges, keys=keys)
    routes = _routes(parts, askers)
    sold = _sold(parts, askers, challenges)
    known = known_paths(routes)
    hot = HotRoutes(
        exact={
            ("POST", CHAT_PATH): TaskRuns(paid, parts=parts, outcomes=outcomes),
            ("POST", QUOTES_PATH): QuoteRoutes(parts=parts).quote,
            ("POST", TOPUPS_PATH): topups.begin,
            ("POST", KEYS_PATH): keys.make,
            ("GET", KEYS_PATH): keys.listed,
            ("GET", BUDGETS_PATH): budgets.listed,
            ("PUT", BUDGETS_PATH): budgets.put,
            ("POST", TASKS_PATH): tasks.open,
            ("GET", TASKS_PATH): tasks.listed,
            **sold,
        },
        below=(
            Below("GET", f"{ESCROWS_PATH}/", _COMPLETION_SUFFIX, escrows.completion),
            Below("GET", f"{ESCROWS_PATH}/", "", escrows.status),
            Below("GET", f"{TOPUPS_PATH}/", "", topups.status),
            Below("POST", f"{KEYS_PATH}/", "/rotate", keys.rotate),
            Below("GET", f"{KEYS_PATH}/", "", keys.one),
            Below("PATCH", f"{KEYS_PATH}/", "", keys.change),
            Below("DELETE", f"{KEYS_PATH}/", "", keys.revoke),
            Below("POST", f"{TASKS_PATH}/", "/answer", tasks.answer),
            Below("POST", f"{TASKS_PATH}/", "/close", tasks.close),
            Below("POST", f"{TASKS_PATH}/", "/delivered", tasks.delivered),
            Below("GET", f"{TASKS_PATH}/", "", tasks.one),
            Below("DELETE", f"{TASKS_PATH}/", "", tasks.give_up),
        ),
        limits=replace(parts.limits.body, trusted_proxies=parts.trusted_proxies),
        rest=documented_app(routes, known),
    )
    return Edge(hot, public=known)


class Below(NamedTuple):
    """A hot route below a path, told apart by how the rest of it ends."""

    method: str
    prefix: str
    suffix: str
    handler: Handler


class HotRoutes:
    """What has a body or waits, past every framework; whatever else goes to `rest`."""

    def __init__(
        self,
        *,
        exact: Mapping[tuple[str, str], Handler],
        below: Sequence[Below],
        limits: BodyLimits,
        rest: AsgiApp,
    ) -> None:
        """`rest` answers unknown paths and wrong methods too; of `below` the first that fits."""
        self._exact = exact
        self._below = below
        self._limits = limits
        self._rest = rest

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """One connection of any type; no frame of its own is kept while a caller waits."""
        handler = self._handler(scope) if scope["type"] == "http" else None
        if handler is None:
            return self._rest(scope, receive, send)
        return serve(handler, scope, receive, send, self._limits)

    def _handler(self, scope: Scope) -> Handler | None:
        method, path = scope["method"], scope["path"]
        found = self._exact.get((method, path))
        if found is not None:
            return found
        for one in self._below:
            if method == one.method and path.startswith(one.prefix) and path.endswith(one.suffix):
                return one.handler
        return None


def _sold(
    parts: FaceParts, askers: Askers, challenges: Challenges
) -> Mapping[tuple[str, str], Handler]:
    """Documents that are sold: none where the operator has set no price."""
    if parts.sell_edition is None:
        return {}
    benchmarks = BenchmarkRoutes(
        parts.sell_edition, parts=parts, askers=askers, challenges=challenges
    )
    return {("GET", BENCHMARKS_PATH): benchmarks.bought}


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
        Route("POST", TOPUPS_PATH, None, document.TOPUP),
        Route("GET", topup_path("{topup_id}"), None, document.TOPUP_STATUS),
        Route("POST", KEYS_PATH, None, document.KEY_MADE),
        Route("GET", KEYS_PATH, None, document.KEYS),
        Route("GET", f"{KEYS_PATH}/{{key_id}}", None, document.ONE_KEY),
        Route("PATCH", f"{KEYS_PATH}/{{key_id}}", None, document.KEY_CHANGED),
        Route("DELETE", f"{KEYS_PATH}/{{key_id}}", None, document.KEY_REVOKED),
        Route("POST", f"{KEYS_PATH}/{{key_id}}/rotate", None, document.KEY_ROTATED),
        Route("GET", BUDGETS_PATH, None, of_budgets.BUDGETS),
        Route("PUT", BUDGETS_PATH, None, of_budgets.BUDGETS_SET),
        *(
            (Route("GET", BENCHMARKS_PATH, None, of_benchmarks.BENCHMARKS),)
            if parts.sell_edition
            else ()
        ),
        Route("POST", TASKS_PATH, None, of_tasks.TASK_OPENED),
        Route("GET", TASKS_PATH, None, of_tasks.TASKS),
        Route("GET", f"{TASKS_PATH}/{{task_id}}", None, of_tasks.ONE_TASK),
        Route("DELETE", f"{TASKS_PATH}/{{task_id}}", None, of_tasks.TASK_GIVEN_UP),
        Route("POST", f"{TASKS_PATH}/{{task_id}}/answer", None, of_tasks.TASK_ANSWERED),
        Route("POST", f"{TASKS_PATH}/{{task_id}}/close", None, of_tasks.TASK_CLOSED),
        Route("POST", f"{TASKS_PATH}/{{task_id}}/delivered", None, of_tasks.TASK_DELIVERED),
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
        Route("GET", GUIDE_PATH, GuideRoutes(parts=parts).llms, document.GUIDE),
        Route("GET", health_routes.HEALTH_PATH, health.health, document.HEALTH),
        Route("GET", health_routes.READY_PATH, health.ready, document.READY),
    )
