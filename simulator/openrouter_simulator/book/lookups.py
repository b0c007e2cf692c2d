"""What the account says of its generations: one record, and the days' activity.

Must not know: HTTP. Amounts stay Decimals and are written as JSON numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

import orjson

from openrouter_simulator.book.credit_book import MS_PER_DAY, Generation

_MS_PER_S = 1_000
_TOKENS_NORMALISED = 10  # tokens_* are other counts than native_tokens_*: about a tenth less
_ENDPOINT_ID = "9cf05ded-eefe-41b4-8c08-0c6460feffea"
_DAYS_TOLD = 30


def generation_document(generation: Generation) -> dict[str, object]:
    """The body of `GET /generation`, with the keys recorded answers have."""
    data = {**_counts(generation), **_amounts(generation)}
    data["provider_responses"] = [*_failed(generation), _answered(generation)]
    return {"data": data}


def activity_document(generations: Iterable[Generation], now_ms: int) -> dict[str, object]:
    """The body of `GET /activity`: the last 30 completed UTC days, by model and endpoint."""
    today = now_ms // MS_PER_DAY
    rows: dict[tuple[int, str, str], list[Generation]] = {}
    for generation in generations:
        if today - _DAYS_TOLD <= generation.day < today:
            key = (generation.day, generation.slug, generation.provider)
            rows.setdefault(key, []).append(generation)
    return {"data": [_activity(rows[key]) for key in sorted(rows, reverse=True)]}


def _activity(generations: list[Generation]) -> dict[str, object]:
    one = generations[0]
    zero = Decimal(0)
    return {
        "date": _iso(one.day * MS_PER_DAY)[:10],
        "model": one.model_id,
        "model_permaslug": one.slug,
        "endpoint_id": _ENDPOINT_ID,
        "provider_name": one.provider,
        "usage": sum((each.total_cost for each in generations), zero),
        "byok_usage_inference": sum((each.upstream_inference_cost for each in generations), zero),
        "requests": len(generations),
        "prompt_tokens": sum(each.native_prompt for each in generations),
        "completion_tokens": sum(each.native_completion for each in generations),
        "reasoning_tokens": sum(each.native_reasoning for each in generations),
    }


def _counts(generation: Generation) -> dict[str, object]:
    return {
        "id": generation.recorded_id,
        "request_id": generation.request_id or None,
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
        "native_tokens_reasoning": generation.native_reasoning,
        "native_tokens_cached": generation.native_cached,
        "num_media_prompt": None,
        "num_input_audio_prompt": None,
        "num_media_completion": 0,
        "num_search_results": generation.search_count,
        "origin": "",
        "is_byok": generation.is_byok,
        "finish_reason": generation.finish_reason,
        "native_finish_reason": generation.finish_reason,
        "router": None,
        "data_region": "global",
        "service_tier": None,
        "preset_id": None,
        "session_id": None,
        "workspace_id": None,
        "http_referer": None,
        "user_agent": None,
        "num_fetches": None,
        "web_search_engine": None,
        "api_type": "completions",
        "upstream_id": _upstream_id(generation),
        "response_cache_source_id": generation.source_id,
        "provider_name": generation.provider,
    }


def _amounts(generation: Generation) -> dict[str, object]:
    """What is said of the money; a fault may have it say anything."""
    amounts: dict[str, object] = {
        "usage": generation.total_cost,
        "total_cost": generation.total_cost,
        "cache_discount": generation.cache_discount,
        "upstream_inference_cost": generation.upstream_inference_cost,
    }
    if generation.said_cost:
        amounts["usage"] = amounts["total_cost"] = orjson.Fragment(generation.said_cost)
    elif generation.said_cost is not None:
        del amounts["usage"], amounts["total_cost"]
    return amounts


def _answered(generation: Generation) -> dict[str, object]:
    return {
        "endpoint_id": _ENDPOINT_ID,
        "id": _upstream_id(generation),
        "is_byok": generation.is_byok,
        "latency": 0,
        "model_permaslug": generation.slug,
        "provider_name": generation.provider,
        "status": 200,
    }


def _failed(generation: Generation) -> list[dict[str, object]]:
    """The providers that failed before one answered."""
    return [
        {
            "endpoint_id": _ENDPOINT_ID,
            "id": None,
            "is_byok": False,
            "latency": 0,
            "model_permaslug": tried.get("model", generation.slug),
            "provider_name": tried["provider"],
            "status": tried["status"],
        }
        for tried in generation.tried
    ]


def _upstream_id(generation: Generation) -> str:
    return f"chatcmpl-{generation.generation_id[-20:]}"


def _normalised(native: int) -> int:
    return native - native // _TOKENS_NORMALISED


def _iso(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / _MS_PER_S, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
