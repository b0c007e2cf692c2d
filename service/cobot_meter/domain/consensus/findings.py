"""What one member of a panel found: a claim about a place, read from its structured answer.

A model is asked for a JSON list of findings and often says more than that, or stops in the middle
of it. Every item that can be read is a finding; every other text of the answer is kept as it came,
so that nothing a model has said is lost on the way to whoever paid for it.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from cobot_meter.domain.outside import count, text, value

# Where a list may begin; each that turns out to be none costs a look at what follows it.
_LIST = re.compile(r"\[\s*(?=[{\]])")
LISTS_TRIED_MAX = 8
LINE_MAX = 10**7
_SPACE = re.compile(r"\s*")
# What stands around a list in a well-meant answer and says nothing.
_WRAP_MAX = 100
_BEFORE = re.compile(r"(?:```\w{0,20}\s*)?(?:\{\s*\"[\w ]{1,40}\"\s*:)?\Z")
_AFTER = re.compile(r"\]\s*\}?\s*(?:```)?")
# The names that models give to the fields they were asked for, the one asked for first.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "claim": ("claim", "description", "message", "issue", "title"),
    "severity": ("severity", "level"),
    "category": ("category", "type"),
    "file": ("file", "path", "filename"),
    "line_start": ("line_start", "start_line", "line"),
    "line_end": ("line_end", "end_line"),
    "evidence_quote": ("evidence_quote", "quote", "evidence"),
}


class Severity(enum.IntEnum):
    """How bad it would be, the worst first; what nobody can place comes before what is harmless."""

    CRITICAL = 0
    HIGH = 1
    UNSTATED = 2
    MEDIUM = 3
    LOW = 4

    @property
    def word(self) -> str:
        """As it is read."""
        return self.name.lower()

    @property
    def on_top(self) -> bool:
        """Whether it is looked at even where one member alone says so."""
        return self <= Severity.HIGH


_SEVERITIES: Mapping[str, Severity] = {
    **dict.fromkeys(("critical", "blocker", "fatal", "severe"), Severity.CRITICAL),
    **dict.fromkeys(("high", "major", "serious", "error", "important"), Severity.HIGH),
    **dict.fromkeys(("medium", "moderate", "warning", "normal"), Severity.MEDIUM),
    **dict.fromkeys(
        ("low", "minor", "info", "informational", "note", "nit", "trivial", "style", "suggestion"),
        Severity.LOW,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelFinding:
    """One claim. `model` said it as its `number`-th; `severity_said` is the word that it used.

    Lines are None where none was named. `more` is whatever else the item had, as JSON; empty
    without.
    """

    model: str
    number: int
    claim: str
    severity: Severity = Severity.UNSTATED
    severity_said: str = ""
    category: str = ""
    file: str = ""
    line_start: int | None = None
    line_end: int | None = None
    evidence_quote: str = ""
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """What a member said that is no finding which can be read, as it came."""

    model: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberAnswer:
    """All that one member has said, taken apart."""

    model: str
    findings: tuple[PanelFinding, ...]
    unread: tuple[Unread, ...] = ()


def read_findings(model: str, answer: str) -> MemberAnswer:
    """The findings of an answer, and what of it is none: an object without a claim, prose, a rest.

    It takes the list alone, within an object, within a code fence, and one that breaks off.
    """
    said = text(answer)
    decoder = json.JSONDecoder(object_pairs_hook=_object)
    for found in islice(_LIST.finditer(said), LISTS_TRIED_MAX):
        items = tuple(_items(decoder, said, found.end()))
        end = items[-1].end if items else found.end()
        if items or said.startswith("]", end):
            return _read(model, items, _around(said, found.start(), end))
    return _read(model, (), (said.strip(),) if said.strip() else ())


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    """An object that keeps what it says twice under a name."""
    kept: dict[str, object] = {}
    for name, member in members:
        kept[name if name not in kept else f"{name} ({len(kept) + 1})"] = member
    return kept


class _Item(NamedTuple):
    """One item of a list: its value, its very text, and where that ends."""

    value: object
    text: str
    end: int


def _items(decoder: json.JSONDecoder, said: str, at: int) -> Iterator[_Item]:
    """The items of the list from `at` on, as far as it can be read."""
    while True:
        start = _past_space(said, at)
        try:
            item, at = decoder.raw_decode(said, start)
        except (ValueError, RecursionError):  # of a nesting or a number beyond what can be read
            return
        yield _Item(item, said[start:at], at)
        at = _past_space(said, at)
        if not said.startswith(",", at):
            return
        at += 1


def _past_space(said: str, at: int) -> int:
    found = _SPACE.match(said, at)
    return found.end() if found else at


def _around(said: str, start: int, end: int) -> tuple[str, ...]:
    """What stands before and after a list, without what only wraps it."""
    before = said[:start].rstrip()
    wrap = _BEFORE.search(before, max(len(before) - _WRAP_MAX, 0))
    before = before[: wrap.start()] if wrap else before
    after = said[_past_space(said, end) :]
    if after.startswith("]"):
        closing = _AFTER.match(after)
        after = after[closing.end() :] if closing else after
    return tuple(part for one in (before, after) if (part := one.strip()))


def _read(model: str, items: tuple[_Item, ...], rest: tuple[str, ...]) -> MemberAnswer:
    findings: list[PanelFinding] = []
    unread = list(rest)
    for item in items:
        mended = value(item.value)
        finding = _finding(model, len(findings) + 1, mended)
        if finding is not None:
            findings.append(finding)
        if finding is None or mended != item.value:
            unread.append(item.text)
    return MemberAnswer(
        model=model,
        findings=tuple(findings),
        unread=tuple(Unread(model=model, text=one) for one in unread),
    )


def _finding(model: str, number: int, item: object) -> PanelFinding | None:
    """The finding that this is; None without a claim, which is what makes one."""
    if not isinstance(item, dict):
        return None
    left = dict(item)
    claim = _taken_text(left, "claim")
    if not claim:
        return None
    severity = _taken_text(left, "severity")
    return PanelFinding(
        model=model,
        number=number,
        claim=claim,
        severity=_SEVERITIES.get(severity.casefold(), Severity.UNSTATED),
        severity_said=severity,
        category=_taken_text(left, "category"),
        file=_taken_text(left, "file"),
        line_start=_taken_line(left, "line_start"),
        line_end=_taken_line(left, "line_end"),
        evidence_quote=_taken_text(left, "evidence_quote"),
        more=json.dumps(left, ensure_ascii=False) if left else "",
    )


def _taken_text(left: dict[str, object], field: str) -> str:
    """The text of a field, by whichever of its names it has, taken out; else empty."""
    for name in _NAMES[field]:
        said = left.get(name)
        if isinstance(said, str) and said.strip():
            del left[name]
            return said.strip()
    return ""


def _taken_line(left: dict[str, object], field: str) -> int | None:
    for name in _NAMES[field]:
        line = count(left.get(name), most=LINE_MAX)
        if line is not None:
            del left[name]
            return line
    return None
