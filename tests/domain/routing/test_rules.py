"""What a turn is about: read off its structure, and never cheap by mistake."""

from __future__ import annotations

import pytest

from benchmarks.routing.prompts import HARD, ROUTINE
from cobot_meter.domain.routing.hints import Task
from cobot_meter.domain.routing.rules import (
    TURN_CHARS_MAX,
    RequestFacts,
    bounded_turn,
    task_of,
)

EASY = {
    Task.FACTUAL,
    Task.EXTRACTION,
    Task.CLASSIFICATION,
    Task.TRANSLATION,
    Task.REWRITING,
    Task.SUMMARY,
}
SETS_LEAST = (300, 200)


@pytest.mark.parametrize(
    ("turn", "task", "signal"),
    [
        ("Fix it:\n```\nx = 1\n```", Task.CODE, "code_fence"),
        ("Traceback (most recent call last):\n  x", Task.CODE, "stack_trace"),
        ("It fails:\n    at com.x.App.run(App.java:41)", Task.CODE, "stack_trace"),
        ("Apply:\ndiff --git a/x b/x", Task.CODE, "diff"),
        ("Write a SQL query for the ten best customers.", Task.CODE, "asks_for_code"),
        ("Let x^2 + 1 = 5.", Task.MATHS, "formula"),
        ("Prove that it converges.", Task.MATHS, "maths"),
        ("Compare the two offers and recommend one.", Task.REASONING, "reasons"),
        ("Translate to German: why must I wait?", Task.TRANSLATION, "asks_for_translation"),
        ("Summarize this:\n\nIf we compare plans, analyze.", Task.SUMMARY, "asks_for_summary"),
        ("Extract the names as JSON.", Task.EXTRACTION, "asks_for_extraction"),
        ("Who was Ada Lovelace?", Task.FACTUAL, "short_question"),
        ("Go on.", None, ""),
    ],
)
def test_the_structure_says_what_it_is(turn: str, task: Task | None, signal: str) -> None:
    """The task and the sign that it was read off."""
    found, signals = task_of(RequestFacts(turn=turn))
    assert found is task
    assert signal in signals or not signal


def test_what_stands_beside_the_turn_is_said_too() -> None:
    """Tools, a schema and images decide nothing by themselves, and are told as reasons."""
    facts = RequestFacts(turn="Go on.", has_tools=True, has_schema=True, has_images=True)
    assert task_of(facts) == (None, ("tools", "schema", "images"))


def test_our_own_sets_are_read_as_they_were_meant() -> None:
    """At least 95 of 100 routine turns are, and at most 3 of 100 hard ones pass for routine."""
    assert len(set(ROUTINE)) >= SETS_LEAST[0]
    assert len(set(HARD)) >= SETS_LEAST[1]
    routine, hard = (
        [task_of(RequestFacts(turn=turn))[0] in EASY for turn in turns] for turns in (ROUTINE, HARD)
    )
    assert sum(routine) >= 0.95 * len(routine)
    assert sum(hard) <= 0.03 * len(hard)


def test_a_long_turn_is_read_at_both_ends() -> None:
    """What is to be done may stand before what it is done to, or after it."""
    long = f"begin{'x' * 20_000}end"
    bounded = bounded_turn(long)
    assert len(bounded) == TURN_CHARS_MAX
    assert bounded.startswith("begin")
    assert bounded.endswith("end")
    assert bounded_turn("short") == "short"


@pytest.mark.parametrize(
    ("turn", "signal"),
    [
        ("See diff --git a/x b/x", "diff"),
        ("See\n@@ -1,2 +1,2 @@", "diff"),
        ("See\n+++ b/x.py", "diff"),
        ("Traceback (most recent call last)", "stack_trace"),
        ("Exception in thread main", "stack_trace"),
        ("Segmentation fault", "stack_trace"),
        ("thread 'main' panicked at src/x.rs", "stack_trace"),
        ("error[E0308]: mismatched", "stack_trace"),
        ("It broke\n  at run(a.js:3)", "stack_trace"),
        ("It broke\n    at run(a.js:3)", "stack_trace"),
        ("It broke\n\tat a.B.run(B.java:3)", "stack_trace"),
        ("~~~\nx\n~~~", "code_fence"),
        ("def run(x):", "lines_of_code"),
        ("What is this?\n\n  import os", "lines_of_code"),
    ],
)
def test_each_sign_of_code_is_seen_by_itself(turn: str, signal: str) -> None:
    """Wherever it stands: in the first line, or behind one."""
    task, signals = task_of(RequestFacts(turn=turn))
    assert (task, signals[0]) == (Task.CODE, signal)


def test_three_lines_with_clues_are_a_puzzle_and_two_are_none() -> None:
    """The first line of a turn is a line like others."""
    clues = "- Ann must not sit left\n- Bo is only right\n* Cy cannot be next to Bo"
    assert task_of(RequestFacts(turn=clues)) == (Task.REASONING, ("clues",))
    two = clues.rpartition("\n")[0]
    assert "clues" not in task_of(RequestFacts(turn=two))[1]
