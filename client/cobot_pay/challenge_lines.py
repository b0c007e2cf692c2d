"""Reads `WWW-Authenticate` lines into challenges, forgiving how sellers write them.

Taken: several challenges in one line and several lines, values as quoted strings or bare tokens
(base64 with its `=` too), parameters parted by commas, semicolons or blanks, in any order and case.
Linear in the length of a line, and bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

LINES_MAX = 32
LINE_CHARACTERS_MAX = 16_384

_BETWEEN = re.compile(r"[\s,;]*")
_NAME = re.compile(r"[^\s,;=\"']+")
_EQUALS = re.compile(r"\s*=\s*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_BARE = re.compile(r"[^\s,;\"']*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One scheme with its parameters; names in lower case, and the first of a name counts."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def read_challenges(lines: Iterable[str]) -> Iterator[Challenge]:
    """Every challenge in order. Never raises; what cannot be read ends its line."""
    for line in islice(lines, LINES_MAX):
        yield from _challenges(line[:LINE_CHARACTERS_MAX])


def _challenges(line: str) -> Iterator[Challenge]:
    scheme, parameters, at = "", dict[str, str](), 0
    while True:
        at = _end(_BETWEEN, line, at)
        name = _NAME.match(line, at)
        if name is None:
            break
        equals = _EQUALS.match(line, name.end())
        if equals is None:  # no value follows: the next scheme
            if scheme:
                yield Challenge(scheme=scheme, parameters=parameters)
            scheme, parameters, at = name[0].lower(), {}, name.end()
            continue
        value, at = _value(line, equals.end())
        if value is None:
            break
        parameters.setdefault(name[0].lower(), value)
    if scheme:
        yield Challenge(scheme=scheme, parameters=parameters)


def _value(line: str, at: int) -> tuple[str | None, int]:
    """The value that begins here and where it ends; None for a quoted string without an end."""
    quoted = _QUOTED.match(line, at)
    if quoted is not None:
        double, single = quoted[1], quoted[2]
        return (single if double is None else _ESCAPED.sub(r"\1", double)), quoted.end()
    if line[at : at + 1] in {'"', "'"}:
        return None, at
    bare = _BARE.match(line, at)
    return (bare[0] if bare else ""), _end(_BARE, line, at)


def _end(pattern: re.Pattern[str], line: str, at: int) -> int:
    found = pattern.match(line, at)
    return found.end() if found else at
