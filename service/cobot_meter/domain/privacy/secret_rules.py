"""Secrets by rule: keys that are known by their look, by the name before them, or by a phrase.

The rules are data (`secret_rules.toml`); a pattern is compiled when a word of it is first seen.
Must not know: whose text it is, or what becomes of it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cobot_meter.domain.privacy.texts import longest_word

# Beside this file.
RULES = "secret_rules.toml"
# Keys are runs of these; what stands shortly before one may be its name.
RUN_MIN = 16
_RUN = re.compile(rf"[A-Za-z0-9_+/=.~%-]{{{RUN_MIN},}}")
_NAME_CHARS = 64
_BETWEEN = r"[\w .-]{0,30}?[\"'`\])]{0,2}\s{0,3}(?:=>|:=|[:=]|[\"'],)\s{0,3}(?:Bearer )?[\"'`]{0,2}"
_GENERIC = "generic-"
_DISTINCT_MIN = 7
_DIGITS_MIN = 4
_CHAOTIC_MIN = 18
_HEX = re.compile(r"[0-9a-fA-F-]+")


@dataclass(frozen=True)
class SecretRule:
    """One format. `words` stand in lower case wherever `pattern` can match."""

    name: str
    words: tuple[str, ...]
    pattern: str
    named: bool = False
    anywhere: bool = False

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The whole pattern, with what must stand around it."""
        if self.anywhere:
            return re.compile(self.pattern, re.IGNORECASE)
        if not self.named:
            return re.compile(rf"(?<![A-Za-z0-9]){self.pattern}")
        names = "|".join(map(re.escape, self.words))
        return re.compile(rf"(?i:{names}){_BETWEEN}({self.pattern})(?![\w(\[])", re.ASCII)

    def is_in(self, text: str) -> bool:
        """Whether `text` holds such a secret."""
        if not self.named:
            return self.compiled.search(text) is not None
        drawn = _drawn_at_random if self.name.startswith(_GENERIC) else _no_word
        return any(drawn(found[1]) for found in self.compiled.finditer(text))


class SecretRules:
    """All rules, by the words that call for them."""

    def __init__(self, rules: Sequence[SecretRule]) -> None:
        """`rules` in any order."""
        self.rules = tuple(rules)
        self._by_run = _by_word(rule for rule in rules if not rule.anywhere)
        self._anywhere = _by_word(rule for rule in rules if rule.anywhere)

    def candidates(self, text: str, lowered: str) -> Iterator[tuple[SecretRule, str]]:
        """The rules that are worth trying, each with the part of `text` to try it on.

        `lowered` is the same text in lower case.
        """
        for rule in _called_for(self._anywhere, lowered):
            yield rule, text
        around = around_runs(text)
        if around:
            for rule in _called_for(self._by_run, around.lower()):
                yield rule, around


def read_rules(written: str) -> SecretRules:
    """The rules of a file. Raises ValueError for one that is not written as they are."""
    tables = tomllib.loads(written)
    rules = []
    for table, named, anywhere in (
        ("look", False, False),
        ("named", True, False),
        ("phrase", False, True),
    ):
        for name, parts in tables[table].items():
            *words, pattern = parts
            rules.append(
                SecretRule(
                    name=name, words=tuple(words), pattern=pattern, named=named, anywhere=anywhere
                )
            )
    return SecretRules(rules)


def around_runs(text: str) -> str:
    """The parts of `text` that a key could stand in, a line each; empty where there are none."""
    if longest_word(text) < RUN_MIN:
        return ""
    parts: list[tuple[int, int]] = []
    for run in _RUN.finditer(text):
        start, end = max(run.start() - _NAME_CHARS, 0), run.end()
        if parts and start <= parts[-1][1]:
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((start, end))
    return "\n".join(text[start:end] for start, end in parts)


def _by_word(rules: Iterator[SecretRule]) -> Mapping[str, tuple[SecretRule, ...]]:
    found: dict[str, tuple[SecretRule, ...]] = {}
    for rule in rules:
        for word in rule.words:
            found[word] = (*found.get(word, ()), rule)
    return found


def _called_for(
    by_word: Mapping[str, tuple[SecretRule, ...]], lowered: str
) -> Iterator[SecretRule]:
    tried: set[str] = set()
    for word, rules in by_word.items():
        if word not in lowered:
            continue
        for rule in rules:
            if rule.name not in tried:
                tried.add(rule.name)
                yield rule


def _no_word(value: str) -> bool:
    """Letters and digits, not many of them alike."""
    digits = sum(sign.isdigit() for sign in value)
    return 0 < digits < len(value) and len(set(value)) >= _DISTINCT_MIN


def _drawn_at_random(value: str) -> bool:
    """The look of chance, which names in programs have not: `hidden_layer_2` is none."""
    if not _no_word(value):
        return False
    digits = sum(sign.isdigit() for sign in value)
    mixed = value.lower() != value and value.upper() != value
    if _HEX.fullmatch(value):
        return digits >= _DIGITS_MIN
    chaotic = "_" not in value or len(set(value)) >= _CHAOTIC_MIN
    return digits >= _DIGITS_MIN or (mixed and digits > 1 and chaotic)
