"""GET /v1/models and what is below it: OpenRouter's shapes with our prices in them.

The list is written once per catalogue and rate, and sent as it lies.
"""

from __future__ import annotations

from typing import Any

import orjson

from cobot_meter.domain.errors import DependencyFault
from cobot_meter.domain.money import ExchangeRate, btc_usd_text, usd_text
from cobot_meter.domain.pricing.prices import (
    ImagePrice,
    ModelPrice,
    PriceTerms,
    unit_price_msat_text,
    unit_price_pusd,
)
from cobot_meter.domain.routing.virtual import is_virtual
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.domain.upstream.endpoints import Endpoint
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.exchange import Header, HttpRequest, PlainAnswer, json_answer

PROVIDER = "cobot-meter"
TAG = "cobot"
_ALWAYS = ("prompt", "completion", "request")
# What OpenRouter's SDK demands of every model and a list may leave out.
_UNSAID: dict[str, Any] = {
    "supported_parameters": [],
    "supported_voices": None,
    "default_parameters": None,
    "per_request_limits": None,
}
_UNKNOWN_ARCHITECTURE: dict[str, Any] = {
    "modality": None,
    "input_modalities": ["text"],
    "output_modalities": ["text"],
    "tokenizer": None,
    "instruct_type": None,
}
# What an offer that is not one provider's cannot say.
_UNMEASURED = (
    "latency_last_30m",
    "throughput_last_30m",
    "uptime_last_5m",
    "uptime_last_30m",
    "uptime_last_1d",
)


def model_document(model: Model, rate: ExchangeRate, terms: PriceTerms) -> dict[str, Any]:
    """One row of the list: prices per token in USD, and in `cobot` in msat per million."""
    return {
        "object": "model",
        **_UNSAID,
        "canonical_slug": model.model_id,
        **orjson.loads(model.document),
        "links": {"details": f"/v1/models/{model.model_id}/endpoints"},
        **_priced(model.price, model.image_price, rate, terms),
    }


def endpoint_document(endpoint: Endpoint, rate: ExchangeRate, terms: PriceTerms) -> dict[str, Any]:
    """What the upstream says of one who serves a model, at our prices."""
    return {
        **orjson.loads(endpoint.document),
        **_priced(endpoint.price, endpoint.image_price, rate, terms),
    }


def _priced(
    price: ModelPrice, image_price: ImagePrice | None, rate: ExchangeRate, terms: PriceTerms
) -> dict[str, Any]:
    usd = {
        "prompt": price.prompt_pusd,
        "completion": price.completion_pusd,
        "request": price.request_pusd,
        "input_cache_write": price.cache_write_pusd,
        "internal_reasoning": price.reasoning_pusd,
    }
    said = {name: pusd for name, pusd in usd.items() if pusd or name in _ALWAYS}
    if image_price is not None:
        said |= {"image": image_price.image_pusd, "image_token": image_price.token_pusd}
    return {
        "pricing": {name: usd_text(unit_price_pusd(pusd, terms)) for name, pusd in said.items()},
        "cobot": {
            f"{name}_msat_per_million": int(unit_price_msat_text(pusd, rate, terms))
            for name, pusd in said.items()
        },
    }


def endpoints_document(
    model: Model, row: dict[str, Any], served: list[dict[str, Any]]
) -> dict[str, Any]:
    """The model with who serves it, or where nobody says so with one endpoint, which is ours."""
    architecture = row.get("architecture")
    ours = _our_endpoint(model, row)
    return {
        "id": model.model_id,
        "name": ours["model_name"],
        "created": row.get("created") or 0,
        "description": row.get("description") or "",
        "architecture": {
            **_UNKNOWN_ARCHITECTURE,
            **(architecture if isinstance(architecture, dict) else {}),
        },
        "endpoints": [{**ours, **said} for said in served] or [ours],
    }


def _our_endpoint(model: Model, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"{PROVIDER} | {model.model_id}",
        "model_id": model.model_id,
        "model_name": row.get("name") or model.model_id,
        "provider_name": PROVIDER,
        "tag": TAG,
        "quantization": None,
        "service_tier": None,
        "context_length": model.context_length,
        "max_completion_tokens": model.max_completion_tokens,
        "max_prompt_tokens": None,
        "pricing": row["pricing"],
        "supported_parameters": row["supported_parameters"],
        "native_tools": {},
        "supports_tool_choice": dict.fromkeys(
            ("auto", "function", "none", "required"), "tools" in row["supported_parameters"]
        ),
        "supports_implicit_caching": False,
        "supports_diarization": False,
        "status": 0,
        **dict.fromkeys(_UNMEASURED),
        "cobot": row["cobot"],
    }


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
        """One model on offer, at OpenAI's path: its members at the top, OpenRouter's under `data`.

        Raises ModelNotOffered, DependencyFault, RateStale.
        """
        model, rate = self._named(request.path, before=f"{MODELS_PATH}/", after="")
        row = model_document(model, rate, self._parts.price_terms)
        return json_answer(OK, {**_openai_members(row), "data": row}, (_CACHED,))

    async def count(self, _request: HttpRequest) -> PlainAnswer:
        """How many models are on offer. Raises DependencyFault before the first list."""
        self._refreshed_at_ms()
        count = len(self._models()) + len(self._parts.catalogue.named_by_tier())
        return json_answer(OK, {"data": {"count": count}}, (_CACHED,))

    async def endpoints(self, request: HttpRequest) -> PlainAnswer:
        """Who may serve one model, at our prices.

        Raises ModelNotOffered, DependencyFault, RateStale.
        """
        model, rate = self._named(request.path, before="/v1/models/", after="/endpoints")
        terms = self._parts.price_terms
        row = model_document(model, rate, terms)
        served = () if is_virtual(model.model_id) else await self._endpoints(model)
        rows = [endpoint_document(endpoint, rate, terms) for endpoint in served]
        return json_answer(OK, {"data": endpoints_document(model, row, rows)}, (_CACHED,))

    def _rows(self, rate: ExchangeRate) -> list[dict[str, Any]]:
        """Every model on offer, and the names of tiers at the prices of whom they stand for."""
        terms = self._parts.price_terms
        rows = [model_document(model, rate, terms) for model in self._models()]
        return rows + [
            _renamed(name, model_document(model, rate, terms))
            for name, model in self._parts.catalogue.named_by_tier()
        ]

    async def _endpoints(self, model: Model) -> tuple[Endpoint, ...]:
        return await self._parts.catalogue.endpoints.of(model)

    def _named(self, path: str, *, before: str, after: str) -> tuple[Model, ExchangeRate]:
        model_id = path.removeprefix(before).removesuffix(after)
        rate = self._parts.rates.shown()
        if is_virtual(model_id):
            virtual = {one.model_id: one for one in self._parts.route_request.virtual_models()}
            if model_id in virtual:
                return virtual[model_id], rate
        return self._parts.catalogue.offered(model_id), rate

    def _models(self) -> tuple[Model, ...]:
        """Everything on offer, and the names under which this service chooses among it."""
        parts = self._parts
        return (*parts.catalogue.models(), *parts.route_request.virtual_models())

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
        terms, rows = self._parts.price_terms, self._rows(rate)
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


def _renamed(name: str, row: dict[str, Any]) -> dict[str, Any]:
    links = {"details": f"{MODELS_PATH}/{name}/endpoints"}
    return {**row, "id": name, "canonical_slug": name, "name": name, "links": links}


def _openai_members(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "object": "model",
        "created": row.get("created") or 0,
        "owned_by": str(row["id"]).partition("/")[0],
    }
