"""Answers that repeat, fit the prompt and read as sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_simulator.answers.answers import cut_to_tokens
from openrouter_simulator.routing.asks import tokens_of
from openrouter_simulator.shapes.plausible_text import plausible_answer


@given(st.text(max_size=400))
def test_any_prompt_has_the_same_answer_twice(prompt: str) -> None:
    """The same prompt and seed give the same answer, for any text at all."""
    answer = plausible_answer(prompt, seed="1")
    assert answer == plausible_answer(prompt, seed="1")
    assert answer.endswith(".")
    assert "{" not in answer.replace(prompt, "") or "{" in prompt


def test_seed_changes_the_answer() -> None:
    """Another seed tells the same in other words."""
    prompt = "What is double-entry bookkeeping?"
    assert plausible_answer(prompt, seed="1") != plausible_answer(prompt, seed="2")


@pytest.mark.parametrize(
    ("prompt", "least", "most"),
    [
        ("Explain hold invoices in 200 words", 200, 240),
        ("Explain hold invoices in 99999 words", 30, 4_040),
        ("Write a detailed report on escrow", 300, 490),
        ("Define escrow briefly", 8, 60),
        ("Define escrow", 40, 160),
    ],
)
def test_length_follows_the_prompt(prompt: str, least: int, most: int) -> None:
    """A prompt that says how long gets an answer of about that length."""
    assert least <= len(plausible_answer(prompt, seed="1").split()) <= most


def test_prompts_words_come_back() -> None:
    """The answer is about what was asked."""
    answer = plausible_answer("Compare hash time locked contracts and macaroons", seed="1")
    assert "hash time locked contracts" in answer
    assert "macaroons" in answer


@given(st.text(max_size=200), st.integers(min_value=1, max_value=60))
def test_cutting_obeys_the_tokens(text: str, max_tokens: int) -> None:
    """A cut answer has at most the tokens asked for, and only then says `length`."""
    cut, finish_reason = cut_to_tokens(text, max_tokens)
    assert tokens_of(len(cut.encode())) <= max_tokens
    assert text.startswith(cut)
    assert (finish_reason == "stop") == (cut == text)
