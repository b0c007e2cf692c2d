"""Control over the simulator under `/control`: faults, timing, prices, the book, a fresh start.

Must not know: OpenRouter's API. Amounts here are texts, so that no reader makes floats of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation

import orjson

from service.simulator.account import Account
from service.simulator.credit_book import Generation
from service.simulator.faults import fault_names
from service.simulator.models import price_text

_SECONDS_MAX = 3_600


class ControlInvalid(Exception):
    """A control request that makes no sense; its text says what to change."""


def read_control(account: Account, path: str) -> dict[str, object] | None:
    """Answer a GET below `/control`; None for an unknown path."""
    read = _READS.get(path)
    return read(account) if read else None


def write_control(account: Account, path: str, body: bytes) -> dict[str, object] | None:
    """Do a POST below `/control`; None for an unknown path. Raises ControlInvalid."""
    write = _WRITES.get(path)
    return write(account, _json_object(body)) if write else None


def book_document(account: Account) -> dict[str, object]:
    """Every generation with its cost, the POST count, and a balance that has been added up."""
    book = account.book
    book.verify()
    return {
        "credit_usd": format(book.credit_usd, "f"),
        "balance_usd": format(book.balance_usd, "f"),
        "spent_usd": format(book.spent_usd, "f"),
        "posts": book.posts,
        "lookups": book.lookups,
        "generations": [_generation_row(generation) for generation in book.generations],
    }


def _faults_document(account: Account) -> dict[str, object]:
    return {"next": list(account.faults.waiting), "names": list(fault_names())}


def _timing_document(account: Account) -> dict[str, object]:
    timing = account.timing
    return {
        "lag_s": timing.lag_s,
        "latency_s": timing.latency_s,
        "chunk_s": timing.chunk_s,
        "hang_s": timing.hang_s,
    }


def _set_faults(account: Account, document: dict[str, object]) -> dict[str, object]:
    """`{"clear": true, "next": ["status_429", ""], "by_model": {"a/b": "hang"}}`, all optional."""
    if document.get("clear") is True:
        account.faults.clear()
    try:
        account.faults.queue(_names(document.get("next", [])))
        by_model = document.get("by_model", {})
        if not isinstance(by_model, dict):
            raise ControlInvalid("by_model must be an object of model id to fault name")
        for model_id, name in by_model.items():
            account.faults.stand_for(model_id, str(name))
    except ValueError as wrong:
        raise ControlInvalid(f"{wrong}; the names are in GET /control/faults") from None
    return _faults_document(account)


def _set_timing(account: Account, document: dict[str, object]) -> dict[str, object]:
    for name, seconds in document.items():
        if name not in _timing_document(account):
            raise ControlInvalid(f"unknown timing {name!r}")
        if not isinstance(seconds, int | float) or not 0 <= seconds <= _SECONDS_MAX:
            raise ControlInvalid(f"{name} must be between 0 and {_SECONDS_MAX} seconds")
        setattr(account.timing, name, float(seconds))
    return _timing_document(account)


def _set_prices(account: Account, document: dict[str, object]) -> dict[str, object]:
    """`{"a/b": {"prompt": "0.00000015", "completion": "0.0000006"}}`, USD per token."""
    for model_id, prices in document.items():
        model = account.models.get(model_id)
        if model is None or not isinstance(prices, dict):
            raise ControlInvalid(f"no such model, or no prices for it: {model_id}")
        account.models[model_id] = replace(
            model,
            prompt=_price(prices.get("prompt"), model.prompt),
            completion=_price(prices.get("completion"), model.completion),
        )
    return {
        model_id: {
            "prompt": price_text(account.models[model_id].prompt),
            "completion": price_text(account.models[model_id].completion),
        }
        for model_id in document
    }


def _reset(account: Account, _document: dict[str, object]) -> dict[str, object]:
    account.reset()
    return book_document(account)


def _price(text: object, otherwise: Decimal) -> Decimal:
    if text is None:
        return otherwise
    try:
        price = Decimal(str(text))
    except InvalidOperation:
        raise ControlInvalid(f"not a price: {text}") from None
    if not price.is_finite() or price < 0:
        raise ControlInvalid(f"not a price: {text}")
    return price


def _names(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ControlInvalid("next must be a list of fault names")
    return value


def _generation_row(generation: Generation) -> dict[str, object]:
    return {
        "id": generation.generation_id,
        "model": generation.model_id,
        "total_cost": format(generation.total_cost, "f"),
        "created_at_ms": generation.created_at_ms,
        "ready_at_ms": generation.ready_at_ms,
        "native_prompt": generation.native_prompt,
        "native_completion": generation.native_completion,
        "cancelled": generation.cancelled,
        "finish_reason": generation.finish_reason,
        "user": generation.user,
    }


def _json_object(body: bytes) -> dict[str, object]:
    if not body:
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise ControlInvalid("the body must be a JSON object")
    return document


_READS: Mapping[str, Callable[[Account], dict[str, object]]] = {
    "/control/book": book_document,
    "/control/faults": _faults_document,
    "/control/timing": _timing_document,
}
_WRITES: Mapping[str, Callable[[Account, dict[str, object]], dict[str, object]]] = {
    "/control/faults": _set_faults,
    "/control/prices": _set_prices,
    "/control/reset": _reset,
    "/control/timing": _set_timing,
}
