"""Streams of every recorded shape become one completion."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.upstreams.answer_stream import completion_from_json
from cobot_meter.adapters.upstreams.openrouter.wire import DIALECT
from cobot_meter.domain.errors import OutcomeUnknown
from tests.adapters.upstreams.stream_frames import (
    ANSWER,
    COMMENT,
    DONE,
    FINISH,
    GENERATION,
    STOP,
    TEXT,
    USAGE,
    USAGE_EMPTY,
    USAGE_REPEATS,
    content,
    frame,
    read,
)


def test_stream_becomes_one_completion() -> None:
    """Comments are skipped; text, finish, usage and head come out in OpenRouter's shape."""
    completion = read(COMMENT * 5, ANSWER, COMMENT, FINISH, USAGE_REPEATS, DONE)
    body = orjson.loads(completion.body)
    assert content(completion) == TEXT
    assert completion.generation_id == body["id"] == GENERATION
    assert body["object"] == "chat.completion"
    assert (body["created"], body["model"]) == (1786465029, "openai/gpt-4.1-mini")
    assert body["provider"] == "OpenAI"
    assert body["choices"][0]["native_finish_reason"] == "completed"
    assert completion.finish_reason == body["choices"][0]["finish_reason"] == "stop"
    assert (completion.prompt_tokens, completion.completion_tokens) == (14, 4)


def test_cost_keeps_its_digits() -> None:
    """The noise of the double is kept, in the value and in the body."""
    completion = read(ANSWER, USAGE_REPEATS, DONE)
    assert completion.inline_cost == "4.1400000000000003e-05"
    assert b'"cost":4.1400000000000003e-05' in completion.body


@pytest.mark.parametrize("usage_frame", [USAGE_REPEATS, USAGE_EMPTY])
def test_both_usage_frames_are_read(usage_frame: bytes) -> None:
    """Usage counts with repeated choices (traffic) and with none (documentation)."""
    completion = read(ANSWER, FINISH, usage_frame, DONE)
    assert completion.inline_cost == "4.1400000000000003e-05"
    assert content(completion) == TEXT


def test_usage_in_content_chunk() -> None:
    """Usage beside the last words is neither dropped, nor are the words."""
    completion = read(frame(TEXT, USAGE, STOP), DONE)
    assert completion.inline_cost == "4.1400000000000003e-05"
    assert content(completion) == TEXT


def test_stream_bill_equals_nonstream_bill() -> None:
    """The same run says the same cost and tokens as a stream and as one JSON object."""
    streamed = read(ANSWER, FINISH, USAGE_REPEATS, DONE)
    whole = completion_from_json(streamed.body, GENERATION, DIALECT)
    assert whole == streamed


def test_cached_prompt_bill_from_upstream() -> None:
    """With cached tokens the cost is the one that is said; no arithmetic is done on tokens."""
    usage = (
        b'"usage":{"prompt_tokens":1000,"completion_tokens":1,"cost":0.000011,'
        b'"prompt_tokens_details":{"cached_tokens":990}}'
    )
    completion = read(frame("ok", usage, STOP), DONE)
    assert completion.inline_cost == "0.000011"


@given(st.integers(min_value=1, max_value=40), st.sampled_from([b"\n", b"\r\n"]))
def test_any_cut_into_pieces_reads_the_same(size: int, newline: bytes) -> None:
    """Where the network cuts the bytes, and how lines end, changes nothing."""
    stream = (COMMENT + ANSWER + FINISH + USAGE_REPEATS + DONE).replace(b"\n", newline)
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert read(*pieces) == read(COMMENT + ANSWER + FINISH + USAGE_REPEATS + DONE)


def test_comment_glued_to_data() -> None:
    """A comment line in the same event as its data is still only a comment."""
    glued = COMMENT[:-1] + ANSWER + USAGE_REPEATS + b": bye\n" + DONE
    assert content(read(glued)) == TEXT


def test_data_over_several_lines() -> None:
    """An event may hold several data lines; they are one JSON text."""
    body = frame(TEXT)[6:-2]
    head, tail = body.split(b",", 1)
    stream = b"data: " + head + b",\ndata:" + tail + b"\n\n"
    assert content(read(stream, USAGE_EMPTY, DONE)) == TEXT


def test_id_from_the_first_frame() -> None:
    """Without the header the first frame names the generation."""
    assert read(ANSWER, USAGE_EMPTY, DONE, generation_id="").generation_id == GENERATION


def test_no_id_at_all_is_unknown() -> None:
    """A run that cannot be looked up is not a completed one."""
    nameless = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    with pytest.raises(OutcomeUnknown):
        read(nameless, DONE, generation_id="")


def test_missing_usage_is_no_cost() -> None:
    """A stream that ends without usage completes, and says no cost (never 0)."""
    completion = read(ANSWER, FINISH, DONE)
    assert completion.inline_cost is None
    assert completion.prompt_tokens == 0
    assert "usage" not in orjson.loads(completion.body)


def test_zero_cost_is_passed_on() -> None:
    """A cost of 0 is what was said; whether it can be true is for others to judge."""
    zero = b'"usage":{"prompt_tokens":0,"completion_tokens":0,"cost":0}'
    assert read(ANSWER, frame(beside=zero, choice=STOP), DONE).inline_cost == "0"


def test_usage_frame_without_done_is_whole() -> None:
    """The usage frame ends the answer; a lost [DONE] changes nothing."""
    assert content(read(ANSWER, FINISH, USAGE_REPEATS)) == TEXT


def test_done_without_its_blank_line() -> None:
    """A [DONE] that lacks its last newline is still the end."""
    assert content(read(ANSWER, FINISH, DONE[:-2])) == TEXT


def test_emoji_cut_in_two_is_mended() -> None:
    """Half an emoji in each of two chunks is one emoji in the answer."""
    halves = [
        b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"\\ude00"}}]}\n\n',
    ]
    assert content(read(*halves, USAGE_EMPTY, DONE)) == "😀"
    assert content(read(halves[0], USAGE_EMPTY, DONE)) == "\ufffd"


def test_everything_else_a_message_holds() -> None:
    """Reasoning, refusal, annotations, log probabilities and tool calls are put together too."""
    deltas: list[dict[str, object]] = [
        {"reasoning": "first ", "reasoning_details": [{"type": "reasoning.text", "text": "f"}]},
        {"reasoning": "then", "annotations": [{"type": "url_citation"}], "refusal": "no"},
        {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}, "odd", {"index": "x"}]},
    ]
    frames = [
        b"data: "
        + orjson.dumps(
            {"choices": [{"index": 0, "delta": delta, "logprobs": {"content": [{"token": "x"}]}}]}
        )
        + b"\n\n"
        for delta in deltas
    ]
    (choice,) = orjson.loads(read(*frames, USAGE_EMPTY, DONE).body)["choices"]
    message = choice["message"]
    assert message["reasoning"] == "first then"
    assert message["refusal"] == "no"
    assert message["content"] is None
    assert message["annotations"] == [{"type": "url_citation"}]
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert len(choice["logprobs"]["content"]) == 4


@given(st.decimals(min_value=0, max_value=100, places=15))
def test_any_cost_comes_through_exactly(cost: Decimal) -> None:
    """No cost changes in value between the wire, the completion and its body."""
    usage = b'"usage":{"cost":' + format(cost, "f").encode() + b"}"
    completion = read(frame("x", usage), DONE)
    assert completion.inline_cost is not None
    assert Decimal(completion.inline_cost) == cost
    assert b'"cost":' + format(cost, "f").encode() in completion.body
