"""A stored completion as its caller sees it: what the caller pays, instead of what we paid.

Must not know: who may read it, or how it is sent.
"""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from service.domain import outside
from service.domain.errors import Broken
from service.domain.escrow_record import Escrow
from service.domain.money import usd_text
from service.domain.pricing import charged_pusd
from service.http_api.escrow_documents import cost_document, fallback_document, usage_document

# What the upstream says about its own charge; ours stands in `cost` and `cobot`.
_UPSTREAM_ONLY = ("cost", "cost_details", "is_byok")


def completion_document(escrow: Escrow, body: bytes) -> dict[str, Any]:
    """The `chat.completion` in `body` with our `usage.cost` and `cobot`.

    Numbers of money are exact (`orjson.Fragment`). Raises Broken for a body that is none.
    """
    document = _read(body)
    usage = document.get("usage")
    document["usage"] = {
        **(usage_document(escrow) or {}),
        **(usage if isinstance(usage, dict) else {}),
    }
    for name in _UPSTREAM_ONLY:
        document["usage"].pop(name, None)
    document["usage"]["cost"] = orjson.Fragment(charged_usd(escrow))
    document.setdefault("system_fingerprint", None)  # OpenRouter's SDK takes no answer without it
    document["cobot"] = cobot_document(escrow)
    return document


def cobot_document(escrow: Escrow) -> dict[str, Any]:
    """What one completion cost its caller, part by part; the cost is null while unknown."""
    return {
        "escrow_id": escrow.escrow_id,
        "mode": "escrow",
        "model": escrow.quote.model,
        "max_tokens": escrow.quote.max_tokens,
        "fallback": fallback_document(escrow),
        "cost": cost_document(escrow),
        "paid_msat": escrow.paid_msat,
        "credited_msat": credited_msat(escrow),
        "overrun_msat": escrow.price.overrun_msat if escrow.cost else 0,
    }


def credited_msat(escrow: Escrow) -> int:
    """What was paid beyond what was due (rounding, overpayment): the caller's credit."""
    return max(escrow.paid_msat - escrow.due_msat, 0) if escrow.paid_msat else 0


def charged_usd(escrow: Escrow) -> str:
    """The price in USD as an exact decimal text."""
    return usd_text(charged_pusd(escrow.price_msat, escrow.quote.rate))


def is_readable(body: bytes) -> bool:
    """Whether a stored completion can be written as an answer, whole or as events."""
    try:
        orjson.dumps(_read(body))
    except (Broken, TypeError, RecursionError):
        return False
    return True


def _read(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = orjson.loads(_mended(body))
    if not isinstance(document, dict):
        raise Broken("a stored completion is not a JSON object")
    return document


def _mended(body: bytes) -> bytes:
    """The same JSON without what upstreams write and orjson refuses.

    Those are halves of emoji, and numbers that are none (`1e400`, `NaN`), which become null.
    """
    try:
        document = json.loads(body, parse_float=_finite, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        raise Broken("a stored completion is not JSON") from None
    return orjson.dumps(outside.value(document))


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
