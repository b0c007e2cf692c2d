"""A model as callers read it, in OpenRouter's shapes: the upstream's words, our prices.

Must not know: requests, or which models are on offer.
"""

from __future__ import annotations

from typing import Any

import orjson

from service.domain.completions import Model
from service.domain.endpoints import Endpoint
from service.domain.money import ExchangeRate, usd_text
from service.domain.pricing import (
    ImagePrice,
    ModelPrice,
    PriceTerms,
    unit_price_msat_text,
    unit_price_pusd,
)

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
