"""Short answers: what counts as the same, and when a panel disagrees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.consensus.verdicts import Group, count_votes, verdict_of


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("42", "42"),
        ("$1,250.00", "1250"),
        ("+1250.", "1250"),
        ("−3.50", "-3.5"),
        ("-0.0", "0"),
        ("007", "7"),
        ("42%", "42%"),
        ("18 dollars a day", "18"),
        ("1, 2, 3", "1, 2, 3"),
        ("2x", "2x"),
        ("3/4", "3/4"),
        ("**Yes**, because it is safe.", "yes"),
        ("No.", "no"),
        ("TRUE", "yes"),
        ("no-op", "no-op"),
        ("none", "none"),
        ("(B)", "b"),
        ("B) Paris", "b"),
        ("Option B", "b"),
        ("`approve`", "approve"),
        ("Request  changes!", "request changes"),
        ("Answer: b.", "b"),
        ("Two and two.\nThe answer is **4**.\n", "4"),
        ("The answer is 3? No: the answer is 4.", "3? no: the answer is 4"),
        ("So \\boxed{7} at last", "7"),
        ("Adding up gives 5 + 13.\n#### 18", "18"),
        ('{"verdict": "Approve", "why": "fine"}', "approve"),
        ('```json\n{"verdict": true}\n```', "yes"),
        ('I think {"answer": 12.0}', "12"),
        ("That makes 3 for each,\nso she sells 9 eggs for $18 every day.", "18"),
        ("", None),
        ("x" * 81, None),
        ("I cannot say.\nAsk somebody else.", None),
    ],
)
def test_answers_are_read_in_one_way(answer: str, verdict: str | None) -> None:
    """Ways of writing fall together, and what may mean something else does not."""
    assert verdict_of(answer) == verdict


def test_a_majority_leads_by_its_margin() -> None:
    """Who said what is kept, and that not all said so is flagged."""
    votes = count_votes([("a", "Yes"), ("b", "no."), ("c", "yes, it is")])
    assert votes.groups == (
        Group(verdict="yes", models=("a", "c")),
        Group(verdict="no", models=("b",)),
    )
    assert (votes.verdict, votes.margin, votes.disagreement) == ("yes", 1, True)
    assert [vote.said for vote in votes.votes] == ["Yes", "no.", "yes, it is"]


def test_one_voice_of_all_is_no_disagreement() -> None:
    """Three who agree lead by three."""
    votes = count_votes([("a", "1,000"), ("b", "1000.0"), ("c", "$1000")])
    assert (votes.verdict, votes.margin, votes.disagreement) == ("1000", 3, False)


def test_a_tie_has_no_verdict() -> None:
    """Nobody is declared right because of standing first."""
    votes = count_votes([("a", "yes"), ("b", "no")])
    assert (votes.verdict, votes.margin, votes.disagreement) == (None, 0, True)


def test_an_answer_that_cannot_be_read_is_a_disagreement() -> None:
    """It has no vote, and nobody may believe that all have agreed."""
    votes = count_votes([("a", "yes"), ("b", "yes"), ("c", "\n".join("well" for _ in range(30)))])
    assert (votes.verdict, votes.margin, votes.disagreement) == ("yes", 2, True)
    assert votes.votes[2].verdict is None


def test_nobody_is_no_verdict() -> None:
    """A count of nothing decides nothing."""
    votes = count_votes([])
    assert (votes.verdict, votes.margin, votes.groups) == (None, 0, ())


@given(st.lists(st.text(max_size=60), max_size=8))
def test_every_answer_is_in_the_count(answers: list[str]) -> None:
    """Each member has a vote or an answer that is shown, and groups hold nobody else."""
    votes = count_votes([(f"model{at}", answer) for at, answer in enumerate(answers)])
    assert [vote.model for vote in votes.votes] == [f"model{at}" for at in range(len(answers))]
    counted = sorted(model for group in votes.groups for model in group.models)
    assert counted == sorted(vote.model for vote in votes.votes if vote.verdict is not None)
    for group in votes.groups:
        assert verdict_of(group.verdict) == group.verdict
