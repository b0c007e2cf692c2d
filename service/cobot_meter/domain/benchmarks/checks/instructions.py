"""Instructions whose keeping can be seen from the reply alone, in the kinds that IFEval made known.

A reply keeps an item when it keeps all of its instructions. Nothing here asks whether it is any
good: that would take another model, and its opinion would drift with its provider.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

_WORD = re.compile(r"[^\W_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}-][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")
_BULLET = re.compile(r"^[ \t]*[*-][ \t]+\S", re.MULTILINE)
_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]{1,80}\]")
_TITLE = re.compile(r"<<[^<>\n]{1,200}>>")
_SECTION = re.compile(r"^[ \t#*]*SECTION \d+", re.MULTILINE)


class Instruction(Protocol):
    """One thing that the reply has to be like."""

    def passes(self, reply: str) -> bool:
        """Whether it is."""
        ...


@dataclass(frozen=True, slots=True)
class All:
    """Every one of them."""

    instructions: tuple[Instruction, ...]

    def passes(self, reply: str) -> bool:
        """Whether the reply says something, and keeps them all."""
        said = reply.strip()
        return bool(said) and all(one.passes(said) for one in self.instructions)


@dataclass(frozen=True, slots=True)
class Without:
    """None of these texts, in any case."""

    texts: tuple[str, ...]

    def passes(self, reply: str) -> bool:
        """Whether all of them are left out."""
        said = reply.casefold()
        return not any(one.casefold() in said for one in self.texts)


@dataclass(frozen=True, slots=True)
class Words:
    """So many words."""

    least: int = 1
    most: int = 10**6

    def passes(self, reply: str) -> bool:
        """Whether it is neither shorter nor longer."""
        return self.least <= len(_WORD.findall(reply)) <= self.most


@dataclass(frozen=True, slots=True)
class Sentences:
    """So many sentences."""

    least: int
    most: int

    def passes(self, reply: str) -> bool:
        """Whether there are as many; what follows the last mark is one of its own."""
        ends = list(_SENTENCE_END.finditer(reply))
        rest = reply[ends[-1].end() :] if ends else reply
        found = len(ends) + bool(_WORD.search(rest))
        return self.least <= found <= self.most


@dataclass(frozen=True, slots=True)
class Bullets:
    """Exactly so many lines that begin with `*` or `-`."""

    count: int

    def passes(self, reply: str) -> bool:
        """Whether there are as many."""
        return len(_BULLET.findall(reply)) == self.count


@dataclass(frozen=True, slots=True)
class Paragraphs:
    """Exactly so many, apart from each other by a blank line."""

    count: int

    def passes(self, reply: str) -> bool:
        """Whether there are as many."""
        return len([one for one in _PARAGRAPHS.split(reply) if one.strip()]) == self.count


@dataclass(frozen=True, slots=True)
class Lines:
    """Exactly so many lines that are not blank."""

    count: int

    def passes(self, reply: str) -> bool:
        """Whether there are as many."""
        return len([one for one in reply.splitlines() if one.strip()]) == self.count


@dataclass(frozen=True, slots=True)
class WordTimes:
    """A word, by itself and in any case, so often."""

    word: str
    least: int = 1
    most: int = 10**6

    def passes(self, reply: str) -> bool:
        """Whether it is said as often."""
        wanted = self.word.casefold()
        found = sum(1 for one in _WORD.findall(reply) if one.casefold() == wanted)
        return self.least <= found <= self.most


@dataclass(frozen=True, slots=True)
class LetterTimes:
    """A letter, in any case, so often."""

    letter: str
    least: int
    most: int = 10**6

    def passes(self, reply: str) -> bool:
        """Whether it is written as often."""
        return self.least <= reply.casefold().count(self.letter) <= self.most


@dataclass(frozen=True, slots=True)
class InOneCase:
    """All letters small, or all of them capitals."""

    upper: bool

    def passes(self, reply: str) -> bool:
        """Whether no letter is of the other case, and some are of this one."""
        return reply.isupper() if self.upper else reply.islower()


@dataclass(frozen=True, slots=True)
class CapitalWords:
    """So many words of two letters or more in capitals."""

    least: int
    most: int = 10**6

    def passes(self, reply: str) -> bool:
        """Whether there are as many."""
        found = sum(1 for one in _WORD.findall(reply) if len(one) > 1 and one.isupper())
        return self.least <= found <= self.most


@dataclass(frozen=True, slots=True)
class Begins:
    """With exactly this text."""

    text: str

    def passes(self, reply: str) -> bool:
        """Whether it does."""
        return reply.startswith(self.text)


@dataclass(frozen=True, slots=True)
class Ends:
    """With exactly this text, and nothing after it."""

    text: str

    def passes(self, reply: str) -> bool:
        """Whether it does."""
        return reply.endswith(self.text)


@dataclass(frozen=True, slots=True)
class Quoted:
    """All of it stands in one pair of double quotes."""

    def passes(self, reply: str) -> bool:
        """Whether it does."""
        return len(reply) > 1 and reply.startswith('"') and reply.endswith('"')


@dataclass(frozen=True, slots=True)
class Placeholders:
    """At least so many names in square brackets, such as `[address]`."""

    least: int

    def passes(self, reply: str) -> bool:
        """Whether there are as many."""
        return len(_PLACEHOLDER.findall(reply)) >= self.least


@dataclass(frozen=True, slots=True)
class Titled:
    """A title in double angle brackets, such as `<<on rain>>`."""

    def passes(self, reply: str) -> bool:
        """Whether there is one."""
        return _TITLE.search(reply) is not None


@dataclass(frozen=True, slots=True)
class Sections:
    """Exactly so many, each begun by a line `SECTION 1`, `SECTION 2` and so on."""

    count: int

    def passes(self, reply: str) -> bool:
        """Whether there are as many."""
        return len(_SECTION.findall(reply)) == self.count


@dataclass(frozen=True, slots=True)
class PartsBetween:
    """Exactly so many parts that say something, with this mark between them."""

    mark: str
    count: int

    def passes(self, reply: str) -> bool:
        """Whether there are as many."""
        parts = reply.split(self.mark)
        return len(parts) == self.count and all(part.strip() for part in parts)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Lines in alphabetical order, each once."""

    def passes(self, reply: str) -> bool:
        """Whether they are."""
        lines = [line.strip().casefold() for line in reply.splitlines() if line.strip()]
        return lines == sorted(set(lines))
