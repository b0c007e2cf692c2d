"""Reasoning in pieces becomes blocks that can be sent back, and goes both ways."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from cobot_meter.adapters.upstreams.reasoning_blocks import BLOCKS_MAX, ReasoningBlocks
from tests.adapters.upstreams.stream_frames import DONE, FINISH, frame, read

T, S, E = "reasoning.text", "reasoning.summary", "reasoning.encrypted"


def blocks(*pieces: dict[str, object]) -> list[Any]:
    """What these pieces, each in a delta of its own, come to."""
    parts = ReasoningBlocks()
    for piece in pieces:
        parts.add([piece])
    return parts.documents()


def test_text_text_signature_is_one_block() -> None:
    """One type and one index: the text is joined, and the signature is that block's."""
    assert blocks(
        {"type": T, "text": "I ", "index": 0, "format": "anthropic-claude-v1"},
        {"type": T, "text": "think", "index": 0},
        {"type": T, "signature": "c2ln", "index": 0},
    ) == [
        {
            "type": T,
            "text": "I think",
            "index": 0,
            "format": "anthropic-claude-v1",
            "signature": "c2ln",
        }
    ]


@pytest.mark.parametrize(
    ("pieces", "texts"),
    [
        ([(T, 0, "a"), (T, 1, "b"), (T, 0, "c")], ["ac", "b"]),
        ([(T, 0, "a"), (S, 0, "b"), (T, 0, "c")], ["ac", "b"]),
        ([(T, None, "a"), (T, None, "b")], ["ab"]),
        ([(T, None, "a"), (S, None, "b"), (T, None, "c")], ["a", "b", "c"]),
    ],
)
def test_one_block_for_each_type_and_index(
    pieces: list[tuple[str, int | None, str]], texts: list[str]
) -> None:
    """Interleaved or one after the other; without an index what follows itself goes on."""
    told: list[dict[str, object]] = [
        {"type": kind, "index": at, "text": text} for kind, at, text in pieces
    ]
    assert [block["text"] for block in blocks(*told)] == texts


def test_a_signature_ends_a_block_without_an_index() -> None:
    """What comes after it is another thought; other ids are other blocks."""
    told = blocks({"type": T, "text": "a", "signature": "s"}, {"type": T, "text": "b"})
    assert [block["text"] for block in told] == ["a", "b"]
    told = blocks({"type": E, "data": "x", "id": "1"}, {"type": E, "data": "y", "id": "2"})
    assert [block["data"] for block in told] == ["x", "y"]


def test_odd_pieces_and_too_many() -> None:
    """What is no object says nothing; more blocks than anybody means are a fault."""
    parts = ReasoningBlocks()
    parts.add([None, 7, "x"])
    assert not parts
    with pytest.raises(ValueError, match="reasoning"):
        parts.add([{"type": T, "index": at} for at in range(BLOCKS_MAX + 1)])


def test_reasoning_content_is_carried() -> None:
    """Under its own name, and under OpenRouter's where nothing else stands there."""
    deltas = [{"reasoning_content": "first "}, {"reasoning_content": "then"}, {"content": "so"}]
    frames = [frame(choice={"delta": delta}) for delta in deltas]
    message = orjson.loads(read(*frames, FINISH, DONE).body)["choices"][0]["message"]
    assert message["reasoning_content"] == message["reasoning"] == "first then"
    assert message["content"] == "so"
