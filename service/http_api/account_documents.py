"""What callers read of their own account and generations, in OpenRouter's shapes.

Must not know: who may read it, or requests.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson

from service.domain.callers import CallerStanding, CapTerms
from service.domain.escrow_record import Escrow
from service.domain.money import ExchangeRate, pusd_from_msat, usd_text
from service.flows.caller_usage import PeriodUsage
from service.http_api.completion_view import charged_usd, cobot_document
from service.http_api.escrow_documents import rate_document

_LABEL_CHARS = 16
# OpenRouter's words for what its own document calls deprecated.
_RATE_LIMIT = {"requests": -1, "interval": "10s", "note": "This field is deprecated."}
# What OpenRouter says of a generation and nobody here knows, or nobody else may.
_UNTOLD = (
    "upstream_inference_cost",
    "cache_discount",
    "native_tokens_completion_images",
    "native_tokens_reasoning",
    "native_tokens_cached",
    "num_media_prompt",
    "num_media_completion",
    "num_input_audio_prompt",
    "num_search_results",
    "num_fetches",
    "latency",
    "generation_time",
    "moderation_latency",
    "provider_responses",
    "router",
    "service_tier",
    "web_search_engine",
    "preset_id",
    "app_id",
    "http_referer",
    "user_agent",
    "external_user",
    "upstream_id",
    "workspace_id",
    "request_id",
    "session_id",
    "response_cache_source_id",
)


def generation_document(escrow: Escrow) -> dict[str, Any]:
    """One escrow as OpenRouter's record; what we do not know of the run is null.

    `total_cost` and `usage` are the price charged; `cobot` splits it into cost, fee and rate.
    """
    run = escrow.run
    total = orjson.Fragment(charged_usd(escrow))
    created = dt.datetime.fromtimestamp(escrow.opened_at_ms // 1_000, tz=dt.UTC)
    prompt, completion = (run.prompt_tokens, run.completion_tokens) if run else (0, 0)
    finish_reason = run.finish_reason if run else None
    return {
        **dict.fromkeys(_UNTOLD),
        "id": escrow.generation_id,
        "created_at": created.isoformat(timespec="seconds"),
        "model": (escrow.cost.model if escrow.cost else "") or escrow.quote.model,
        "total_cost": total,
        "usage": total,
        "is_byok": False,
        "streamed": escrow.stream,
        "cancelled": False,
        "finish_reason": finish_reason,
        "native_finish_reason": finish_reason,
        "tokens_prompt": prompt,
        "tokens_completion": completion,
        "native_tokens_prompt": prompt,
        "native_tokens_completion": completion,
        "provider_name": (escrow.cost.provider or None) if escrow.cost else None,
        "api_type": "completions",
        "data_region": "global",
        "origin": "",
        "cobot": {**cobot_document(escrow), "state": escrow.state.value},
    }


def key_document(
    standing: CallerStanding, used: PeriodUsage, rate: ExchangeRate, terms: CapTerms
) -> dict[str, Any]:
    """The caller's own credential as OpenRouter's key, amounts in USD at the last known rate.

    `limit` is what may be open and unpaid, not what may be spent: paying makes room again.
    """
    cap_msat = standing.cap_msat(terms)
    free_msat = max(cap_msat - standing.open_msat, 0)
    usage_msat = standing.spent_credit_msat + standing.settled_msat
    return {
        "label": f"{standing.caller_id[:_LABEL_CHARS]}...",
        "limit": _usd(cap_msat, rate),
        "limit_remaining": _usd(free_msat, rate),
        "limit_reset": None,
        "usage": _usd(usage_msat, rate),
        "usage_daily": _usd(used.daily_msat, rate),
        "usage_weekly": _usd(used.weekly_msat, rate),
        "usage_monthly": _usd(used.monthly_msat, rate),
        **dict.fromkeys(
            ("byok_usage", "byok_usage_daily", "byok_usage_weekly", "byok_usage_monthly"), 0
        ),
        "include_byok_in_limit": False,
        "is_free_tier": False,
        "is_management_key": False,
        "is_provisioning_key": False,
        "expires_at": None,
        "creator_user_id": None,
        "organization_id": None,
        "workspace_id": None,
        "allowed_data_regions": ["global"],
        "budgets": [],
        "effective_budget": None,
        "free_model_daily_requests": {"limit": 0, "remaining": 0, "used": 0},
        "rate_limit": _RATE_LIMIT,
        "cobot": {
            "caller_id": standing.caller_id,
            "cap_msat": cap_msat,
            "open_msat": standing.open_msat,
            "available_msat": standing.available_msat,
            "usage_msat": usage_msat,
            "usage_daily_msat": used.daily_msat,
            "usage_weekly_msat": used.weekly_msat,
            "usage_monthly_msat": used.monthly_msat,
            "rate": rate_document(rate),
        },
    }


def _usd(msat: int, rate: ExchangeRate) -> orjson.Fragment:
    return orjson.Fragment(usd_text(pusd_from_msat(msat, rate)))
