"""The replay: what OpenAI's SDKs put together from it is what was stored."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.http_api.chat.answers import CHUNK_CHARS, event_stream

HEAD: dict[str, Any] = {"id": "gen-1", "object": "chat.completion", "created": 7, "model": "a/b"}
USAGE: dict[str, Any] = {"usage": {"total_tokens": 3, "cost": 0.1}, "cobot": {"escrow_id": "esc"}}


def whole(message: dict[str, Any], **choice: object) -> dict[str, Any]:
    """A completion with this message."""
    said = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {**HEAD, "choices": [{**said, **choice}], **USAGE}


def chunks(document: dict[str, Any], *, include_usage: bool = False) -> list[dict[str, Any]]:
    """The chunks of the stream, which must be framed as the protocol says."""
    events = b"".join(event_stream(document, include_usage=include_usage)).split(b"\n\n")
    assert events.pop() == b""
    assert events.pop() == b"data: [DONE]"
    assert all(event.startswith(b"data: ") and b"\n" not in event for event in events)
    return [orjson.loads(event[6:]) for event in events]


def deltas(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What each chunk adds."""
    return [chunk["choices"][0]["delta"] for chunk in chunks(document)]


@given(st.text(), st.text())
def test_the_texts_come_out_as_they_were(content: str, reasoning: str) -> None:
    """Joined again, content and reasoning are what was stored, whatever they hold."""
    said = deltas(whole({"content": content, "reasoning": reasoning}))
    assert "".join(delta.get("content", "") for delta in said) == content
    assert "".join(delta.get("reasoning", "") for delta in said) == reasoning


def test_long_texts_come_in_pieces() -> None:
    """No event grows with the answer."""
    said = deltas(whole({"content": "x" * (2 * CHUNK_CHARS + 1)}))
    assert [len(delta.get("content", "")) for delta in said[1:-1]] == [512, 512, 1]


def test_the_order_of_a_stream() -> None:
    """The role first, then the text, then why it ended with usage and cobot, then the end."""
    first, second, last = chunks(whole({"content": "Hi"}, native_finish_reason="end_turn"))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert second["choices"][0]["delta"] == {"content": "Hi"}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["choices"][0]["native_finish_reason"] == "end_turn"
    assert last["choices"][0]["delta"] == {}
    assert {name: last[name] for name in USAGE} == USAGE
    for chunk in (first, second, last):
        assert chunk["object"] == "chat.completion.chunk"
        assert (chunk["id"], chunk["model"], chunk["created"]) == ("gen-1", "a/b", 7)
    assert "usage" not in first


def test_usage_asked_for_has_a_chunk_without_choices() -> None:
    """`stream_options.include_usage`: OpenAI's own last chunk, and none without a choice before."""
    *before, last = chunks(whole({"content": "Hi"}), include_usage=True)
    assert last["choices"] == []
    assert last["usage"] == USAGE["usage"]
    assert all(chunk["choices"] and "usage" not in chunk for chunk in before)


def test_whatever_else_was_said_is_one_chunk() -> None:
    """Tool calls, refusals and details are not split, and nulls are not sent."""
    calls = [{"index": 0, "id": "t1", "function": {"name": "f", "arguments": "{}"}}]
    said = deltas(whole({"content": None, "refusal": None, "tool_calls": calls}))
    assert said == [{"role": "assistant", "content": ""}, {"tool_calls": calls}, {}]


def test_an_empty_answer_is_a_stream_too() -> None:
    """No text at all: the role, the end and the usage."""
    assert len(chunks(whole({"content": ""}))) == 2
    assert len(chunks({**HEAD, "choices": [], **USAGE})) == 2


def test_no_chunk_holds_a_null_beside_its_choices() -> None:
    """OpenRouter's TypeScript SDK refuses a `system_fingerprint` that is null, and every chunk."""
    document = {**whole({"content": "Hi"}), "system_fingerprint": None, "service_tier": None}
    for include_usage in (True, False):
        for chunk in chunks({**document, "usage": None}, include_usage=include_usage):
            assert None not in chunk.values()
            assert "system_fingerprint" not in chunk
    kept = chunks({**document, "system_fingerprint": "fp_1"})
    assert {chunk["system_fingerprint"] for chunk in kept} == {"fp_1"}


def test_calls_say_their_place_and_thoughts_come_in_pieces() -> None:
    """A whole answer's calls have an index in its stream, and the ids they were stored with."""
    calls = [{"id": "c1", "function": {"name": "f"}}, {"index": 1, "id": "c2", "function": {}}]
    *_, rest, _ = deltas(whole({"content": None, "reasoning_content": "hm", "tool_calls": calls}))
    assert [(call["index"], call["id"]) for call in rest["tool_calls"]] == [(0, "c1"), (1, "c2")]
    said = deltas(whole({"reasoning_content": "x" * (CHUNK_CHARS + 1)}))
    assert [len(delta.get("reasoning_content", "")) for delta in said[1:-1]] == [512, 1]


def test_a_message_that_is_none_is_an_empty_answer() -> None:
    """What older books hold is written as far as it says anything."""
    document = {**HEAD, "choices": [{"message": "odd", "finish_reason": "stop"}], **USAGE}
    assert deltas(document)[-1] == {}
