"""Judges of routine items: what a model may well say is right, and what is nearly right is not."""

from __future__ import annotations

import pytest

from cobot_meter.domain.benchmarks.checks.exact_text import (
    AnyAnswer,
    ExactLines,
    Names,
    SameWords,
)
from cobot_meter.domain.benchmarks.item import ReplyCheck
from cobot_meter.domain.benchmarks.prompts.gsm8k import gsm8k_set

RIVER = AnyAnswer(("Vltava", "the Vltava", "Moldau"))
WHERE = SameWords(("où est l'hôpital", "où se trouve l'hôpital"))
LINES = ExactLines(("- lamp", "- Ann's chair"))


@pytest.mark.parametrize(
    ("check", "reply", "right"),
    [
        (RIVER, "Vltava", True),
        (RIVER, "The **Vltava**.", True),
        (RIVER, "It flows through the old town.\nAnswer: Moldau", True),
        (RIVER, "Elbe", False),
        (RIVER, "The Vltava and the Elbe", False),
        (WHERE, "Où est l\u2019hôpital ?", True),
        (WHERE, "« Où se trouve l'hôpital ? »", True),
        (WHERE, "Où est la hôpital ?", False),
        (WHERE, "Où est l'hôpital ? (formal)", False),
        (LINES, "- lamp\n- Ann's chair", True),
        (LINES, "```\n- lamp\n\n- Ann's chair.\n```", True),
        (LINES, "- Ann's chair\n- lamp", False),
        (LINES, "- Lamp\n- Ann's chair", False),
        (LINES, "Here you are:\n- lamp\n- Ann's chair", False),
        (Names(("Emil", "Friday")), "On Friday EMIL comes", True),
        (Names(("Emil", "Friday")), "Emil comes", False),
    ],
)
def test_a_judge(check: ReplyCheck, reply: str, right: bool) -> None:  # noqa: FBT001 - a row
    """Layout and punctuation do not count, and words do."""
    assert check.passes(reply) is right


def problem(question: str, answer: str) -> str:
    """A line of the file."""
    return f'{{"question": "{question}", "answer": "{answer}"}}'


def test_problems_are_read_and_drawn() -> None:
    """Named by their lines, judged by the number behind the mark, and drawn by the seed."""
    lines = [problem(f"How many are {n}?", f"It is so. #### {n},000") for n in range(1, 40)]
    asked = gsm8k_set(lines, seed=3, count=10)
    assert asked == gsm8k_set(lines, seed=3, count=10) != gsm8k_set(lines, seed=4, count=10)
    assert asked.digest != gsm8k_set(lines, seed=4, count=10).digest
    for item in asked.items:
        number = int(item.item_id.removeprefix("gsm8k-"))
        assert f"How many are {number}?" in item.prompt
        assert item.check.passes(f"Answer: {number}000")
        assert not item.check.passes(f"Answer: {number}")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2 is no problem"),
        ("[1]", "line 2 is no problem"),
        (problem("How many?", "12"), "line 2 is no problem"),
        (problem("How many?", "#### many"), "line 2 is no problem"),
        (problem("", "#### 3"), "line 2 is no problem"),
        ("", "it has 1 problems, and 2 were asked for"),
    ],
)
def test_a_file_that_is_none_is_refused(line: str, why: str) -> None:
    """With the line that is wrong, before anything is asked."""
    with pytest.raises(ValueError, match=why):
        gsm8k_set([problem("How many?", "#### 3"), line], seed=1, count=2)
