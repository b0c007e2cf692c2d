"""Replies that are JSON: the values that had to be found, or the shape that was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?```\s*", re.DOTALL | re.IGNORECASE)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, Decimal),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class NoJson(ValueError):
    """The reply is no JSON."""


def read_json(reply: str) -> Any:  # noqa: ANN401 - any JSON
    """The whole reply, bare or in one fence, as JSON. Raises NoJson.

    A sentence around it makes it none: programs that asked for JSON cannot read such a reply.
    """
    fenced = _FENCED.fullmatch(reply)
    try:
        return json.loads(
            fenced.group(1) if fenced else reply.strip(),
            parse_float=Decimal,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError, ArithmeticError) as fault:
        raise NoJson("no JSON") from fault


def _no_number(said: str) -> object:
    raise NoJson(said)


@dataclass(frozen=True, slots=True)
class JsonValues:
    """An object with exactly these members; `expected` is JSON itself.

    Texts count without blanks around them and in any case, numbers by their value.
    """

    expected: str

    def passes(self, reply: str) -> bool:
        """Whether all of it was found, and nothing else."""
        try:
            said = read_json(reply)
        except NoJson:
            return False
        return _plain(said) == _plain(read_json(self.expected))


@dataclass(frozen=True, slots=True)
class JsonShape:
    """An object with exactly these members of these types; `lengths` bounds lists by name."""

    members: tuple[tuple[str, str], ...]
    lengths: tuple[tuple[str, int], ...] = ()

    def passes(self, reply: str) -> bool:
        """Whether a program that knows the shape could read it."""
        try:
            said = read_json(reply)
        except NoJson:
            return False
        if not isinstance(said, dict) or said.keys() != dict(self.members).keys():
            return False
        typed = all(_is_of(said[name], kind) for name, kind in self.members)
        return typed and all(len(said[name]) == wanted for name, wanted in self.lengths)


def _is_of(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _plain(value: object) -> object:
    """Tagged by type: to Python `true` and `1` are one key and one value."""
    match value:
        case bool() | None:
            return ("constant", value)
        case str():
            return ("text", " ".join(value.split()).casefold())
        case int() | Decimal():
            return ("number", Decimal(value))
        case list():
            return [_plain(one) for one in value]
        case dict():
            return {name: _plain(member) for name, member in value.items()}
        case _:
            return value
