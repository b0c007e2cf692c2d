"""What the account says when asked: one generation, the key, the credits.

Must not know: HTTP. Amounts stay Decimals and are written as JSON numbers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from service.simulator.account import Account
from service.simulator.credit_book import Generation

_MS_PER_S = 1_000
_TOKENS_NORMALISED = 10  # tokens_* are other counts than native_tokens_*: about a tenth less


def generation_document(generation: Generation) -> dict[str, object]:
    """The body of `GET /generation`, with the keys recorded answers have."""
    upstream_id = f"chatcmpl-{generation.generation_id[-20:]}"
    data: dict[str, object] = {
        "id": generation.recorded_id,
        "created_at": _iso(generation.created_at_ms),
        "model": generation.slug,
        "app_id": None,
        "external_user": generation.user,
        "streamed": generation.streamed,
        "cancelled": generation.cancelled,
        "latency": 0,
        "moderation_latency": None,
        "generation_time": 0,
        "tokens_prompt": _normalised(generation.native_prompt),
        "tokens_completion": _normalised(generation.native_completion),
        "native_tokens_prompt": generation.native_prompt,
        "native_tokens_completion": generation.native_completion,
        "native_tokens_completion_images": None,
        "native_tokens_reasoning": 0,
        "native_tokens_cached": generation.native_cached,
        "num_media_prompt": None,
        "num_input_audio_prompt": None,
        "num_media_completion": 0,
        "num_search_results": None,
        "origin": "",
        "is_byok": generation.is_byok,
        "finish_reason": generation.finish_reason,
        "native_finish_reason": generation.finish_reason,
        "usage": generation.total_cost,
        "router": None,
        "provider_responses": [
            {
                "endpoint_id": "9cf05ded-eefe-41b4-8c08-0c6460feffea",
                "id": upstream_id,
                "is_byok": generation.is_byok,
                "latency": 0,
                "model_permaslug": generation.slug,
                "provider_name": generation.provider,
                "status": 200,
            }
        ],
        "api_type": "completions",
        "upstream_id": upstream_id,
        "total_cost": generation.total_cost,
        "cache_discount": None,
        "upstream_inference_cost": generation.upstream_inference_cost,
        "provider_name": generation.provider,
    }
    return {"data": data}


def key_document(account: Account) -> dict[str, object]:
    """The body of `GET /key`: what this key has spent."""
    spent = account.book.spent_usd
    byok = sum((g.upstream_inference_cost for g in account.book.generations), Decimal(0))
    data: dict[str, object] = {
        "label": "sk-or-v1-sim...ulator",
        "limit": None,
        "limit_remaining": None,
        "limit_reset": None,
        "include_byok_in_limit": False,
        "is_free_tier": False,
        "is_management_key": False,
        "expires_at": None,
        "rate_limit": {"requests": -1, "interval": "10s"},
    }
    for period in ("", "_daily", "_weekly", "_monthly"):
        data[f"usage{period}"] = spent
        data[f"byok_usage{period}"] = byok
    return {"data": data}


def credits_document(account: Account) -> dict[str, object]:
    """The body of `GET /credits`, for management keys."""
    book = account.book
    return {"data": {"total_credits": book.credit_usd, "total_usage": book.spent_usd}}


def _normalised(native: int) -> int:
    return native - native // _TOKENS_NORMALISED


def _iso(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / _MS_PER_S, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
