"""What /openapi.json says of budgets. Must not know: how the routes do it."""

from __future__ import annotations

from cobot_meter.domain.budgets.periods import Period
from cobot_meter.domain.budgets.sheets import CALLERS_MAX
from cobot_meter.domain.routing.hints import Task
from cobot_meter.http_api.http.openapi import (
    BROKEN,
    Document,
    RouteDocument,
    answered,
    failed,
    parameter,
)

_JSON = "application/json"
_ABOVE_ZERO: Document = {"type": "integer", "minimum": 1}
_BUDGET: Document = {
    "type": "object",
    "required": ["scope", "period"],
    "additionalProperties": False,
    "properties": {
        "scope": {"type": "string", "enum": ["key", "caller", "model", "task"]},
        "key": {"type": "string", "description": "The id of a key of yours, of that scope."},
        "model": {"type": "string", "description": "The id of a model, of that scope."},
        "task": {"type": "string", "enum": [task.value for task in Task]},
        "period": {"type": "string", "enum": [period.value for period in Period]},
        "zone": {"type": "string", "default": "UTC", "description": "An IANA name."},
        "amount_sat": _ABOVE_ZERO,
        "amount_msat": _ABOVE_ZERO,
        "amount_usd": {"type": ["number", "string"]},
    },
}
_SHARE: Document = {"type": "integer", "minimum": 0, "maximum": 100}
_PLAN: Document = {
    "type": "object",
    "required": ["premium_above", "middle_above"],
    "additionalProperties": False,
    "description": "Shares left above which a dearer model may be chosen; 60 and 25 if unsaid.",
    "properties": {"premium_above": _SHARE, "middle_above": _SHARE},
}
_WORD: Document = {
    "type": "object",
    "required": ["budgets"],
    "additionalProperties": False,
    "properties": {
        "budgets": {"type": "array", "items": _BUDGET, "maxItems": CALLERS_MAX},
        "plan": {"oneOf": [{"const": "off"}, _PLAN, {"type": "null"}]},
    },
}
BUDGETS = RouteDocument(
    summary="The caller's budgets: spent, reserved, left, and when each begins anew.",
    responses={
        200: answered("A list; with an API key, of those that bound that key."),
        402: failed("No caller is named; POST /v1/topups gives a proof."),
        **BROKEN,
    },
    extra={"parameters": [parameter("Authorization", "header", "A proof, or an API key.")]},
)
BUDGETS_SET = RouteDocument(
    summary="All budgets of the caller, in place of those before; an empty list takes all away.",
    responses={
        200: answered("The list as it stands from here on."),
        400: failed("A budget cannot be: the sentence says which and why. Nothing has changed."),
        402: failed("No caller is named; POST /v1/topups gives a proof."),
        403: failed("A key sets no budgets: send the proof of a payment."),
        **BROKEN,
    },
    extra={
        "parameters": [
            parameter("Authorization", "header", "L402 <macaroon>:<preimage_hex>, and no API key.")
        ],
        "requestBody": {"required": True, "content": {_JSON: {"schema": _WORD}}},
    },
)
