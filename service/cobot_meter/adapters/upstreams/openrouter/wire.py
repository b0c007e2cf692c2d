"""OpenRouter's JSON, one way and the other: the request body, the cost record, the key's usage.

Must not know: sockets or statuses. Sources: OpenRouter's OpenAPI document and recorded traffic.
"""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256

import orjson

from cobot_meter.adapters.upstreams.answer_stream import Dialect
from cobot_meter.adapters.upstreams.exact_json import amount, checked_amount, exact_loads
from cobot_meter.adapters.upstreams.openrouter.cancelling import (
    only_those,
    served_by_one_that_stops,
)
from cobot_meter.adapters.upstreams.openrouter.taxonomy import ERRORS
from cobot_meter.domain import outside
from cobot_meter.domain.errors import CostNotYetKnown, RequestInvalid, UpstreamUnreachable
from cobot_meter.domain.money import TOTAL_MAX, pusd_from_decimal, usd_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.accounts import UpstreamAccount
from cobot_meter.domain.upstream.completions import GenerationCost, UpstreamCall

_TOKENS_PER_PRICE = 1_000_000
_RESET_CHARS_MAX = 20

# Fields that would change who answers or what it costs after the price was quoted, and fields
# whose place is taken by ours.
_NOT_FORWARDED = (
    "max_completion_tokens",
    "max_tokens",
    "models",
    "plugins",
    "preset",
    "route",
    "stream_options",
    "transforms",
    "usage",
    "user",
)
_MAX_TOKENS = "max_tokens"
# Parameters of models, as lists name them, without which an answer is still an answer.
_WISHES = frozenset(
    {
        "frequency_penalty",
        "include_reasoning",
        "logit_bias",
        "logprobs",
        "min_p",
        "parallel_tool_calls",
        "presence_penalty",
        "reasoning",
        "reasoning_effort",
        "repetition_penalty",
        "seed",
        "stop",
        "structured_outputs",
        "temperature",
        "tool_choice",
        "top_a",
        "top_k",
        "top_logprobs",
        "top_p",
        "verbosity",
    }
)
# Compression is on by default for small contexts and would cut a prompt that was paid for.
_PLUGINS = [{"id": "context-compression", "enabled": False}]


def request_body(
    call: UpstreamCall,
    *,
    price_cap: ModelPrice,
    deny_training: bool,
    parameters: frozenset[str] | None = None,
) -> bytes:
    """The caller's JSON object with our own fields over it: always streamed, always capped.

    `parameters` are those that the model lists, None when it lists none: what it does not take is
    left out, and its limit has the name that it knows. All that is left is then required of the
    provider, so that none is asked who would pass over the limit.

    Takes the body: one copy of it is enough while the upstream thinks.

    Raises RequestInvalid when the body is not a JSON object.
    """
    document = _json_object(call.body.take())
    for name in _NOT_FORWARDED:
        document.pop(name, None)
    document["model"] = call.model
    document["stream"] = True
    _leave_out(document, parameters)
    document[_limit_name(parameters)] = call.max_tokens
    provider = _provider(document.get("provider"), price_cap, deny_training=deny_training)
    if call.stoppable:
        only = provider.get("only")
        provider["only"] = only_those(only if isinstance(only, list) else ())
    document["provider"] = provider
    document["plugins"] = _PLUGINS
    if call.caller_tag:
        document["user"] = call.caller_tag
    # A copy of its own length: orjson's buffer has up to twice as much, for as long as a run takes.
    return bytes(memoryview(orjson.dumps(document)))


def _leave_out(document: dict[str, object], parameters: frozenset[str] | None) -> None:
    """Wishes that the model does not take; what it must take was refused before it came here."""
    if parameters is None:
        return
    if document.get("tool_choice") == "none" and "tool_choice" not in parameters:
        document.pop("tools", None)
    for name in _WISHES - parameters:
        document.pop(name, None)


def _limit_name(parameters: frozenset[str] | None) -> str:
    listed = parameters or frozenset()
    newer = "max_completion_tokens"
    return newer if newer in listed and _MAX_TOKENS not in listed else _MAX_TOKENS


def generation_cost_from(body: bytes, generation_id: str) -> GenerationCost:
    """The record of `GET /generation`. Raises CostNotYetKnown when it says no usable cost.

    A record of another generation is an anomaly and never billed. With a provider key of our own
    (BYOK) the true cost is what OpenRouter charged and what the provider did.
    """
    data = _data(body)
    if data is None or data.get("id") != generation_id:
        raise CostNotYetKnown(f"the upstream's answer is not the record of {generation_id}")
    total = _true_cost(data.get("total_cost"), data.get("upstream_inference_cost"), data)
    if total is None:
        raise CostNotYetKnown(f"the record of {generation_id} says no cost yet")
    return GenerationCost(
        generation_id=generation_id,
        total_cost=total,
        cost_pusd=pusd_from_decimal(Decimal(total)),
        provider=outside.maybe_text(data.get("provider_name")),
        model=outside.maybe_text(data.get("model")),
        record_sha256=sha256(body).hexdigest(),
    )


def inline_cost_from(usage: dict[str, object]) -> str | None:
    """The text of `usage.cost`, None when it is not said or is no amount (BYOK: both parts)."""
    details = usage.get("cost_details")
    inference = details.get("upstream_inference_cost") if isinstance(details, dict) else None
    return _true_cost(usage.get("cost"), inference, usage)


def key_usage_pusd(body: bytes) -> int:
    """What `GET /key` says this key has spent. Raises UpstreamUnreachable when it says nothing."""
    data = _data(body) or {}
    spent = amount(data.get("usage"), most=TOTAL_MAX)
    if spent is None:
        raise UpstreamUnreachable("the upstream does not say what our key has spent")
    own_keys = amount(data.get("byok_usage"), most=TOTAL_MAX) or Decimal(0)
    return pusd_from_decimal(spent + own_keys, most=2 * TOTAL_MAX)


def account_from(key: bytes, credit: bytes | None) -> UpstreamAccount:
    """What `GET /key` says, and `GET /credits` when it may be read. Raises UpstreamUnreachable."""
    data, totals = _data(key) or {}, _data(credit or b"") or {}
    bought = amount(totals.get("total_credits"), most=TOTAL_MAX)
    used = amount(totals.get("total_usage"), most=TOTAL_MAX)
    reset = data.get("limit_reset")
    return UpstreamAccount(
        usage_pusd=key_usage_pusd(key),
        usage_daily_pusd=_pusd_or_none(data.get("usage_daily")),
        limit_pusd=_pusd_or_none(data.get("limit")),
        limit_remaining_pusd=_pusd_or_none(data.get("limit_remaining")),
        limit_reset=outside.maybe_text(reset, most=_RESET_CHARS_MAX) or None,
        credit_left_pusd=None
        if bought is None or used is None
        else pusd_from_decimal(bought, most=TOTAL_MAX) - pusd_from_decimal(used, most=TOTAL_MAX),
    )


def _pusd_or_none(value: object) -> int | None:
    """An amount that is said, at most as it stands: below zero nothing is left."""
    said = amount(value, most=TOTAL_MAX)
    if said is not None:
        return pusd_from_decimal(said, most=TOTAL_MAX)
    return 0 if isinstance(value, str) and value.startswith("-") else None


def _json_object(body: bytes) -> dict[str, object]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise RequestInvalid("the request body must be a JSON object")
    return document


def _provider(asked: object, cap: ModelPrice, *, deny_training: bool) -> dict[str, object]:
    provider = dict(asked) if isinstance(asked, dict) else {}
    quoted = {
        "prompt": usd_text(cap.prompt_pusd * _TOKENS_PER_PRICE),
        "completion": usd_text(cap.completion_pusd * _TOKENS_PER_PRICE),
        "request": usd_text(cap.request_pusd),
    }
    wanted = _prices(provider.get("max_price"))
    provider["max_price"] = {
        name: orjson.Fragment(_lower(quoted.get(name), wanted.get(name)))
        for name in quoted | wanted
    }
    provider["require_parameters"] = True
    if deny_training:
        provider["data_collection"] = "deny"
    return provider


def _prices(asked: object) -> dict[str, str]:
    """What the caller wants at most, in USD as numbers are written."""
    said = asked if isinstance(asked, dict) else {}
    texts = {name: str(price) for name, price in said.items()}
    return {name: text for name, text in texts.items() if checked_amount(text) is not None}


def _lower(quoted: str | None, wanted: str | None) -> str:
    """The lower of the two, or the one that is said."""
    if quoted is None or wanted is None:
        return quoted or wanted or "0"
    return wanted if Decimal(wanted) < Decimal(quoted) else quoted


def _data(body: bytes) -> dict[str, object] | None:
    try:
        document = exact_loads(body)
    except ValueError:
        return None
    data = document.get("data") if isinstance(document, dict) else None
    return data if isinstance(data, dict) else None


def _true_cost(charged: object, inference: object, said_by: dict[str, object]) -> str | None:
    cost = amount(charged)
    if cost is None:
        return None
    if said_by.get("is_byok") is not True:
        return str(charged)
    own_key = amount(inference)
    if own_key is None:
        return None
    both = format(cost + own_key, "f")
    return None if checked_amount(both) is None else both


DIALECT = Dialect(inline_cost_from, ERRORS, stops=served_by_one_that_stops)
