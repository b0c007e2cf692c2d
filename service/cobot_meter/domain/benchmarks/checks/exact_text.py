"""Replies that have to be one text of a few: an answer by its words, or a text line by line.

Where a question has several right answers (two spellings, two words for one thing) all of them are
listed beside it; what is not listed is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cobot_meter.domain.benchmarks.checks.final_answer import ExactWords

_WORD = re.compile(r"[^\W_]+")
_FENCE = re.compile(r"\s*```[a-z]*\s*\n(.*?)\n?```\s*", re.DOTALL | re.IGNORECASE)
_NO_EMPHASIS = str.maketrans("", "", "*`")
_AROUND = " \t\"'`*_."


@dataclass(frozen=True, slots=True)
class AnyAnswer:
    """One of these answers, behind the last `Answer:` or in the last line, in any case."""

    accepted: tuple[str, ...]

    def passes(self, reply: str) -> bool:
        """Whether it is one of them."""
        plain = reply.translate(_NO_EMPHASIS)
        return any(ExactWords(one).passes(plain) for one in self.accepted)


@dataclass(frozen=True, slots=True)
class SameWords:
    """The whole reply has the words of one of these texts, in order and in any case.

    Punctuation does not count: a translation is not wrong for an apostrophe of another kind.
    """

    accepted: tuple[str, ...]

    def passes(self, reply: str) -> bool:
        """Whether it has the words of one of them."""
        said = _words(reply)
        return any(said == _words(one) for one in self.accepted)


@dataclass(frozen=True, slots=True)
class ExactLines:
    """Exactly these lines, in this order and case.

    Blank lines do not count, nor do marks and full stops around a line.
    """

    expected: tuple[str, ...]

    def passes(self, reply: str) -> bool:
        """Whether the reply has these lines, and no other."""
        return _lines(reply) == [one.strip(_AROUND) for one in self.expected]


@dataclass(frozen=True, slots=True)
class Names:
    """All of these facts stand in the reply, each by a word or a few, in any case."""

    facts: tuple[str, ...]

    def passes(self, reply: str) -> bool:
        """Whether none is missing."""
        said = reply.casefold()
        return all(one.casefold() in said for one in self.facts)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _lines(reply: str) -> list[str]:
    fenced = _FENCE.fullmatch(reply)
    body = fenced.group(1) if fenced else reply
    return [line.strip(_AROUND) for line in body.splitlines() if line.strip(_AROUND)]
