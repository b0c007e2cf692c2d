"""The gate: texts, ids, counts and times from outside are let in here, and nowhere else.

Outside is everybody but this code: the upstream, the node, the rate services, callers, the
operator, and files that are read back. What has passed can be stored in both databases, signed,
sent as a header (ids) and shown in a terminal (`shown`), without a second thought. Amounts pass
`money.py`, which has their one bound.

What cannot be mended is None, never an exception: whoever reads decides what a missing value
means there.
"""

from __future__ import annotations

import re
import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Long enough for a sentence about a fault, short enough to be kept for ever.
SENTENCE_MAX = 500
NAME_MAX = 200
# Deeper than anything that means something, and as deep as every writer and reader of JSON can go.
DEPTH_MAX = 100
# Larger counts than any model's tokens, and far from what a column or a double can hold.
COUNT_MAX = 10**12
# The year 2286: as far as ten digits of seconds go.
TIME_MAX_MS = 9_999_999_999_999

_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_IDENTIFIER = re.compile(rf"[!-~]{{1,{NAME_MAX}}}")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Terminals act on these: controls, and the marks that turn the direction of a line.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def text(said: str, *, most: int | None = None) -> str:
    """`said` as UTF-8 and both databases can hold it, of at most `most` characters.

    Two halves of one character that came apart are joined; a half without its other, and NUL,
    become U+FFFD.
    """
    if not said.isascii() and _SURROGATE.search(said):
        said = said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if "\0" in said:
        said = said.replace("\0", REPLACEMENT)
    return said if most is None else said[:most]


def maybe_text(said: object, *, most: int = NAME_MAX) -> str:
    """A text for what may be no text at all: then it is empty."""
    return text(said, most=most) if isinstance(said, str) else ""


def value(said: object, *, depth: int = DEPTH_MAX) -> object:
    """A JSON value as every reader and writer of JSON takes it: texts and members' names mended.

    Numbers that no two readers read alike (over 64 bits) and what lies deeper than `depth` are
    None. Other types are left as they are: they are whoever's who put them there.
    """
    match said:
        case str():
            mended = text(said)
            return said if mended == said else mended
        case dict() if depth:
            return {text(name): value(member, depth=depth - 1) for name, member in said.items()}
        case list() if depth:
            return [value(member, depth=depth - 1) for member in said]
        case dict() | list():
            return None
        case int():
            return said if _INT_MIN <= said <= _INT_MAX else None
        case _:
            return said


def identifier(said: object) -> str | None:
    """An id: 1 to 200 visible ASCII characters, fit for a header and a path; else None."""
    return said if isinstance(said, str) and _IDENTIFIER.fullmatch(said) else None


def count(said: object, *, most: int = COUNT_MAX) -> int | None:
    """A whole number from 0 to `most`, or its ASCII digits; None for anything else."""
    if isinstance(said, str):
        if not (said.isascii() and said.isdigit() and len(said) <= len(str(most))):
            return None
        said = int(said)
    if isinstance(said, bool) or not isinstance(said, int) or not 0 <= said <= most:
        return None
    return said


def time_ms(said: object, *, unit_ms: int = 1) -> int | None:
    """A Unix time in ms up to the year 2286, said in units of `unit_ms`; else None."""
    units = count(said, most=TIME_MAX_MS // unit_ms)
    return None if units is None else units * unit_ms


def shown(said: str, *, most: int = SENTENCE_MAX) -> str:
    """One line for a terminal, a log or a sentence: nothing in it moves a cursor or hides."""
    mended = text(said[: most + 1])
    plain = "".join(
        " " if char in "\t\n\r" else REPLACEMENT if unicodedata.category(char) in _UNSHOWN else char
        for char in mended
    )
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
