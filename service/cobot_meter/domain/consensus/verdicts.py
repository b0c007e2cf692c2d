"""Short answers of a panel, made alike and counted: a number, a label, yes or no.

Two answers are the same when they mean the same without judging: `1,250.0` and `$1250`, `(B)` and
"Answer: b.". Where members differ, or one cannot be read, that is said first: on recorded answers
to school mathematics nine in ten of the better model's errors are among those where two models
differ (`docs/benchmarks.md`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cobot_meter.domain.outside import text

# What is longer than this is no short answer, unless it says where its answer stands.
LABEL_MAX = 80
READ_CHARS = 20_000

_MEMBER = re.compile(
    r"\"(?:verdict|answer|result)\"\s*:\s*(?P<said>\"(?:[^\"\\]|\\.){0,500}\"|[\w.+-]{1,40})",
    re.IGNORECASE,
)
# Where a longer text says that its answer stands.
_STATED = (
    re.compile(r"####\s*(?P<said>[^\n]+)"),
    re.compile(r"\\boxed\{(?P<said>[^{}\n]{1,80})\}"),
    re.compile(r"\b(?:answer|verdict)\s*(?:is|:|=)[\s:*]*(?P<said>[^\n]+)", re.IGNORECASE),
)
_NUMBER = re.compile(r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d{1,30})(?:\.\d{1,30})?", re.ASCII)
_ALONE = re.compile(rf"[$€£]?(?P<number>{_NUMBER.pattern})(?P<percent>\s*%)?(?!\w)", re.ASCII)
_YES_NO = re.compile(
    r"(?P<word>yes|true|correct|no|false|incorrect)(?=\s*(?:\Z|[,.;:!(–—]|because\b|since\b))"
)
_OPTION = re.compile(r"(?:option |choice )?\(?(?P<letter>[a-z])(?:\Z|[).:](?=\s|\Z))", re.ASCII)
_STRESS = re.compile(r"\*+|`+|__+")
_WRAPS = " '\"{}[].,;!\\"
_MEANS_YES = frozenset({"yes", "true", "correct"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one member answered: as it is counted, and as it was said. None: it cannot be read."""

    model: str
    verdict: str | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Members who answered the same."""

    verdict: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteCount:
    """The vote: groups by their size, `verdict` of the largest one, None where two are as large.

    `margin` is by how many votes it leads. `disagreement`: not everybody has said the same.
    """

    votes: tuple[Vote, ...]
    groups: tuple[Group, ...]
    verdict: str | None
    margin: int
    disagreement: bool


def count_votes(answers: Sequence[tuple[str, str]]) -> VoteCount:
    """The vote of these members, each a model and its whole answer, in the panel's order."""
    votes = tuple(
        Vote(model=model, verdict=verdict_of(answer), said=text(answer))
        for model, answer in answers
    )
    by_verdict: dict[str, list[str]] = {}
    for vote in votes:
        if vote.verdict is not None:
            by_verdict.setdefault(vote.verdict, []).append(vote.model)
    groups = tuple(
        Group(verdict=verdict, models=tuple(models))
        for verdict, models in sorted(by_verdict.items(), key=lambda one: -len(one[1]))
    )
    sizes = [len(group.models) for group in groups] + [0, 0]
    margin = sizes[0] - sizes[1]
    return VoteCount(
        votes=votes,
        groups=groups,
        verdict=groups[0].verdict if margin else None,
        margin=margin,
        disagreement=len(groups) > 1 or any(vote.verdict is None for vote in votes),
    )


def verdict_of(answer: str) -> str | None:
    """The short answer in a text, in one way of writing; None where there is none to be read."""
    said = text(answer).strip()[-READ_CHARS:]
    member = _last(_MEMBER, said)
    if member is not None:
        return _normal(member.strip('"'))
    # What counts is what was said last: reasoning comes before its result.
    for pattern in _STATED:
        stated = _last(pattern, said)
        if stated is not None:
            return _normal(stated)
    if len(said) <= LABEL_MAX and "\n" not in said:
        return _normal(said)
    numbers = _NUMBER.findall(said)
    return _number(numbers[-1]) if numbers else None


def _last(pattern: re.Pattern[str], said: str) -> str | None:
    found = [one["said"] for one in pattern.finditer(said)]
    return found[-1] if found else None


def _normal(said: str) -> str | None:
    """One way of writing what was said; None for what is no short answer."""
    short = " ".join(_STRESS.sub("", said).split()).strip(_WRAPS).casefold()
    word = _YES_NO.match(short)
    if word is not None:
        return "yes" if word["word"] in _MEANS_YES else "no"
    option = _OPTION.match(short)
    if option is not None:
        return option["letter"]
    number = _ALONE.match(short)
    # Of several numbers none is the answer alone: two lists are the same when all of them are.
    if number is not None and len(_NUMBER.findall(short)) == 1:
        return _number(number["number"]) + ("%" if number["percent"] else "")
    return short if 0 < len(short) <= LABEL_MAX else None


def _number(said: str) -> str:
    """Without separators, and zeros that say nothing."""
    sign = "-" if said[0] in "-−" else ""
    whole, _, part = said.lstrip("-+−").replace(",", "").partition(".")
    plain = (whole.lstrip("0") or "0") + (f".{part}" if (part := part.rstrip("0")) else "")
    return plain if plain == "0" else sign + plain
