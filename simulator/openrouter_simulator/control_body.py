"""Reading the body of a control request: what it may hold, and what is wrong with it.

Must not know: accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import orjson

from openrouter_simulator.routing.prices import price_from

_SEED_MAX = 2**63


class ControlInvalid(Exception):
    """A control request that makes no sense; its text says what to change."""


def json_object(body: bytes) -> dict[str, object]:
    """The body, `{}` when there is none. Raises ControlInvalid."""
    if not body:
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise ControlInvalid("the body must be a JSON object")
    return document


def names_in(document: Mapping[str, object], field: str) -> list[str]:
    """A list of texts, empty when absent. Raises ControlInvalid."""
    value = document.get(field, [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ControlInvalid(f"{field} must be a list of names")
    return value


def object_in(document: Mapping[str, object], field: str) -> dict[str, object]:
    """An object, empty when absent. Raises ControlInvalid."""
    value = document.get(field, {})
    if not isinstance(value, dict):
        raise ControlInvalid(f"{field} must be an object")
    return value


def amount_in(document: Mapping[str, object], field: str) -> Decimal | None:
    """An amount of at least 0, or None for null. Raises ControlInvalid."""
    value = document.get(field)
    if value is None:
        return None
    try:
        return price_from(value)
    except ValueError:
        raise ControlInvalid(f"{field} must be an amount of at least 0, or null") from None


def count_in(document: Mapping[str, object], field: str) -> int | None:
    """A whole number of at least 0, or None for null. Raises ControlInvalid."""
    value = document.get(field)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _SEED_MAX:
        raise ControlInvalid(f"{field} must be a whole number of at least 0, or null")
    return value


def known_fields(document: Mapping[str, object], known: tuple[str, ...]) -> None:
    """Raises ControlInvalid for a field that nobody would read."""
    for field in document:
        if field not in known:
            raise ControlInvalid(f"unknown field {field!r}: there are {', '.join(known)}")
