"""A model as callers read it, in OpenRouter's shapes: the upstream's words, our prices.

Must not know: requests, or which models are on offer.
"""

from __future__ import annotations

from typing import Any

import orjson

from service.domain.completions import Model
from service.domain.money import ExchangeRate, usd_text
from service.domain.pricing import PriceTerms, unit_price_msat_text, unit_price_pusd

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
    price = model.price
    usd = {
        "prompt": price.prompt_pusd,
        "completion": price.completion_pusd,
        "request": price.request_pusd,
        "input_cache_write": price.cache_write_pusd,
        "internal_reasoning": price.reasoning_pusd,
    }
    said = {name: pusd for name, pusd in usd.items() if pusd or name in _ALWAYS}
    if model.image_price is not None:
        said |= {"image": model.image_price.image_pusd, "image_token": model.image_price.token_pusd}
    return {
        "object": "model",
        **_UNSAID,
        "canonical_slug": model.model_id,
        **orjson.loads(model.document),
        "links": {"details": f"/v1/models/{model.model_id}/endpoints"},
        "pricing": {name: usd_text(unit_price_pusd(pusd, terms)) for name, pusd in said.items()},
        "cobot": {
            f"{name}_msat_per_million": int(unit_price_msat_text(pusd, rate, terms))
            for name, pusd in said.items()
        },
    }


def endpoints_document(model: Model, row: dict[str, Any]) -> dict[str, Any]:
    """The model with its one endpoint, which is ours: whoever serves it, it costs no more."""
    name = row.get("name") or model.model_id
    architecture = row.get("architecture")
    return {
        "id": model.model_id,
        "name": name,
        "created": row.get("created") or 0,
        "description": row.get("description") or "",
        "architecture": {
            **_UNKNOWN_ARCHITECTURE,
            **(architecture if isinstance(architecture, dict) else {}),
        },
        "endpoints": [
            {
                "name": f"{PROVIDER} | {model.model_id}",
                "model_id": model.model_id,
                "model_name": name,
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
                    ("auto", "function", "none", "required"),
                    "tools" in row["supported_parameters"],
                ),
                "supports_implicit_caching": False,
                "supports_diarization": False,
                "status": 0,
                **dict.fromkeys(_UNMEASURED),
                "cobot": row["cobot"],
            }
        ],
    }
