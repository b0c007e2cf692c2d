"""GET /v1/models: OpenRouter's list with our prices in it.

The list is written once per catalogue and rate, and sent as it lies. Must not know: callers.
"""

from __future__ import annotations

from typing import Any

import orjson

from service.domain.completions import Model
from service.domain.errors import DependencyFault
from service.domain.money import ExchangeRate, btc_usd_text, usd_text
from service.domain.pricing import PriceTerms, unit_price_msat_text, unit_price_pusd
from service.http_api.asgi_io import HttpRequest
from service.http_api.face_parts import FaceParts
from service.http_api.plain_answers import Header, PlainAnswer, json_answer

MODELS_PATH = "/v1/models"
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

    async def models(self, _request: HttpRequest) -> PlainAnswer:
        """Everything on offer. Raises DependencyFault before the first list, RateStale."""
        refreshed_at_ms = self._parts.catalogue.refreshed_at_ms
        if refreshed_at_ms is None:
            message = "The upstream's price list is not here yet; try again in a moment."
            raise DependencyFault(message, retry_after_s=5)
        rate = self._parts.rates.shown()
        key = (refreshed_at_ms, rate.usd_micro_per_btc, rate.source)
        if self._answer is None or key != self._key:
            self._answer = self._written(rate)
            self._key = key
        return self._answer

    def _written(self, rate: ExchangeRate) -> PlainAnswer:
        terms = self._parts.price_terms
        rows = [_row(model, rate, terms) for model in self._parts.catalogue.models()]
        document = {
            "object": "list",
            "data": rows,
            "total_count": len(rows),
            "cobot": {
                "credit_fee_bps": terms.credit_fee_bps,
                "markup_bps": terms.markup_bps,
                "rate": {"btc_usd": btc_usd_text(rate), "source": rate.source},
            },
        }
        return json_answer(OK, document, (_CACHED,))


def _row(model: Model, rate: ExchangeRate, terms: PriceTerms) -> dict[str, Any]:
    document = orjson.loads(model.document)
    price = model.price
    usd = {
        "prompt": price.prompt_pusd,
        "completion": price.completion_pusd,
        "request": price.request_pusd,
        "input_cache_write": price.cache_write_pusd,
        "internal_reasoning": price.reasoning_pusd,
    }
    always = ("prompt", "completion", "request")
    return {
        "object": "model",
        **document,
        "pricing": {
            name: usd_text(unit_price_pusd(unit_pusd, terms))
            for name, unit_pusd in usd.items()
            if unit_pusd or name in always
        },
        "cobot": {
            f"{name}_msat_per_million": int(unit_price_msat_text(unit_pusd, rate, terms))
            for name, unit_pusd in usd.items()
            if unit_pusd or name in always
        },
    }
