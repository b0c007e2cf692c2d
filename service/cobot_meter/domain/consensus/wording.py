"""A panel's report as it is read: as a text for people and models, and as JSON for programs.

Both say the same, in the same order. Texts of models stay as they are; only what would end a line
in the text form is taken out of what stands in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cobot_meter.domain.consensus.findings import PanelFinding, Unread
from cobot_meter.domain.consensus.report import Point, Review, Stated
from cobot_meter.domain.consensus.verdicts import VoteCount

_NOTHING = "The panel has found nothing."


def review_text(report: Review) -> str:
    """The report in Markdown: agreed, disputed, then what one alone has said."""
    parts = [
        *_part("Agreed by all", report.agreed),
        *_part("Disputed", report.disputed),
        *_part("Said by one alone", report.unique),
    ]
    told = parts or [_NOTHING]
    return "\n\n".join([f"Asked: {', '.join(report.members)}.", *told, *_unread(report.unread)])


def _part(title: str, points: Sequence[Point]) -> Iterator[str]:
    if points:
        yield f"## {title} ({len(points)})"
        yield "\n".join(line for point in points for line in _lines(point))


def _lines(point: Point) -> Iterator[str]:
    """One line for the first who said it, and one below it for each other."""
    first, *others = point.stated
    silent = f" Silent: {', '.join(point.silent)}." if point.silent and others else ""
    word = f"{point.severity.word}, not in the text" if point.unfounded else point.severity.word
    yield f"- **{word}** {_said(first)}{silent}"
    for other in others:
        yield f"  - {_said(other)}"


def _said(stated: Stated) -> str:
    finding = stated.finding
    place = _place(finding)
    not_found = f" (not found: {', '.join(stated.not_found)})" if stated.not_found else ""
    where = f"{place}: " if place else ""
    return f"{where}{_one_line(finding.claim)} — {finding.model}{not_found}"


def _place(finding: PanelFinding) -> str:
    lines = [str(one) for one in (finding.line_start, finding.line_end) if one is not None]
    return ":".join(part for part in (_one_line(finding.file), "–".join(lines)) if part)


def _one_line(said: str) -> str:
    return " ".join(said.split())


def _unread(unread: Sequence[Unread]) -> Iterator[str]:
    """At the end and whole: nobody knows what it is worth."""
    if unread:
        yield "## What else was said"
        yield from (f"{one.model}:\n\n{one.text}" for one in unread)


def review_json(report: Review) -> dict[str, object]:
    """The report for a program; findings are named by their member and their number there."""
    return {
        "kind": "review",
        "members": list(report.members),
        "agreed": [_point_json(point) for point in report.agreed],
        "disputed": [_point_json(point) for point in report.disputed],
        "unique": [_point_json(point) for point in report.unique],
        "texts": [{"model": one.model, "text": one.text} for one in report.unread],
    }


def _point_json(point: Point) -> dict[str, object]:
    return {
        "severity": point.severity.word,
        "severity_differs": point.severity_differs,
        "unfounded": point.unfounded,
        "said_by": list(point.said_by),
        "silent": list(point.silent),
        "findings": [_finding_json(stated) for stated in point.stated],
    }


def _finding_json(stated: Stated) -> dict[str, object]:
    finding = stated.finding
    return {
        "model": finding.model,
        "number": finding.number,
        "claim": finding.claim,
        "severity": finding.severity_said or finding.severity.word,
        "category": finding.category,
        "file": finding.file,
        "line_start": finding.line_start,
        "line_end": finding.line_end,
        "evidence_quote": finding.evidence_quote,
        "more": finding.more,
        "not_found": list(stated.not_found),
    }


def votes_text(votes: VoteCount) -> str:
    """The verdict in front, who said so, and what nobody could count."""
    lines = [_headline(votes)]
    lines += [f"- {group.verdict}: {', '.join(group.models)}" for group in votes.groups]
    uncounted = [vote for vote in votes.votes if vote.verdict is None]
    return "\n\n".join(
        ["\n".join(lines), *(f"Not counted, {one.model}:\n\n{one.said}" for one in uncounted)]
    )


def _headline(votes: VoteCount) -> str:
    asked = len(votes.votes)
    if votes.verdict is None:
        return f"**No verdict**: the {asked} answers do not lead to one."
    lead = f"{len(votes.groups[0].models)} of {asked}"
    return f"**{votes.verdict}** ({lead}{'; they disagree' if votes.disagreement else ''})"


def votes_json(votes: VoteCount) -> dict[str, object]:
    """The count for a program, with each whole answer."""
    return {
        "kind": "verdict",
        "verdict": votes.verdict,
        "margin": votes.margin,
        "disagreement": votes.disagreement,
        "groups": [
            {"verdict": group.verdict, "models": list(group.models)} for group in votes.groups
        ],
        "votes": [
            {"model": vote.model, "verdict": vote.verdict, "said": vote.said}
            for vote in votes.votes
        ],
    }


# The model, the code of its failure, and the sentence that goes with it.
Failed = tuple[str, str, str]


def failed_text(failed: Sequence[Failed]) -> str:
    """Who was asked and has not answered; empty where everybody has."""
    if not failed:
        return ""
    lines = "\n".join(f"- {model}: {_one_line(why)} ({code})" for model, code, why in failed)
    return f"## Who did not answer\n\n{lines}"


def failed_json(failed: Sequence[Failed]) -> list[dict[str, str]]:
    """The same for a program."""
    return [{"model": model, "error": code, "message": why} for model, code, why in failed]
