"""OpenRouter's lists of models and of who serves them, with finite prices.

A price that is missing, negative or not a number leaves the model out: there is no default price,
ever. Time windows and long prompts (`overrides`) count as if they always held, so a ceiling made
from these prices is never too low.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from cobot_meter.adapters.upstreams.exact_json import checked_amount, plain_loads
from cobot_meter.adapters.upstreams.openrouter.cancelling import stops
from cobot_meter.domain import outside
from cobot_meter.domain.errors import UpstreamUnreachable
from cobot_meter.domain.money import pusd_from_decimal
from cobot_meter.domain.pricing.prices import ImagePrice, ModelPrice
from cobot_meter.domain.upstream.completions import Model, Reasoning
from cobot_meter.domain.upstream.endpoints import Endpoint

_PRICE_TEXT_MAX = 40
_ENDPOINTS_MAX = 200
ENDPOINTS_BYTES_MAX = 256 * 1_024
# No unit costs as much; what is dearer would only make sums that nothing can hold.
_UNIT_USD_MAX = 1_000
# Fields of `pricing` that text completions can meet, by the unit price they raise.
_UNIT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt",),
    "completion": ("completion",),
    "request": ("request",),
    "cache": ("input_cache_write", "input_cache_write_1h", "input_cache_read"),
    "reasoning": ("internal_reasoning",),
}
_IMAGE_FIELDS = ("image", "image_token")
_ALWAYS_PRICED = ("prompt", "completion")
# Web search fees, priority prices, and an API of its own.
_VARIANTS_LEFT_OUT = (":online", ":nitro", ":batch")
_ROUTERS = "openrouter/"
_PARAMETERS = "supported_parameters"
_THINKING = ":thinking"
_THOUGHTS = frozenset({"reasoning", "include_reasoning", "reasoning_effort"})
# Of a model's `reasoning`: whether it thinks always, and whether unless it is told not to.
_UNASKED = ("mandatory", "default_enabled")


def models_from(body: bytes, *, upstream: str) -> tuple[Model, ...]:
    """Every model of `GET /models` that can be priced, as one of the `upstream` of this name.

    Raises UpstreamUnreachable when the list cannot be read.
    """
    rows = _data(body)
    if not isinstance(rows, list):
        raise UpstreamUnreachable("the upstream's model list cannot be read")
    models = (_model(row, upstream) for row in rows if isinstance(row, dict))
    return tuple(model for model in models if model is not None)


def _model(row: dict[str, object], upstream: str) -> Model | None:
    model_id = outside.identifier(row.get("id"))
    if model_id is None or not _offered(model_id):
        return None
    price = _price(row.get("pricing"))
    context_length = _context_length(row)
    parameters = _texts(row[_PARAMETERS]) if _PARAMETERS in row else None
    document = _written(row if parameters is None else {**row, _PARAMETERS: parameters})
    if price is None or context_length is None or document is None:
        return None
    return Model(
        model_id=model_id,
        price=price,
        context_length=context_length,
        max_completion_tokens=_positive(_top_provider(row).get("max_completion_tokens"))
        or context_length,
        document=document,
        upstream=upstream,
        has_providers=True,
        image_price=_image_price(row),
        parameters=frozenset(parameters) if parameters else None,
        reasoning=_reasoning(model_id, row, parameters or None),
    )


def _reasoning(model_id: str, row: dict[str, object], parameters: list[str] | None) -> Reasoning:
    """Whether it thinks, and whether only when asked to; what is not said is the worst."""
    if parameters is None or model_id.endswith(_THINKING):
        return Reasoning.UNASKED
    if _THOUGHTS.isdisjoint(parameters):
        return Reasoning.NEVER
    said = row.get("reasoning")
    off = isinstance(said, dict) and all(said.get(name) is False for name in _UNASKED)
    return Reasoning.ASKED if off else Reasoning.UNASKED


def endpoints_from(body: bytes) -> tuple[Endpoint, ...]:
    """Every endpoint of `GET /models/{author}/{slug}/endpoints` that can be priced.

    Raises UpstreamUnreachable when the list cannot be read.
    """
    data = _data(body)
    rows = data.get("endpoints") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise UpstreamUnreachable("the upstream's list of endpoints cannot be read")
    endpoints = (_endpoint(row) for row in rows[:_ENDPOINTS_MAX] if isinstance(row, dict))
    return tuple(endpoint for endpoint in endpoints if endpoint is not None)


def _endpoint(row: dict[str, object]) -> Endpoint | None:
    tag, pricing = outside.maybe_text(row.get("tag")), row.get("pricing")
    provider = outside.maybe_text(row.get("provider_name"))
    price, document = _price(pricing), _written(row)
    if price is None or document is None or not provider:
        return None
    return Endpoint(
        tag=tag or provider,
        provider=provider,
        price=price,
        document=document,
        image_price=_image_units(pricing),
        stops=stops(tag or provider),
    )


def _data(body: bytes) -> object:
    """What every answer of OpenRouter's has its content in; None where there is none."""
    try:
        document = plain_loads(body)
    except ValueError:
        return None
    return document.get("data") if isinstance(document, dict) else None


def _written(row: Mapping[str, object]) -> bytes | None:
    """The row as it is kept, mended; None for one that is nested deeper than anything is."""
    return None if _deeper(row, outside.DEPTH_MAX) else orjson.dumps(outside.value(row))


def _deeper(said: object, depth: int) -> bool:
    members = said.values() if isinstance(said, dict) else said if isinstance(said, list) else ()
    return depth < 0 or any(_deeper(member, depth - 1) for member in members)


def _offered(model_id: str) -> bool:
    return not model_id.startswith(_ROUTERS) and not model_id.endswith(_VARIANTS_LEFT_OUT)


def _image_price(row: dict[str, object]) -> ImagePrice | None:
    """None unless the model reads images and says what they cost: absent is not free."""
    architecture, pricing = row.get("architecture"), row.get("pricing")
    reads = architecture.get("input_modalities") if isinstance(architecture, dict) else None
    if not isinstance(reads, list) or "image" not in reads:
        return None
    return _image_units(pricing)


def _image_units(pricing: object) -> ImagePrice | None:
    if not isinstance(pricing, dict):
        return None
    worst = {name: _worst(pricing, (name,)) for name in _IMAGE_FIELDS}
    if None in worst.values() or not any(name in pricing for name in _IMAGE_FIELDS):
        return None
    return ImagePrice(image_pusd=worst["image"] or 0, token_pusd=worst["image_token"] or 0)


def _price(pricing: object) -> ModelPrice | None:
    if not isinstance(pricing, dict) or not all(name in pricing for name in _ALWAYS_PRICED):
        return None
    worst: dict[str, int] = {}
    for unit, fields in _UNIT_FIELDS.items():
        price = _worst(pricing, fields)
        if price is None:
            return None
        worst[unit] = price
    return ModelPrice(
        prompt_pusd=worst["prompt"],
        completion_pusd=worst["completion"],
        request_pusd=worst["request"],
        cache_write_pusd=worst["cache"],
        reasoning_pusd=worst["reasoning"],
    )


def _worst(pricing: dict[str, object], fields: tuple[str, ...]) -> int | None:
    """The dearest of these fields, 0 where none is said, None where one cannot be read."""
    said = [_unit_pusd(row[name]) for row in _rows(pricing) for name in fields if name in row]
    prices = [price for price in said if price is not None]
    return max(prices, default=0) if len(prices) == len(said) else None


def _rows(pricing: dict[str, object]) -> Iterator[dict[str, object]]:
    """The list prices, and every set of prices that may stand in for them."""
    yield pricing
    overrides = pricing.get("overrides")
    for override in overrides if isinstance(overrides, list) else ():
        if isinstance(override, dict):
            yield override


def _unit_pusd(text: object) -> int | None:
    """USD per token as OpenRouter writes it (`"0.00000015"`), in pico-USD rounded up."""
    if not isinstance(text, str) or len(text) > _PRICE_TEXT_MAX:
        return None
    price = checked_amount(text)
    return None if price is None or price > _UNIT_USD_MAX else pusd_from_decimal(price)


def _texts(said: object) -> list[str]:
    """The texts of what should be a list of them."""
    return [each for each in said if isinstance(each, str)] if isinstance(said, list) else []


def _context_length(row: dict[str, object]) -> int | None:
    return _positive(row.get("context_length")) or _positive(
        _top_provider(row).get("context_length")
    )


def _top_provider(row: dict[str, object]) -> dict[str, object]:
    top = row.get("top_provider")
    return top if isinstance(top, dict) else {}


def _positive(value: object) -> int | None:
    return outside.count(value) or None
