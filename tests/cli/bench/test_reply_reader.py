"""An answer becomes a reply, however its bytes are cut, and whatever is in it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.cli.bench.reply_reader import TEXT_CHARS_MAX, ReplyReader
from cobot_meter.domain.benchmarks.record import Reply

HEAD = {"id": "gen-1", "provider": "Mistral"}


def event(document: object) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def said(text: str) -> dict[str, Any]:
    """A chunk with text."""
    return {**HEAD, "choices": [{"delta": {"content": text}, "finish_reason": None}]}


LAST = {**HEAD, "choices": [{"delta": {}, "finish_reason": "stop"}]}
PRICED = {
    **HEAD,
    "choices": [],
    "usage": {"prompt_tokens": 7, "completion_tokens": 40, "cost": 0.00003},
    "cobot": {"cost": {"upstream_usd": "0.00002505", "price_msat": 30}},
}
WHOLE = b"".join(
    (event(said("An")), b": comment\n\n", event(said("na")), event(LAST), event(PRICED))
)
DONE = b"data: [DONE]\n\n"


def read(*parts: bytes) -> Reply:
    """The reply of these reads."""
    reader = ReplyReader()
    for part in parts:
        reader.take(part)
    return reader.reply(ttft_ms=3, total_ms=9)


@given(st.lists(st.integers(0, len(WHOLE + DONE)), max_size=12))
def test_it_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    """Reads end anywhere; text, tokens, cost and provider are what was sent."""
    places = [0, *sorted(cuts), len(WHOLE + DONE)]
    parts = [(WHOLE + DONE)[a:b] for a, b in pairwise(places)]
    assert read(*parts) == Reply(
        text="Anna",
        provider="Mistral",
        generation_id="gen-1",
        prompt_tokens=7,
        completion_tokens=40,
        cost_pusd=25_050_000,
        price_msat=30,
        finish_reason="stop",
        ttft_ms=3,
        total_ms=9,
    )


def test_an_answer_without_its_end_is_an_error() -> None:
    """Neither what stops before `[DONE]` nor what stops before its reason is judged."""
    assert read(WHOLE).error == "broke_off"
    assert read(event(said("Anna")), DONE).error == "broke_off"
    assert read().error == "broke_off"


def test_an_error_in_the_middle_keeps_its_code() -> None:
    """As the service names it."""
    broken = {**HEAD, "error": {"code": "upstream_failed", "message": "x"}, "choices": []}
    assert read(event(said("An")), event(broken)).error == "upstream_failed"


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"choices": 3, "usage": 4, "cobot": []},
        {"choices": [3]},
        {"choices": [{"delta": {"content": 5}}]},
        {
            "usage": {"prompt_tokens": -1},
            "cobot": {"cost": {"upstream_usd": "x", "price_msat": -2}},
        },
    ],
)
def test_nonsense_is_passed_over(document: object) -> None:
    """Whoever answers at the address: what it says is let in or left out."""
    found = read(event(document), b"data: {\n\n", b"\xff\n\n", WHOLE, DONE)
    assert (found.text, found.cost_pusd, found.error) == ("Anna", 25_050_000, "")


def test_what_never_ends_is_seen() -> None:
    """Both an endless text and an endless line."""
    talks, babbles = ReplyReader(), ReplyReader()
    talks.take(event(said("x" * (TEXT_CHARS_MAX + 1))))
    babbles.take(b"x" * (TEXT_CHARS_MAX + 1))
    assert talks.too_long
    assert babbles.too_long
