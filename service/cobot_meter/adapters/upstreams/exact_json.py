"""JSON whose numbers keep the digits they had on the wire.

A cost that passes through a float is no longer what the upstream said, so the few frames that carry
money are read here and the rest by orjson.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal, InvalidOperation
from typing import NoReturn

import orjson

from cobot_meter.domain.money import AMOUNT_MAX, pusd_from_decimal

_AMOUNT_TEXT_MAX = 64
_AMOUNT_EXPONENT_MIN = -40
_INTEGER_DIGITS_MAX = 18


class NumberText(str):
    """The digits of one JSON number, exactly as they were written."""

    __slots__ = ()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _digits(text: str) -> NumberText | None:
    """The number as it was written; None for one that no other reader could take."""
    readable = len(text) <= _AMOUNT_TEXT_MAX and math.isfinite(float(text))
    return NumberText(text) if readable else None


def _double(text: str) -> float | None:
    """None for one beyond every double: nobody could write it down again."""
    number = float(text)
    return number if math.isfinite(number) else None


def _integer(text: str) -> int | float | None:
    """As orjson reads it: what is too long for 64 bits is a double."""
    return int(text) if len(text) <= _INTEGER_DIGITS_MAX else _double(text)


_PLAIN = json.JSONDecoder(parse_float=_double, parse_int=_integer, parse_constant=_refuse)
_EXACT = json.JSONDecoder(parse_float=_digits, parse_int=_digits, parse_constant=_refuse)


def plain_loads(data: bytes) -> object:
    """Read JSON with ordinary numbers. Raises ValueError for anything else.

    orjson refuses half an emoji, which a gateway may cut between two chunks, bytes that are no
    UTF-8 and a byte-order mark; the standard library reads them. What comes out is not mended yet.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _decoded(data, _PLAIN)


def exact_loads(data: bytes | str) -> object:
    """Read JSON with every number as NumberText. Raises ValueError for anything else.

    A number that is longer than any amount, or beyond every double, is None.
    """
    return _decoded(data, _EXACT)


def exact_dumps(document: object) -> bytes:
    """Write JSON, NumberText as the number it was."""
    return orjson.dumps(document, default=_written, option=orjson.OPT_PASSTHROUGH_SUBCLASS)


def amount(value: object, *, most: int = AMOUNT_MAX) -> Decimal | None:
    """An amount of USD as read by `exact_loads`, of at most `most` pico-USD.

    None for anything that is not a finite, non-negative number of a sane size.
    """
    if not isinstance(value, NumberText) or len(value) > _AMOUNT_TEXT_MAX:
        return None
    return checked_amount(value, most=most)


def checked_amount(text: str, *, most: int = AMOUNT_MAX) -> Decimal | None:
    """An amount of USD from its text (OpenRouter writes prices so), of at most `most` pico-USD.

    None for anything that is not a finite, non-negative number of a sane size.
    """
    if not text.isascii() or "_" in text:
        return None
    try:
        number = Decimal(text)
        if number and number.adjusted() < _AMOUNT_EXPONENT_MIN:
            return None
        pusd_from_decimal(number, most=most)
    except (InvalidOperation, ValueError):
        return None
    return number


def _decoded(data: bytes | str, decoder: json.JSONDecoder) -> object:
    text = data if isinstance(data, str) else data.decode("utf-8-sig", "replace")
    try:
        return decoder.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _written(value: object) -> orjson.Fragment:
    if isinstance(value, NumberText):
        return orjson.Fragment(str(value))
    raise TypeError(f"not JSON: {type(value).__name__}")
