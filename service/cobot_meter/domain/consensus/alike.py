"""How alike two findings are, in thousandths, without a model: the rare words that they share.

Identifiers are taken apart and words cut to their stems, so that `sanitizeAnchors` and "sanitized
anchor" meet. A word weighs what it tells within the panel's own findings: one that all of them use
says nothing of which are the same. English function words weigh a quarter of that, since a panel
says too little for their frequency to show. Where a claim stands moves the likeness, and alone
neither makes nor refuses a match: lines that models name are often wrong.

Everything is counted in integers, so that the same answers give the same report on every machine.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cobot_meter.domain.consensus.findings import PanelFinding

# Of each claim so much is compared; a finding that goes on for longer has said what it is about.
COMPARED_CHARS = 1_000
FULL = 1_000
NEAR_LINES = 10
# What standing near each other adds to the likeness of two claims.
NEAR_BONUS = 50

_WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_ENDINGS = ("ing", "ed", "es", "s", "ly")
_STEM_MIN = 4
_FUNCTION_WORD_SHARE = 4
# Logarithms are read off the length of a power, in steps of 1/64 of a doubling.
_POWER = 64
_FUNCTION_WORDS_TEXT = """
a about above after again all also an and another any are as at be because been before being
between both but by can cannot could did do does doing done due during each either even every
for from further had has have having here how however if in instead into is it its itself just
may might more most must neither no nor not now of off on once one only onto or other otherwise
our out over own per rather same shall should since so some still such than that the their them
themselves then there therefore these they this those though through thus to too under unless
until up upon us use used uses using very via was we were what when where whereas whether which
while who whose why will with within without would yet you your
"""
_FUNCTION_WORDS = frozenset(_FUNCTION_WORDS_TEXT.split())


@dataclass(frozen=True, slots=True)
class Weighed:
    """A finding with its words, and what they weigh together."""

    finding: PanelFinding
    words: frozenset[str]
    weight: int


class Likeness:
    """Compares the findings that it was made of; words of any other weigh nothing."""

    def __init__(self, findings: Sequence[PanelFinding]) -> None:
        """The weights come from how many of the findings use a word."""
        words = [_words(finding) for finding in findings]
        used = Counter(word for one in words for word in one)
        most = _doublings(len(findings) + 1)
        weights = {n: most - _doublings(n) for n in set(used.values())}
        self._weights = {word: _weight(word, weights[n]) for word, n in used.items()}
        self.weighed = tuple(
            Weighed(finding, one, self._of(one))
            for finding, one in zip(findings, words, strict=True)
        )

    def of_words(self, one: Weighed, other: Weighed) -> int:
        """The share of their words' weight that both have, wherever they stand."""
        shared = self._of(one.words & other.words)
        either = one.weight + other.weight - shared
        return shared * FULL // either if either else 0

    def of(self, one: Weighed, other: Weighed) -> int:
        """The same, with the places that both name."""
        return _placed(one.finding, other.finding, self.of_words(one, other))

    def _of(self, words: frozenset[str]) -> int:
        return sum(map(self._weights.__getitem__, words))


def _placed(one: PanelFinding, other: PanelFinding, alike: int) -> int:
    """Two places in one file add to it, and two files halve it."""
    if not (one.file and other.file):
        return alike
    if not _same_file(one.file, other.file):
        return alike // 2
    return min(alike + NEAR_BONUS, FULL) if alike and _near(one, other) else alike


def _same_file(one: str, other: str) -> bool:
    """Whether one path is the other, or its end: models name files from different folders."""
    short, long = sorted((one.removeprefix("./"), other.removeprefix("./")), key=len)
    return long == short or long.endswith(f"/{short}")


def _near(one: PanelFinding, other: PanelFinding) -> bool:
    first, second = lines_of(one), lines_of(other)
    if first is None or second is None:
        return False
    return first[0] - NEAR_LINES <= second[1] and second[0] - NEAR_LINES <= first[1]


def lines_of(finding: PanelFinding) -> tuple[int, int] | None:
    """The first and the last line that a finding names; None where it names none."""
    named = [line for line in (finding.line_start, finding.line_end) if line is not None]
    return (min(named), max(named)) if named else None


def _words(finding: PanelFinding) -> frozenset[str]:
    found: set[str] = set()
    for word in set(_WORD.findall(finding.claim[:COMPARED_CHARS])):
        parts = (word,) if word.islower() and word.isalpha() else _PART.findall(word)
        if len(parts) != 1:
            found.add(word.lower())
        found.update(_stem(part.lower()) for part in parts)
    return frozenset(found)


def _stem(word: str) -> str:
    if not word.endswith(_ENDINGS) or word in _FUNCTION_WORDS:
        return word
    stems = (word.removesuffix(ending) for ending in _ENDINGS)
    return next((stem for stem in stems if _STEM_MIN <= len(stem) < len(word)), word)


def _doublings(number: int) -> int:
    """The logarithm of a positive number, in steps of 1/64 of a doubling."""
    return int((number**_POWER).bit_length())


def _weight(word: str, weight: int) -> int:
    return weight // _FUNCTION_WORD_SHARE if word in _FUNCTION_WORDS else weight
