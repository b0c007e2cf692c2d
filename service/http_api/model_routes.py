"""GET /v1/models and what is below it: OpenRouter's shapes with our prices in them.

The list is written once per catalogue and rate, and sent as it lies. Must not know: callers.
"""

from __future__ import annotations

from typing import Any

from service.domain.completions import Model
from service.domain.errors import DependencyFault
from service.domain.money import ExchangeRate, btc_usd_text
from service.http_api.asgi_io import HttpRequest
from service.http_api.face_parts import FaceParts
from service.http_api.model_documents import endpoint_document, endpoints_document, model_document
from service.http_api.plain_answers import Header, PlainAnswer, json_answer

MODELS_PATH = "/v1/models"
MODEL_PATH = "/v1/model/{author}/{slug}"
COUNT_PATH = "/v1/models/count"
SHORT_MODEL_PATH = "/v1/models/{model}"
LISTED_MODEL_PATH = "/v1/models/{author}/{slug}"
ENDPOINTS_PATH = "/v1/models/{author}/{slug}/endpoints"
OK = 200
_CACHED: Header = (b"cache-control", b"public, max-age=60")
_Key = tuple[int, int, str]


class ModelRoutes:
    """The list, kept until the catalogue or the rate has changed."""

    def __init__(self, *, parts: FaceParts) -> None:
        """Nothing is written before it is asked for."""
        self._parts = parts
        self._key: _Key | None = None
        self._answer: PlainAnswer | None = None

    async def model(self, request: HttpRequest) -> PlainAnswer:
        """One model on offer. Raises ModelNotOffered, DependencyFault, RateStale."""
        model, rate = self._named(request.path, before="/v1/model/", after="")
        row = model_document(model, rate, self._parts.price_terms)
        return json_answer(OK, {"data": row}, (_CACHED,))

    async def listed_model(self, request: HttpRequest) -> PlainAnswer:
        """The same where OpenAI has it, its members at the top and OpenRouter's under `data`."""
        model, rate = self._named(request.path, before=f"{MODELS_PATH}/", after="")
        row = model_document(model, rate, self._parts.price_terms)
        return json_answer(OK, {**_openai_members(row), "data": row}, (_CACHED,))

    async def count(self, _request: HttpRequest) -> PlainAnswer:
        """How many models are on offer. Raises DependencyFault before the first list."""
        self._refreshed_at_ms()
        count = len(self._parts.catalogue.models())
        return json_answer(OK, {"data": {"count": count}}, (_CACHED,))

    async def endpoints(self, request: HttpRequest) -> PlainAnswer:
        """Who may serve one model, at our prices. Raises as `model`."""
        model, rate = self._named(request.path, before="/v1/models/", after="/endpoints")
        terms = self._parts.price_terms
        row = model_document(model, rate, terms)
        served = await self._parts.catalogue.endpoints.of(model)
        rows = [endpoint_document(endpoint, rate, terms) for endpoint in served]
        return json_answer(OK, {"data": endpoints_document(model, row, rows)}, (_CACHED,))

    def _named(self, path: str, *, before: str, after: str) -> tuple[Model, ExchangeRate]:
        model_id = path.removeprefix(before).removesuffix(after)
        return self._parts.catalogue.offered(model_id), self._parts.rates.shown()

    async def models(self, _request: HttpRequest) -> PlainAnswer:
        """Everything on offer. Raises DependencyFault before the first list, RateStale."""
        refreshed_at_ms = self._refreshed_at_ms()
        rate = self._parts.rates.shown()
        key = (refreshed_at_ms, rate.usd_micro_per_btc, rate.source)
        if self._answer is None or key != self._key:
            self._answer = self._written(rate)
            self._key = key
        return self._answer

    def _refreshed_at_ms(self) -> int:
        refreshed_at_ms = self._parts.catalogue.refreshed_at_ms
        if refreshed_at_ms is None:
            message = "The upstream's price list is not here yet; try again in a moment."
            raise DependencyFault(message, retry_after_s=5)
        return refreshed_at_ms

    def _written(self, rate: ExchangeRate) -> PlainAnswer:
        terms = self._parts.price_terms
        rows = [model_document(model, rate, terms) for model in self._parts.catalogue.models()]
        document = {
            "object": "list",
            "data": rows,
            "total_count": len(rows),
            "links": {"next": None},
            "cobot": {
                "credit_fee_bps": terms.credit_fee_bps,
                "markup_bps": terms.markup_bps,
                "rate": {"btc_usd": btc_usd_text(rate), "source": rate.source},
            },
        }
        return json_answer(OK, document, (_CACHED,))


def _openai_members(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "object": "model",
        "created": row.get("created") or 0,
        "owned_by": str(row["id"]).partition("/")[0],
    }
