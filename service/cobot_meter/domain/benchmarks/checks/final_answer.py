"""Replies that end in one answer: a number, or a few words that have to be said exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

MARKER = "Answer:"
_MARKER = re.compile(r"answer[*_]*\s*(?:is)?\s*:", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d[\d,]{0,40}(?:\.\d{1,20})?")
_MINUS = "\N{MINUS SIGN}"
_AROUND = " \t\r\n*_`\"'.<>()[]{}$\\"


@dataclass(frozen=True, slots=True)
class ExactNumber:
    """The number behind the last `Answer:`; without that mark the last number of the reply."""

    expected: int

    def passes(self, reply: str) -> bool:
        """Whether it is that number, however it is written."""
        plain = reply.replace(_MINUS, "-")
        marked = _behind_marker(plain)
        found = _NUMBER.findall(plain if marked is None else marked)
        if not found:
            return False
        said = found[-1] if marked is None else found[0]
        return Decimal(said.replace(",", "")) == self.expected


@dataclass(frozen=True, slots=True)
class ExactWords:
    """The words behind the last `Answer:`; without that mark the last line of the reply.

    What stands around them does not count, nor how blanks are laid out. With `any_case` letters
    count alike, as they do in names; what a program prints is said as it prints it.
    """

    expected: str
    any_case: bool = True

    def passes(self, reply: str) -> bool:
        """Whether these are the words."""
        marked = _behind_marker(reply)
        lines = (reply if marked is None else marked).strip().splitlines() or [""]
        said = lines[-1] if marked is None else _first_line(lines)
        return self._plain(said) == self._plain(self.expected)

    def _plain(self, words: str) -> str:
        joined = " ".join(words.strip(_AROUND).split())
        return joined.casefold() if self.any_case else joined


def _behind_marker(reply: str) -> str | None:
    marks = list(_MARKER.finditer(reply))
    return reply[marks[-1].end() :] if marks else None


def _first_line(lines: list[str]) -> str:
    """The first that says something: fences of code and lone marks say nothing."""
    return next((line for line in lines if line.strip(_AROUND)), "")
