"""The report of a panel: who agrees, who was silent, and that no finding is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.consensus.alike import FULL, NEAR_BONUS, Likeness
from cobot_meter.domain.consensus.clusters import ALIKE, COMPARED_MAX, clusters_of
from cobot_meter.domain.consensus.findings import MemberAnswer, PanelFinding, Severity, Unread
from cobot_meter.domain.consensus.report import LOOKED_UP_MAX, Point, Review, review

Place = dict[str, Any]

RACE = "Two concurrent requests both pass the device limit check, a race condition"
RACE_TOO = "The device limit check has a race: concurrent requests can pass it together"
TYPO = "The method name santizeAnchors is misspelled"
NULL = "getUser may return null and its result is dereferenced"
LEAK = "The file handle is never closed when parsing fails"


def finding(
    model: str, claim: str, severity: Severity = Severity.MEDIUM, number: int = 1
) -> PanelFinding:
    """One claim of a member."""
    return PanelFinding(model=model, number=number, claim=claim, severity=severity)


def said(model: str, *claims: str) -> MemberAnswer:
    """What a member has answered."""
    return MemberAnswer(
        model=model,
        findings=tuple(
            finding(model, claim, number=at) for at, claim in enumerate(claims, start=1)
        ),
    )


def claims(part: tuple[Point, ...]) -> list[list[tuple[str, str]]]:
    """Who said what, point by point."""
    return [[(one.finding.model, one.finding.claim) for one in point.stated] for point in part]


def test_the_same_finding_in_other_words_is_agreed() -> None:
    """Three who mean one thing stand together, each with its own words."""
    report = review([said("a", RACE, TYPO), said("b", RACE_TOO, NULL), said("c", LEAK, RACE)], "")
    assert claims(report.agreed) == [[("a", RACE), ("b", RACE_TOO), ("c", RACE)]]
    assert report.disputed == ()
    assert claims(report.unique) == [[("a", TYPO)], [("b", NULL)], [("c", LEAK)]]


def test_who_was_silent_is_named() -> None:
    """What two of three say is disputed, not decided."""
    report = review([said("a", RACE, TYPO), said("b", NULL), said("c", RACE_TOO, LEAK)], "")
    (point,) = report.disputed
    assert (point.said_by, point.silent) == (("a", "c"), ("b",))
    assert report.agreed == ()


def test_a_critical_finding_of_one_alone_is_on_top() -> None:
    """The worst comes first, and among equals what names a place that is not there comes last."""
    answers = [
        MemberAnswer(
            model="a",
            findings=(
                finding("a", TYPO, Severity.LOW, 1),
                replace(finding("a", NULL, Severity.CRITICAL, 2), evidence_quote="not in it"),
            ),
        ),
        MemberAnswer(model="b", findings=(finding("b", RACE, Severity.CRITICAL),)),
        MemberAnswer(model="c", findings=(finding("c", LEAK, Severity.UNSTATED),)),
    ]
    report = review(answers, "some code")
    assert [claim for ((_, claim),) in claims(report.unique)] == [RACE, NULL, LEAK, TYPO]
    assert [point.severity.on_top for point in report.unique] == [True, True, False, False]
    assert report.unique[1].unfounded
    assert report.unique[1].stated[0].not_found == ("quote",)


def test_members_who_differ_on_how_bad_it_is_are_shown() -> None:
    """The worst word counts, and the difference is told."""
    answers = [
        MemberAnswer(model="a", findings=(finding("a", RACE, Severity.LOW),)),
        MemberAnswer(model="b", findings=(finding("b", RACE_TOO, Severity.HIGH),)),
    ]
    (point,) = review(answers, "").agreed
    assert (point.severity, point.severity_differs) == (Severity.HIGH, True)


def test_what_a_member_says_twice_is_not_agreement() -> None:
    """A cluster has one finding of each member: repeating oneself is no second voice."""
    report = review([said("a", RACE, RACE_TOO), said("b", NULL)], "")
    assert report.agreed == ()
    assert len(report.unique) == 3


def test_one_who_answered_without_findings_is_silent() -> None:
    """An empty list is an answer: nothing that others say is agreed then."""
    report = review([said("a", RACE), said("b", RACE), said("c")], "")
    assert [point.silent for point in report.disputed] == [("c",)]


@pytest.mark.parametrize(
    ("one", "other", "compared"),
    [
        ({}, {"file": "a.py"}, lambda alike: alike),
        ({"file": "src/a.py"}, {"file": "./src/a.py"}, lambda alike: alike),
        ({"file": "src/a.py"}, {"file": "b.py"}, lambda alike: alike // 2),
        ({"file": "src/a.py"}, {"file": "ra.py"}, lambda alike: alike // 2),
        (
            {"file": "src/a.py", "line_start": 10},
            {"file": "a.py", "line_start": 3, "line_end": 5},
            lambda alike: alike + NEAR_BONUS,
        ),
        (
            {"file": "src/a.py", "line_start": 10},
            {"file": "a.py", "line_end": 50},
            lambda alike: alike,
        ),
    ],
)
def test_places_move_the_likeness(one: Place, other: Place, compared: Callable[[int], int]) -> None:
    """Near each other two claims are liker, and in two files half as like."""
    likeness = Likeness(
        [
            replace(finding("a", RACE), **one),
            replace(finding("b", RACE_TOO), **other),
            finding("c", NULL),
        ]
    )
    first, second, _ = likeness.weighed
    words = likeness.of_words(first, second)
    assert ALIKE < words < FULL - NEAR_BONUS
    assert likeness.of(first, second) == likeness.of(second, first) == compared(words)


def test_no_chain_of_likenesses_joins_strangers() -> None:
    """Every two of a cluster are alike: one in the middle does not bring two others together."""
    left = "cache entries expire early because clocks drift"
    right = "uploads fail silently when disks fill"
    middle = "cache entries expire early; uploads fail silently"
    clusters = clusters_of([[finding("a", left)], [finding("b", middle)], [finding("c", right)]])
    assert sorted(len(cluster) for cluster in clusters) == [1, 2]


def test_beyond_what_is_compared_findings_stand_alone() -> None:
    """Of a flood the worst are compared, and the rest is reported all the same."""
    flood = tuple(finding("a", f"remark {n} on style", Severity.LOW, n) for n in range(1, 500))
    worst = finding("a", RACE, Severity.CRITICAL, 500)
    report = review([MemberAnswer(model="a", findings=(*flood, worst)), said("b", RACE_TOO)], "")
    assert claims(report.agreed) == [[("a", RACE), ("b", RACE_TOO)]]
    assert len(report.unique) == 499 > COMPARED_MAX


def test_of_a_flood_the_worst_are_looked_up() -> None:
    """Searching is bounded: beyond so many findings, the least bad ones are not searched for."""
    flood = tuple(
        replace(finding("a", f"remark {n}", Severity.LOW, n), evidence_quote="invented")
        for n in range(1, 500)
    )
    worst = replace(finding("b", RACE, Severity.CRITICAL), evidence_quote="invented")
    answers = [
        MemberAnswer(model="a", findings=flood),
        MemberAnswer(model="b", findings=(worst,)),
    ]
    points = list(review(answers, "code").points())
    looked_up = [point for point in points if point.unfounded]
    assert len(points) == 500
    assert len(looked_up) == LOOKED_UP_MAX
    assert looked_up[0].stated[0].finding == worst


CLAIMS = st.lists(
    st.sampled_from([RACE, RACE_TOO, TYPO, NULL, LEAK, "", "a", "日本語の指摘", RACE + TYPO]),
    max_size=6,
)
PANELS = st.lists(st.tuples(CLAIMS, st.lists(st.text(max_size=5), max_size=2)), max_size=8)


def reported(report: Review) -> list[PanelFinding]:
    """Every finding of the report, wherever it stands."""
    return [one.finding for point in report.points() for one in point.stated]


@given(panel=PANELS, severities=st.randoms(use_true_random=False))
def test_the_report_is_the_union_of_all_findings(
    panel: list[tuple[list[str], list[str]]], severities: Random
) -> None:
    """Each finding of each member stands in the report exactly once, and each unread text too."""
    answers = [
        MemberAnswer(
            model=f"maker{at}/model",
            findings=tuple(
                finding(f"maker{at}/model", claim, severities.choice(list(Severity)), number)
                for number, claim in enumerate(said_claims)
            ),
            unread=tuple(Unread(model=f"maker{at}/model", text=text) for text in texts),
        )
        for at, (said_claims, texts) in enumerate(panel)
    ]
    report = review(answers, "text")
    wanted = [one for answer in answers for one in answer.findings]
    assert Counter(reported(report)) == Counter(wanted)
    assert report.unread == tuple(one for answer in answers for one in answer.unread)
    for point in report.points():
        assert sorted((*point.said_by, *point.silent)) == sorted(report.members)
    assert report == review(answers, "text")
