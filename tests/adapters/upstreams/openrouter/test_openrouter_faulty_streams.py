"""Streams that are cut, fail or cannot be read say truly what went wrong, and what it cost."""

from __future__ import annotations

import pytest

from cobot_meter.adapters.upstreams.answer_stream import completion_from_json
from cobot_meter.adapters.upstreams.openrouter.wire import DIALECT
from cobot_meter.domain.errors import OutcomeUnknown, UpstreamFailed
from tests.adapters.upstreams.stream_frames import (
    ANSWER,
    COMMENT,
    DONE,
    ERROR,
    FINISH,
    GENERATION,
    TEXT,
    USAGE,
    USAGE_EMPTY,
    USAGE_REPEATS,
    content,
    frame,
    read,
)


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        COMMENT,
        ANSWER,
        ANSWER + USAGE_REPEATS[:-30],
        ANSWER + FINISH[:-40],
        ANSWER + USAGE_EMPTY,
        frame(TEXT[:7], USAGE),
        frame(TEXT[:7], USAGE, {"finish_reason": ""}),
    ],
)
def test_cut_stream_is_unknown(stream: bytes) -> None:
    """Without a finish reason or [DONE] an answer is half an answer, whatever it says it cost."""
    with pytest.raises(OutcomeUnknown):
        read(stream)


def test_error_mid_stream_fails() -> None:
    """An error frame is a failure, even though the status was 200."""
    with pytest.raises(UpstreamFailed) as failed:
        read(ANSWER, frame(beside=ERROR, choice={"finish_reason": "error"}))
    assert failed.value.inline_cost is None
    assert "Provider disconnected" in failed.value.message


def test_error_mid_stream_with_usage_says_the_cost() -> None:
    """An error frame with usage beside it has been charged, and says how much."""
    with pytest.raises(UpstreamFailed) as failed:
        read(ANSWER, frame(beside=ERROR + b"," + USAGE), DONE)
    assert failed.value.inline_cost == "4.1400000000000003e-05"


def test_usage_after_an_error_is_read() -> None:
    """Usage in a later frame than the error still counts."""
    with pytest.raises(UpstreamFailed) as failed:
        read(frame(beside=ERROR), USAGE_EMPTY, DONE)
    assert failed.value.inline_cost == "4.1400000000000003e-05"


@pytest.mark.parametrize(
    "choice",
    [{"error": {"code": "server_error", "message": "no"}}, {"finish_reason": "error"}],
)
def test_error_inside_a_choice_fails(choice: dict[str, object]) -> None:
    """A choice that ends in an error is a failure, with or without words for it."""
    with pytest.raises(UpstreamFailed):
        read(ANSWER, frame(choice=choice), DONE)


@pytest.mark.parametrize("choices", [b"null", b"[]", b"{}"])
def test_no_choices_at_all_fails(choices: bytes) -> None:
    """An answer without choices has failed; what it cost is said."""
    stream = b'data: {"id":"gen-1","choices":' + choices + b"," + USAGE + b"}\n\n"
    with pytest.raises(UpstreamFailed) as failed:
        read(stream, DONE)
    assert failed.value.inline_cost == "4.1400000000000003e-05"


def test_empty_answer_completes() -> None:
    """An answer of no words that finished is complete: what to charge for it is policy."""
    assert content(read(USAGE_REPEATS, DONE)) == ""


@pytest.mark.parametrize(
    "garbage", [b"data: {oops\n\n", b"data: []\n\n", b"data: 7\n\n", b'data: {"a":NaN}\n\n']
)
def test_unreadable_frame_is_unknown(garbage: bytes) -> None:
    """A frame that cannot be read leaves the outcome unknown; nothing is guessed."""
    with pytest.raises(OutcomeUnknown):
        read(ANSWER, garbage, DONE)


@pytest.mark.parametrize(
    "odd",
    [
        b'data: {"choices":[null,7,{"index":0,"delta":null},{"delta":{"content":7}}]}\n\n',
        b'data: {"choices":[{"index":1,"delta":{"content":"second choice"}}]}\n\n',
        b'data: {"choices":"none","id":7,"model":null,"usage":null,"error":null}\n\n',
        b"event: ping\n\n",
        b"\n\n",
    ],
)
def test_odd_frames_are_passed_over(odd: bytes) -> None:
    """Unknown fields, other choices and wrong types do not spoil an answer."""
    assert content(read(ANSWER, odd, USAGE_EMPTY, DONE)) == TEXT


def test_whole_answer_with_an_error_fails() -> None:
    """HTTP 200 with an error in the JSON body is a failure."""
    with pytest.raises(UpstreamFailed) as failed:
        completion_from_json(b"{" + ERROR + b"," + USAGE + b"}", GENERATION, DIALECT)
    assert failed.value.inline_cost == "4.1400000000000003e-05"


@pytest.mark.parametrize(
    "choices",
    [b"null", b"[]", b"[null]", b'[{"error":{"code":1}}]', b'[{"finish_reason":"error"}]'],
)
def test_whole_answer_without_choices_fails(choices: bytes) -> None:
    """A whole answer without a usable choice is a failure that says its cost."""
    with pytest.raises(UpstreamFailed) as failed:
        completion_from_json(b'{"choices":' + choices + b"," + USAGE + b"}", GENERATION, DIALECT)
    assert failed.value.inline_cost == "4.1400000000000003e-05"


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"[]", b'{"choices":[{}]}'])
def test_whole_answer_that_cannot_be_read_is_unknown(body: bytes) -> None:
    """Neither JSON nor a name to look it up by: unknown."""
    with pytest.raises(OutcomeUnknown):
        completion_from_json(body, "", DIALECT)
