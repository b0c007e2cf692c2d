"""The `usage` object of an answer: what is *said* of a bill, noise, faults and all.

What is said is a double with the noise doubles have, because that is what OpenRouter says. Must
not know: what is charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import orjson

from openrouter_simulator.book.bills import Bill

ABSURD = "987654321.0"
OVERFLOWING = "1e400"
NOT_A_NUMBER = "NaN"
_MORE_REASONING = 3
_SAYS_NO_COST = frozenset({"zero_cost", "zero_cost_confirmed"})
_SAYS_NOTHING = frozenset({"zero_usage", "response_cache_hit"})
_RAW_COSTS: Mapping[str, str] = {
    "absurd_cost": ABSURD,
    "cost_1e400": OVERFLOWING,
    "cost_nan": NOT_A_NUMBER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Tokens and costs that are told. `beside_usd` is of other generations of the request."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    bill: Bill
    beside_usd: Decimal
    searches: bool


def usage_object(told: Told, faults: frozenset[str]) -> dict[str, object] | None:
    """The `usage` as these faults distort it; None is said as null."""
    if "usage_null" in faults:
        return None
    if faults & _SAYS_NOTHING:
        return _object(prompt=0, completion=0, reasoning=0, cached=(0, 0), costs=(0.0, 0.0, 0.0))
    bill = told.bill
    more = "reasoning_over_completion" in faults
    usage = _object(
        prompt=told.prompt_tokens,
        completion=told.completion_tokens,
        reasoning=told.completion_tokens + _MORE_REASONING if more else told.reasoning_tokens,
        cached=(bill.cached, bill.cache_written),
        costs=(float(bill.prompt), float(bill.completion), float(bill.tools + told.beside_usd)),
    )
    if told.searches:
        usage.pop("is_byok")
        usage["server_tool_use_details"] = {"web_search_requests": 1}
    if bill.own_key:
        usage.update(cost=0, is_byok=True)
    _distort(usage, bill, faults)
    return usage


def scientific(amount: Decimal) -> str:
    """An amount with an exponent: `1.02e-4`."""
    mantissa, _, exponent = f"{amount:e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def _distort(usage: dict[str, object], bill: Bill, faults: frozenset[str]) -> None:
    if faults & _SAYS_NO_COST:
        usage["cost"] = 0
        usage.pop("cost_details")
    for name in faults & _RAW_COSTS.keys():
        usage["cost"] = orjson.Fragment(_RAW_COSTS[name])
    if "no_cost" in faults:
        usage.pop("cost")
    elif "negative_cost" in faults:
        usage["cost"] = orjson.Fragment(repr(-float(bill.exact)))
    elif "cost_scientific" in faults:
        usage["cost"] = orjson.Fragment(scientific(bill.exact))
    elif "cost_as_text" in faults:
        usage["cost"] = format(bill.exact, "f")


def _object(
    *,
    prompt: int,
    completion: int,
    reasoning: int,
    cached: tuple[int, int],
    costs: tuple[float, float, float],
) -> dict[str, object]:
    prompt_cost, completion_cost, beside = costs
    parts = prompt_cost + completion_cost
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "cost": _double(parts + beside),
        "is_byok": False,
        "prompt_tokens_details": {
            "cached_tokens": cached[0],
            "cache_write_tokens": cached[1],
            "audio_tokens": 0,
            "video_tokens": 0,
        },
        "cost_details": {
            "upstream_inference_cost": _double(parts),
            "upstream_inference_prompt_cost": _double(prompt_cost),
            "upstream_inference_completions_cost": _double(completion_cost),
        },
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "image_tokens": 0,
            "audio_tokens": 0,
        },
    }


def _double(value: float) -> orjson.Fragment:
    """A double as JavaScript and Python write it: noise and exponents included."""
    return orjson.Fragment(repr(value) if value else "0")
