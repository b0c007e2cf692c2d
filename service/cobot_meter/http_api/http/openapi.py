"""What `/openapi.json` says of each route: plain OpenAPI 3.1 objects, no code.

Must not know: handlers or FastAPI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cobot_meter.http_api.http.openapi_receipts import COBOT, COMPLETION_CONTENT

Document = Mapping[str, Any]

_JSON = "application/json"
_OBJECT: Document = {"type": "object", "additionalProperties": True}
ERROR: Document = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
                "metadata": _OBJECT,
            },
        }
    },
}
_CHALLENGE: Document = {
    "description": "Payment required: pay the invoice, repeat the same request with the proof.",
    "headers": {
        "WWW-Authenticate": {
            "description": 'L402 macaroon="…", invoice="…", version="0", token="…"',
            "schema": {"type": "string"},
        }
    },
    "content": {
        _JSON: {
            "schema": {
                "type": "object",
                "required": ["error", "invoice", "macaroon", "price_sats", "payment_hash"],
                "properties": {
                    **ERROR["properties"],
                    "invoice": {"type": "string"},
                    "macaroon": {"type": "string"},
                    "price_sats": {"type": "integer"},
                    "payment_hash": {"type": "string"},
                    "escrow": _OBJECT,
                    "cobot": COBOT,
                    "topup": _OBJECT,
                },
            }
        }
    },
}
_MESSAGE: Document = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["type", "text"],
                        "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
                    },
                },
                {"type": "null"},
            ]
        },
    },
}
_CHAT_REQUEST: Document = {
    "type": "object",
    "required": ["model", "messages"],
    "additionalProperties": True,
    "properties": {
        "model": {"type": "string"},
        "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
        "models": {"type": "array", "items": {"type": "string"}, "maxItems": 8},
        "tools": {"type": "array", "items": _OBJECT},
        "tool_choice": {},
        "max_tokens": {"type": "integer", "minimum": 1, "default": 1_024},
        "stream": {"type": "boolean", "default": False},
        "temperature": {"type": "number", "minimum": 0, "maximum": 2},
        "top_p": {"type": "number", "minimum": 0, "maximum": 1},
        "seed": {"type": "integer"},
        "stop": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "response_format": _OBJECT,
        "reasoning": _OBJECT,
        "provider": _OBJECT,
    },
}
_PAYMENT: Document = {
    "offers": [
        {
            "intent": "charge",
            "method": "lightning",
            "amount": None,
            "currency": "sat",
            "description": "What the completion cost, plus fees; known once it has run",
        }
    ]
}


def failed(description: str) -> Document:
    """An answer that is an error."""
    return {"description": description, "content": {_JSON: {"schema": ERROR}}}


def answered(description: str, *types: str) -> Document:
    """An answer of these types, JSON where none is named."""
    return {
        "description": description,
        "content": {kind: {"schema": _OBJECT} for kind in types or (_JSON,)},
    }


def parameter(name: str, place: str, description: str, **schema: object) -> Document:
    """A header, a part of the path or of the query."""
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": {"type": "string", **schema},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDocument:
    """One operation: responses by status, and further members of the OpenAPI operation."""

    summary: str
    responses: Mapping[int, Document]
    extra: Document = field(default_factory=dict)


_ESCROW_ID = parameter("escrow_id", "path", "The id that the Location header named.")
_HINTS = (
    parameter(
        "X-Cobot-Max-Cost", "header", "Refuse what could cost more: 12sat, 12000msat or 0.01usd."
    ),
    parameter("X-Cobot-Task", "header", "What the request is about, for the virtual models."),
    parameter("X-Cobot-Session", "header", "A name of yours for requests that belong together."),
    parameter("X-Cobot-Downgrade", "header", "allow or never: a model below the target."),
    parameter("X-Cobot-Privacy", "header", "public, zdr or local: where the request may go."),
)
BROKEN = {500: failed("Something here is broken."), 503: failed("Ask again: see Retry-After.")}
_COMPLETION: Document = {
    "description": "The completion: `usage.cost` is the price in USD, `cobot` takes it apart.",
    "content": COMPLETION_CONTENT,
}

QUOTE = RouteDocument(
    summary="What a completion can cost at most, with a quote that an ask can bring back.",
    responses={
        200: answered("The ceiling in msat, sat and USD; `quote` goes into X-Cobot-Quote."),
        400: failed("A field is wrong, or the ceiling is over X-Cobot-Max-Cost."),
        404: failed("No such model."),
        413: failed("The body is too long."),
        **BROKEN,
    },
    extra={
        "parameters": [*_HINTS],
        "requestBody": {"required": True, "content": {_JSON: {"schema": _CHAT_REQUEST}}},
    },
)
CHAT = RouteDocument(
    summary="Buy a chat completion: it runs first, and is released when its invoice is paid.",
    responses={
        200: _COMPLETION,
        202: answered("Running (Prefer: respond-async): follow the Location."),
        400: failed("The request must be changed."),
        402: _CHALLENGE,
        404: failed("No such model."),
        409: failed("Paid already: repeat with the proof."),
        410: failed("No longer kept."),
        413: failed("Too large."),
        422: failed("This Idempotency-Key was used with another request."),
        429: failed("Too much is open and unpaid (see metadata.to_pay), or under way at once."),
        502: failed("The upstream failed; nothing is charged."),
        **BROKEN,
    },
    extra={
        "requestBody": {"required": False, "content": {_JSON: {"schema": _CHAT_REQUEST}}},
        "parameters": [
            parameter(
                "Authorization", "header", "L402 <macaroon>:<preimage_hex>, or Bearer sk-cobot-…"
            ),
            parameter("Idempotency-Key", "header", "1 to 255 visible ASCII characters."),
            parameter("X-Cobot-Quote", "header", "A quote of POST /v1/quotes for this very body."),
            *_HINTS,
            parameter("Prefer", "header", "respond-async: 202 instead of waiting."),
        ],
        "x-payment-info": _PAYMENT,
    },
)
STATUS = RouteDocument(
    summary="Where an escrow stands; with `wait`, once that has changed.",
    responses={
        200: answered("State, cost and invoice."),
        404: failed("No such escrow."),
        **BROKEN,
    },
    extra={
        "parameters": [
            _ESCROW_ID,
            parameter("wait", "query", "Seconds.", type="integer", minimum=0, maximum=60),
        ]
    },
)
COMPLETION = RouteDocument(
    summary="Claim what an escrow holds, with its macaroon and preimage.",
    responses={
        200: _COMPLETION,
        402: _CHALLENGE,
        404: failed("No such escrow, or not yours."),
        409: failed("Paid already: repeat with the proof."),
        410: failed("No longer kept."),
        **BROKEN,
    },
    extra={"parameters": [_ESCROW_ID], "x-payment-info": _PAYMENT},
)
MODELS = RouteDocument(
    summary="The models on offer, with our prices.",
    responses={200: answered("OpenRouter's list; `cobot` has prices in msat."), **BROKEN},
)
_MODEL_NAME = {
    "parameters": [
        parameter("author", "path", "The part of the model id before the slash."),
        parameter("slug", "path", "The part after it, with its variant (`x:free`)."),
    ]
}
MODEL = RouteDocument(
    summary="One model on offer, with our prices.",
    responses={
        200: answered("OpenRouter's model under `data`."),
        404: failed("No such model."),
        **BROKEN,
    },
    extra=_MODEL_NAME,
)
LISTED_MODEL = RouteDocument(
    summary="One model on offer, where OpenAI has it.",
    responses={
        200: answered("OpenAI's model; OpenRouter's, with our prices, under `data`."),
        404: failed("No such model."),
        **BROKEN,
    },
    extra=_MODEL_NAME,
)
SHORT_MODEL = RouteDocument(
    summary="The same for an id without an author.",
    responses=LISTED_MODEL.responses,
    extra={"parameters": [parameter("model", "path", "The model id.")]},
)
MODEL_COUNT = RouteDocument(
    summary="How many models are on offer.",
    responses={200: answered("OpenRouter's `data.count`."), **BROKEN},
)
ENDPOINTS = RouteDocument(
    summary="What may serve a model: our own offer, as one endpoint.",
    responses={
        200: answered("OpenRouter's `data.endpoints`: who serves it, at our prices."),
        404: failed("No such model."),
        **BROKEN,
    },
    extra=_MODEL_NAME,
)
_NAMELESS = "No caller is named; an empty POST to /v1/chat/completions offers a top-up."
KEY = RouteDocument(
    summary="The caller's own limit and usage, as OpenRouter says it of a key.",
    responses={
        200: answered("Amounts in USD; `cobot` has them in msat. Days are UTC."),
        402: failed(_NAMELESS),
        **BROKEN,
    },
)
GENERATION = RouteDocument(
    summary="One generation of the caller's own; total_cost is the price charged.",
    responses={
        200: answered("OpenRouter's record."),
        402: failed(_NAMELESS),
        404: failed("Not yours, or not known yet."),
    },
    extra={"parameters": [parameter("id", "query", "The generation id.")]},
)
CREDITS = RouteDocument(
    summary="The caller's credit.",
    responses={200: answered("Totals in USD; `cobot` has them in msat."), 402: failed(_NAMELESS)},
)
LEDGER = RouteDocument(
    summary="The caller's own statement, newest first.",
    responses={200: answered("Journal entries with their transfers."), 402: failed(_NAMELESS)},
    extra={
        "parameters": [
            parameter("before", "query", "Entries below this sequence.", type="integer"),
            parameter("limit", "query", "Entries.", type="integer", minimum=1, maximum=200),
        ]
    },
)
_PROOF = parameter("Authorization", "header", "L402 <macaroon>:<preimage_hex>, and no API key.")
_KEY_ID = parameter("key_id", "path", "The id of a key of yours.")
_SAT_OR_NULL: Document = {"type": ["integer", "null"], "minimum": 1}
_KEY_WISH: Document = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "maxLength": 80},
        "limit_sat": _SAT_OR_NULL,
        "day_limit_sat": _SAT_OR_NULL,
        "models": {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": 32},
        "privacy": {
            "enum": ["public", "zdr", "local", None],
            "description": "The lowest tier of privacy of what the key asks; public by default.",
        },
    },
}
_NO_OWNER = {
    402: failed("No caller is named; POST /v1/topups gives a proof."),
    403: failed("A key manages no keys: send the proof of a payment."),
}
_NO_SUCH_KEY = {404: failed("No such key, or not yours."), **_NO_OWNER}
TOPUP = RouteDocument(
    summary="Buy credit: 402 with an invoice; the same request with the proof says what it bought.",
    responses={
        200: answered("Credited: `available_msat`, and the API key where one was asked for."),
        400: failed("The amount is none that is taken here."),
        402: _CHALLENGE,
        403: failed("A key makes no keys; or this caller is blocked."),
        422: failed("This Idempotency-Key was used with another amount."),
        429: failed("Too many top-ups wait to be paid."),
        **BROKEN,
    },
    extra={
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {
                    "schema": {
                        "type": "object",
                        "required": ["amount_sat"],
                        "additionalProperties": False,
                        "properties": {
                            "amount_sat": {"type": "integer", "minimum": 1},
                            "key": _KEY_WISH,
                        },
                    }
                }
            },
        },
        "x-payment-info": _PAYMENT,
    },
)
TOPUP_STATUS = RouteDocument(
    summary="Where a top-up stands; with `wait`, once that has changed.",
    responses={200: answered("State and invoice."), 404: failed("No such top-up."), **BROKEN},
    extra={
        "parameters": [
            parameter("topup_id", "path", "The id that POST /v1/topups named."),
            parameter("wait", "query", "Seconds.", type="integer", minimum=0, maximum=60),
        ]
    },
)
KEY_MADE = RouteDocument(
    summary="Make an API key; its text is in this answer and in no other.",
    responses={
        201: answered("`key` is the text, `data` what is known of it."),
        400: failed("A field is wrong, or there are too many keys."),
        **_NO_OWNER,
        **BROKEN,
    },
    extra={
        "parameters": [
            _PROOF,
            parameter("Idempotency-Key", "header", "The same key again for the same text."),
        ],
        "requestBody": {"required": False, "content": {_JSON: {"schema": _KEY_WISH}}},
    },
)
KEYS = RouteDocument(
    summary="The caller's keys, newest first: limits and what they have spent.",
    responses={200: answered("A list, without any text of a key."), **_NO_OWNER, **BROKEN},
    extra={"parameters": [_PROOF]},
)
ONE_KEY = RouteDocument(
    summary="One of the caller's keys.",
    responses={200: answered("The key under `data`."), **_NO_SUCH_KEY, **BROKEN},
    extra={"parameters": [_KEY_ID, _PROOF]},
)
KEY_CHANGED = RouteDocument(
    summary="Another name or other limits; null takes a limit away.",
    responses={
        200: answered("The key under `data`."),
        400: failed("A field is wrong, or the key is revoked."),
        **_NO_SUCH_KEY,
        **BROKEN,
    },
    extra={
        "parameters": [_KEY_ID, _PROOF],
        "requestBody": {"required": True, "content": {_JSON: {"schema": _KEY_WISH}}},
    },
)
KEY_ROTATED = RouteDocument(
    summary="Give a key another text; the one before ends at once.",
    responses={
        200: answered("`key` is the text from here on."),
        400: failed("The key is revoked."),
        **_NO_SUCH_KEY,
        **BROKEN,
    },
    extra={"parameters": [_KEY_ID, _PROOF]},
)
KEY_REVOKED = RouteDocument(
    summary="End a key for good; repeated it is the same.",
    responses={200: answered("The key under `data`."), **_NO_SUCH_KEY, **BROKEN},
    extra={"parameters": [_KEY_ID, _PROOF]},
)
GUIDE = RouteDocument(
    summary="How to ask and how to pay, for a model to read.",
    responses={200: answered("Markdown.", "text/markdown")},
)
HEALTH = RouteDocument(summary="The process answers.", responses={200: answered("Alive.")})
READY = RouteDocument(
    summary="Every part answers.",
    responses={200: answered("Ready."), 503: answered("A part fails, or draining.")},
)
