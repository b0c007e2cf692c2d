"""What is handed on of a stream while it comes, joined again, is what the whole answer says."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.upstreams.answer_stream import StreamAssembly
from cobot_meter.adapters.upstreams.openrouter.wire import DIALECT
from cobot_meter.domain.upstream.deltas import Delta
from tests.adapters.upstreams.stream_frames import (
    ANSWER,
    COMMENT,
    DONE,
    FINISH,
    GENERATION,
    TEXT,
    USAGE_EMPTY,
    USAGE_REPEATS,
    frame,
)
from tests.contracts.upstream.answer_feeds import TEXTS, joined

Said = dict[str, object]
STOP: Said = {"finish_reason": "stop"}


def saying(**delta: object) -> bytes:
    """A frame with this delta."""
    return frame(choice={"delta": delta})


def call(index: int | None, **said: object) -> Said:
    """A piece of a tool call."""
    return {**({} if index is None else {"index": index}), **said}


def along(*chunks: bytes) -> tuple[list[Delta], list[Delta], dict[str, object]]:
    """What was handed on, what each who came late had in the end, and the whole message."""
    assembly = StreamAssembly(GENERATION, DIALECT)
    told: list[Delta] = []
    late: list[Delta] = []
    for chunk in chunks:
        assembly.feed(chunk)
        piece = assembly.piece(len(chunk))
        if piece is not None:
            said = piece.deltas().deltas
            told += said
            late = [*(joined((one, *said)) for one in late), *piece.so_far().deltas]
            assert piece.deltas() is piece.deltas()
    assembly.end()
    message: dict[str, object] = orjson.loads(assembly.completion().body)["choices"][0]["message"]
    return told, late, message


def texts(said: object) -> Said:
    """Those that are there."""
    assert isinstance(said, dict)
    return {name: said[name] for name in TEXTS if said.get(name)}


@pytest.mark.parametrize(
    "frames",
    [
        (ANSWER, FINISH, DONE),
        (ANSWER, USAGE_REPEATS, DONE),
        (ANSWER, COMMENT, FINISH, COMMENT, USAGE_EMPTY),
        (saying(reasoning="Hm. "), saying(reasoning="So."), ANSWER, FINISH),
        (saying(reasoning_content="Hm."), saying(refusal="No."), FINISH),
        (saying(content=[{"type": "text", "text": TEXT}]), FINISH),
    ],
)
def test_texts_join(frames: tuple[bytes, ...]) -> None:
    """However they came, for whoever was there and for whoever came late."""
    told, late, message = along(*frames)
    message.pop("reasoning" if "reasoning_content" in message else "", None)
    assert texts(joined(told).said) == texts(message)
    assert all(texts(one.said) == texts(message) for one in late)
    assert joined(told).finish_reason == "stop"


@given(st.text(min_size=1), st.data())
def test_characters_that_come_apart_are_handed_on_whole(text: str, data: st.DataObject) -> None:
    """A gateway cuts between the halves of a character; nobody is handed a half."""
    units = [unit for char in text for unit in _halves(char)]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(units)), max_size=5)))
    pieces = ["".join(units[a:b]) for a, b in zip([0, *cuts], [*cuts, len(units)], strict=True)]
    told, late, message = along(*(_raw(piece) for piece in pieces), FINISH)
    assert texts(joined(told).said) == texts(message)
    assert all(texts(one.said) == texts(message) for one in late)


def _halves(char: str) -> tuple[str, ...]:
    """As JSON writes it; what is no half is one unit."""
    code = ord(char) - 0x1_0000
    if code < 0:
        return (orjson.dumps(char)[1:-1].decode(),)
    return (f"\\u{0xD800 + (code >> 10):04x}", f"\\u{0xDC00 + (code & 0x3FF):04x}")


def _raw(piece: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"' + piece.encode() + b'"}}]}\n\n'


CALLS: Iterable[tuple[str, list[list[Said]]]] = [
    (
        "as OpenAI",
        [
            [call(0, id="a", type="function", function={"name": "f", "arguments": ""})],
            [call(0, function={"arguments": '{"x":'})],
            [call(0, function={"arguments": "1}"})],
            [call(1, id="b", type="function", function={"name": "g", "arguments": "{}"})],
        ],
    ),
    (
        "both under one index",
        [
            [call(0, id="a", function={"name": "f", "arguments": "{}"})],
            [call(0, id="b", function={"name": "g", "arguments": "{}"})],
        ],
    ),
    (
        "no index, the name and the id again in every piece",
        [
            [call(None, id="a", function={"name": "find", "arguments": '{"x"'})],
            [call(None, id="a", function={"name": "find", "arguments": ":1}"})],
        ],
    ),
    (
        "a name in two halves, arguments as an object, fields of its own",
        [
            [call(0, id="a", function={"name": "fi", "arguments": ""}, thought="t")],
            [call(0, function={"name": "nd", "arguments": {"x": 1}}, thought="t")],
        ],
    ),
]


@pytest.mark.parametrize(("_name", "deltas"), CALLS, ids=[name for name, _ in CALLS])
def test_tool_calls_join(_name: str, deltas: list[list[Said]]) -> None:
    """As OpenAI's SDK joins them they are the calls of the whole answer, whatever form they had."""
    told, late, message = along(*(saying(tool_calls=pieces) for pieces in deltas), FINISH)
    assert joined(told).said["tool_calls"] == message["tool_calls"]
    assert all(one.said["tool_calls"] == message["tool_calls"] for one in late)


def test_what_nobody_asks_for_is_not_made() -> None:
    """Comments and other choices are no piece; whatever has no meaning is no delta."""
    assembly = StreamAssembly(GENERATION, DIALECT)
    assembly.feed(COMMENT + frame(choice={"index": 1}))
    assert assembly.piece(1) is None
    assembly.feed(saying(unheard_of=7, content=None, role="assistant"))
    piece = assembly.piece(1)
    assert piece is not None
    assert piece.deltas().deltas == ()


def test_the_gate_is_passed() -> None:
    """Nothing that a database or a reader of JSON refuses is handed on."""
    odd = b'{"a\\u0000b":[{"x":"\\ud800"},123456789012345678901234567890]}'
    chunk = b'data: {"choices":[{"delta":{"content":"a\\u0000","images":[' + odd + b"]}}]}\n\n"
    told, _, _ = along(chunk, FINISH)
    said = joined(told).said
    assert said["content"] == "a\N{REPLACEMENT CHARACTER}"
    orjson.dumps(said)
