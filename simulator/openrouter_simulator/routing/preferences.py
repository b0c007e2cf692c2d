"""`provider` of a chat request: which endpoints may answer, and in which order.

Must not know: outages, faults or money.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from openrouter_simulator.error_answers import ErrorAnswer, OrderRefused, refused
from openrouter_simulator.routing.endpoints import FLEX, PRIORITY, Endpoint
from openrouter_simulator.routing.models import SimulatedModel
from openrouter_simulator.routing.prices import Prices, price_from

_PER_MILLION = 1_000_000
_CAPS = ("prompt", "completion", "request", "image", "audio")
_SORTS = ("price", "throughput", "latency", "exacto")
_TIERS_ASKED = {"fast": PRIORITY, "priority": PRIORITY, "flex": FLEX}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What the caller wants of a provider. `caps` are USD per million tokens, request, image."""

    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    quantizations: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    require_parameters: bool = False
    deny_training: bool = False
    zdr: bool = False
    sort: str = ""
    tier: str = ""
    variant: str = ""
    caps: Mapping[str, Decimal] = field(default_factory=dict)


def preferences_from(provider: object, *, variant: str, service_tier: str) -> Preferences:
    """Read the `provider` object. Raises OrderRefused for what contradicts or makes no sense."""
    asked = provider if isinstance(provider, dict) else {}
    sort = asked.get("sort")
    sort = sort.get("by") if isinstance(sort, dict) else sort
    if sort is not None and sort not in _SORTS:
        raise refused(400, f"provider.sort must be one of {', '.join(_SORTS)}")
    if asked.get("data_collection") not in (None, "allow", "deny"):
        raise refused(400, "provider.data_collection must be allow or deny")
    return Preferences(
        order=_names(asked, "order"),
        only=_names(asked, "only"),
        ignore=_names(asked, "ignore"),
        quantizations=_names(asked, "quantizations"),
        allow_fallbacks=asked.get("allow_fallbacks") is not False,
        require_parameters=asked.get("require_parameters") is True,
        deny_training=asked.get("data_collection") == "deny",
        zdr=asked.get("zdr") is True,
        sort=sort or {"floor": "price", "nitro": "throughput"}.get(variant, ""),
        tier=_TIERS_ASKED.get(service_tier, ""),
        variant=variant,
        caps=_caps(asked.get("max_price")),
    )


def allowed(
    endpoints: Iterable[Endpoint], wanted: Preferences, *, parameters: frozenset[str]
) -> list[Endpoint]:
    """The endpoints that may answer, best first. Raises OrderRefused when there is none."""
    every = [endpoint for endpoint in endpoints if _in_tier(endpoint, wanted)]
    named = [one for one in every if not wanted.only or one.named(wanted.only)]
    named = [one for one in named if not one.named(wanted.ignore)]
    if not named:
        raise refused(
            404,
            "No allowed providers are available for the selected model.",
            available_providers=sorted({one.host.slug for one in every}),
            requested_providers=[*wanted.only],
        )
    private = [one for one in named if not (wanted.deny_training and one.host.trains)]
    private = [one for one in private if one.host.keeps_nothing or not wanted.zdr]
    if not private:
        raise refused(404, "No endpoints found matching your data policy (Zero data retention)")
    fitting = [one for one in private if _fits(one, wanted, parameters)]
    if not fitting:
        raise refused(404, "No endpoints found that can handle the requested parameters.")
    return _sorted(fitting, wanted)


def over_the_caps(prices: Prices, caps: Mapping[str, Decimal]) -> str:
    """The name of the first price over its cap; `provider.max_price` is a hard filter."""
    for name, cap in caps.items():
        price = getattr(prices, name, None)
        unit = _PER_MILLION if name in ("prompt", "completion") else 1
        if price is not None and price * unit > cap:
            return name
    return ""


def constraint_filtered(model: SimulatedModel, name: str) -> OrderRefused:
    """The refusal when no endpoint is at or under this cap."""
    return OrderRefused(
        ErrorAnswer(
            status=404,
            message="No endpoints found that satisfy the max_price constraint.",
            availability={
                "code": "constraint_filtered",
                "retryable": False,
                "requested_models": [model.model_id],
                "constraint": {"field": f"provider.max_price.{name}"},
            },
        )
    )


def _in_tier(endpoint: Endpoint, wanted: Preferences) -> bool:
    """Tiers run only for those who ask: by service_tier, by variant, or by tag."""
    if wanted.tier:
        return endpoint.tier == wanted.tier
    admitted = {"nitro": PRIORITY, "floor": FLEX}.get(wanted.variant)
    by_tag = endpoint.tag in wanted.order or endpoint.tag in wanted.only
    return not endpoint.tier or endpoint.tier == admitted or by_tag


def _fits(endpoint: Endpoint, wanted: Preferences, parameters: frozenset[str]) -> bool:
    if wanted.quantizations and endpoint.host.quantization not in wanted.quantizations:
        return False
    return not wanted.require_parameters or parameters <= {*endpoint.parameters}


def _sorted(endpoints: list[Endpoint], wanted: Preferences) -> list[Endpoint]:
    ranks: Mapping[str, Callable[[Endpoint], Decimal]] = {
        "price": lambda one: one.factor,
        "throughput": lambda one: Decimal(-_pace(one)),
        "latency": lambda one: Decimal(one.host.delay_ms),
    }
    if wanted.sort in ranks:
        endpoints = sorted(endpoints, key=ranks[wanted.sort])
    if wanted.order:
        endpoints = sorted(endpoints, key=lambda one: _place(one, wanted.order))
        if not wanted.allow_fallbacks:
            return [one for one in endpoints if one.named(wanted.order)] or endpoints[:1]
    return endpoints if wanted.allow_fallbacks else endpoints[:1]


def _pace(endpoint: Endpoint) -> int:
    return endpoint.host.pace * (2 if endpoint.tier == PRIORITY else 1)


def _place(endpoint: Endpoint, order: tuple[str, ...]) -> int:
    places = (place for place, name in enumerate(order) if endpoint.named([name]))
    return next(places, len(order))


def _caps(asked: object) -> Mapping[str, Decimal]:
    if asked is None:
        return {}
    if not isinstance(asked, dict):
        raise refused(400, "provider.max_price must be an object")
    try:
        return {name: price_from(asked[name]) for name in _CAPS if name in asked}
    except ValueError:
        raise refused(400, "provider.max_price must hold numbers of at least 0") from None


def _names(asked: Mapping[str, object], field_name: str) -> tuple[str, ...]:
    names = asked.get(field_name)
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise refused(400, f"provider.{field_name} must be a list of names")
    return tuple(names)
