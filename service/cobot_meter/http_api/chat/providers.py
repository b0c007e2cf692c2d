"""Who may serve, as OpenRouter's `provider` object says it: only what narrows the choice.

Preferences that leave nobody are refused here, before anything is reserved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.upstream.endpoints import ProviderChoice
from cobot_meter.http_api.chat.fields import (
    Field,
    check_object,
    is_flag,
    is_positive,
    one_of,
    shown,
)

NAMES_MAX = 64
NAME_CHARS_MAX = 200


def _names(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= NAMES_MAX
        and all(isinstance(name, str) and len(name) <= NAME_CHARS_MAX for name in value)
    )


def _price(value: object) -> bool:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return False
    text = str(value)
    return len(text) <= PRICE_CHARS_MAX and bool(_PRICE.fullmatch(text))


def _most(value: object) -> bool:
    """A number, or one for each of OpenRouter's percentiles."""
    each = value if isinstance(value, dict) else {"p50": value}
    return each.keys() <= _PERCENTILES and all(map(is_positive, each.values()))


def _sort(value: object) -> bool:
    if isinstance(value, dict):
        return (
            value.keys() <= {"by", "partition"}
            and _SORTS(value.get("by"))
            and one_of("model", "none")(value.get("partition", "none"))
        )
    return _SORTS(value)


PRICE_CHARS_MAX = 40
_PRICE = re.compile(r"(0|[1-9]\d*)(\.\d+)?(e[+-]?[0-2]?\d)?", re.ASCII | re.IGNORECASE)
_PERCENTILES = frozenset({"p50", "p75", "p90", "p99"})
_SORTS = one_of("price", "throughput", "latency", "exacto")
_LIST_OF_NAMES = "a list of names"
_PRICED = ("prompt", "completion", "request", "image")

# OpenRouter's routing preferences that only narrow the choice; parameters are ours to demand.
PROVIDER_FIELDS: Mapping[str, Field] = {
    "order": Field(_names, _LIST_OF_NAMES),
    "only": Field(_names, _LIST_OF_NAMES),
    "ignore": Field(_names, _LIST_OF_NAMES),
    "quantizations": Field(_names, _LIST_OF_NAMES),
    "allow_fallbacks": Field(is_flag, "true or false"),
    "data_collection": Field(one_of("allow", "deny"), "allow or deny"),
    "zdr": Field(is_flag, "true or false"),
    "enforce_distillable_text": Field(is_flag, "true or false"),
    "sort": Field(_sort, "price, throughput, latency or exacto"),
    "preferred_max_latency": Field(_most, "a number of seconds"),
    "preferred_min_throughput": Field(_most, "a number of tokens a second"),
    # Where it is lower than what was quoted, it holds; where it is higher, the quote does.
    "max_price": Field(
        lambda value: (
            isinstance(value, dict)
            and value.keys() <= set(_PRICED)
            and all(map(_price, value.values()))
        ),
        f"USD for a million tokens (or for each), by {', '.join(_PRICED)}",
    ),
}


def check_provider(value: object) -> dict[str, Any]:
    """The preferences to forward. Raises RequestInvalid, also when they leave nobody."""
    provider = check_object("provider", value, PROVIDER_FIELDS)
    only, order = _lowered(provider, "only"), _lowered(provider, "order")
    ignored = set(_lowered(provider, "ignore"))
    if only and ignored.issuperset(only):
        raise _contradiction(
            "ignore", f"provider.ignore takes away all of provider.only, {shown(only)}"
        )
    if provider.get("allow_fallbacks") is not False:
        return provider
    if not order:
        return _without_order(provider, only)
    left = [name for name in order if name not in ignored and (not only or name in only)]
    if not left:
        raise _contradiction(
            "order",
            "provider.allow_fallbacks is false, and provider.only and provider.ignore leave "
            f"nobody of provider.order, {shown(order)}",
        )
    return provider


def provider_choice(provider: Mapping[str, Any]) -> ProviderChoice | None:
    """Whom the checked preferences name, None when nobody: then the listed price is the highest."""
    only, order = _lowered(provider, "only"), _lowered(provider, "order")
    if provider.get("allow_fallbacks") is False and order:
        only = [name for name in order if not only or name in only]
    if not only and not order:
        return None
    return ProviderChoice(
        only=tuple(only), preferred=tuple(order), ignored=tuple(_lowered(provider, "ignore"))
    )


def _without_order(provider: dict[str, Any], only: list[str]) -> dict[str, Any]:
    """Nobody is to be asked first and nobody after: said on purpose, or by mistake."""
    if "order" in provider and not only:
        raise _contradiction(
            "order", "provider.allow_fallbacks is false, and provider.order is empty"
        )
    return provider


def _lowered(provider: Mapping[str, Any], name: str) -> list[str]:
    names: list[str] = provider.get(name, [])
    return [each.lower() for each in names]


def _contradiction(field: str, what: str) -> RequestInvalid:
    message = f"Nobody could serve this: {what}; change one of them."
    return RequestInvalid(message, param=f"provider.{field}")
