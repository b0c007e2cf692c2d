"""What /openapi.json says of the `cobot` object of answers. Must not know: who writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]
_TEXT: Document = {"type": "string"}
_MAYBE: Document = {"type": ["string", "null"]}
_OBJECT: Document = {"type": "object", "additionalProperties": True}
_MAYBE_OBJECT: Document = {"type": ["object", "null"], "additionalProperties": True}
_MSAT: Document = {"type": "integer"}
_ATTEMPT: Document = {
    "type": "object",
    "required": ["n", "upstream", "model", "status", "cost_usd", "billed"],
    "properties": {
        "n": {"type": "integer", "minimum": 1},
        "upstream": _TEXT,
        "provider": _MAYBE,
        "model": _TEXT,
        "generation_id": _MAYBE,
        "status": {**_TEXT, "description": "ok, an error's code, or how far it is."},
        "latency_ms": {"type": ["integer", "null"]},
        "cost_usd": {**_MAYBE, "description": "Exact, at the upstream; null while unknown."},
        "standing": {"enum": ["provisional", "confirmed", None]},
        "billed": {"type": "boolean", "description": "Whether the price is made of it."},
        "route": {**_OBJECT, "description": "Of a task's run: the decision that chose its model."},
    },
}
_PRIVACY: Document = {
    "type": "object",
    "properties": {
        "tier": {"enum": ["public", "zdr", "local"]},
        "declared": {"type": "boolean"},
        "by": {"enum": ["caller", "key", "detector"]},
        "signals": {
            "type": ["array", "null"],
            "items": _TEXT,
            "description": "Types of what was detected; null where the request is not at hand.",
        },
        "retention": _OBJECT,
    },
}
COBOT: Document = {
    "type": "object",
    "required": ["v", "escrow_id", "mode", "served_as", "model", "cost"],
    "description": "How the answer came about and what it cost: the same before payment and after.",
    "properties": {
        "v": {"const": 1},
        "escrow_id": _TEXT,
        "mode": {"enum": ["escrow", "credit", "task", "panel"]},
        "served_as": {"enum": ["plain", "auto", "private", "zdr", "task", "consensus", "verify"]},
        "model": _TEXT,
        "max_tokens": {"type": "integer"},
        "fallback": _MAYBE_OBJECT,
        "route": _OBJECT,
        "baseline": _OBJECT,
        "attempts": {"type": "array", "items": _ATTEMPT},
        "cost": _MAYBE_OBJECT,
        "privacy": _PRIVACY,
        "budget": {"type": "array", "items": _OBJECT},
        "paid_msat": _MSAT,
        "credited_msat": _MSAT,
        "overrun_msat": _MSAT,
    },
}
COMPLETION_CONTENT: Document = {
    "application/json": {
        "schema": {"type": "object", "additionalProperties": True, "properties": {"cobot": COBOT}}
    },
    "text/event-stream": {"schema": _OBJECT},
}
