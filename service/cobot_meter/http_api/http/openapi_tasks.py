"""What `/openapi.json` says of the routes of tasks. Must not know: handlers or FastAPI."""

from __future__ import annotations

from cobot_meter.http_api.http.openapi import (
    BROKEN,
    Document,
    RouteDocument,
    answered,
    failed,
    parameter,
)

_JSON = "application/json"
_TASK_ID = parameter("task_id", "path", "The id that POST /v1/tasks named.")
_SELLER = parameter("Authorization", "header", "Bearer and an API key of the seller.")
_NO_SUCH_TASK = {404: failed("No such task, or another seller's.")}
_NOT_OPEN = {409: failed("It is closed, over, busy, or has no answer yet.")}
_OPENED: Document = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "ceiling_sat": {"type": "integer", "minimum": 1},
        "ceiling_usd": {"type": ["string", "number"]},
        "max_fee_sat": {"type": "integer", "minimum": 0},
        "title": {"type": "string", "maxLength": 200},
        "expires_in_s": {"type": "integer", "minimum": 10, "maximum": 21_600, "default": 3_600},
    },
}
_CLOSED: Document = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "fee_msat": {"type": "integer", "minimum": 0},
        "fee_sat": {"type": "integer", "minimum": 0},
        "answer": {"type": "string"},
    },
}
_ANSWER: Document = {
    "type": "object",
    "required": ["answer"],
    "additionalProperties": False,
    "properties": {"answer": {"type": "string"}},
}


def _body(schema: Document, *, required: bool = True) -> Document:
    return {"required": required, "content": {_JSON: {"schema": schema}}}


TASK_OPENED = RouteDocument(
    summary="Open a task: many runs under one ceiling, sold to a stranger as one.",
    responses={
        201: answered("The task and its key."),
        400: failed("A field is wrong."),
        403: failed("The operator has not trusted this seller with tasks."),
        422: failed("This Idempotency-Key was used with another task."),
        429: failed("The seller's cap has no room for this ceiling."),
        **BROKEN,
    },
    extra={
        "parameters": [
            _SELLER,
            parameter("Idempotency-Key", "header", "The same key again for the same task."),
        ],
        "requestBody": _body(_OPENED),
    },
)
TASKS = RouteDocument(
    summary="The seller's open tasks, oldest first.",
    responses={200: answered("A list, without any key."), **BROKEN},
    extra={"parameters": [_SELLER]},
)
ONE_TASK = RouteDocument(
    summary="One task with its runs, its price and its invoice.",
    responses={200: answered("The task."), **_NO_SUCH_TASK, **BROKEN},
    extra={"parameters": [_TASK_ID, _SELLER]},
)
TASK_GIVEN_UP = RouteDocument(
    summary="Give an open task up: nothing of it is sold.",
    responses={200: answered("The task."), **_NO_SUCH_TASK, **_NOT_OPEN, **BROKEN},
    extra={"parameters": [_TASK_ID, _SELLER]},
)
TASK_ANSWERED = RouteDocument(
    summary="Seal what the buyer is to get, in the place of what was sealed before.",
    responses={
        200: answered("The task."),
        400: failed("The answer is no text."),
        **_NO_SUCH_TASK,
        **_NOT_OPEN,
        **BROKEN,
    },
    extra={"parameters": [_TASK_ID, _SELLER], "requestBody": _body(_ANSWER)},
)
TASK_CLOSED = RouteDocument(
    summary="Close a task: its price, the invoice and the macaroon for its buyer.",
    responses={
        200: answered("The price taken apart, the invoice and the macaroon; again the same."),
        400: failed("The fee is more than was named at the opening, or there is nothing to pay."),
        **_NO_SUCH_TASK,
        **_NOT_OPEN,
        **BROKEN,
    },
    extra={
        "parameters": [_TASK_ID, _SELLER],
        "requestBody": _body(_CLOSED, required=False),
    },
)
TASK_DELIVERED = RouteDocument(
    summary="Say that you hand the paid answer over yourself: the sale is released.",
    responses={
        200: answered("The task; again the same."),
        402: failed("It is not paid yet."),
        410: failed("It was refunded, or its answer is no longer kept."),
        **_NO_SUCH_TASK,
        **BROKEN,
    },
    extra={"parameters": [_TASK_ID, _SELLER]},
)
