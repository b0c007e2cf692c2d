"""Every form of tool calls in use becomes whole calls, each with its name, arguments and an id."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.upstreams.answer_stream import completion_from_json
from cobot_meter.adapters.upstreams.openrouter.wire import DIALECT
from cobot_meter.adapters.upstreams.tool_calls import CALLS_MAX, ToolCalls
from tests.adapters.upstreams.stream_frames import DONE, GENERATION, read

PARIS, ROME = '{"city":"Paris"}', '{"city":"Rome"}'


def piece(
    name: str | None = None,
    arguments: object = None,
    identity: str | None = None,
    index: object = 0,
) -> dict[str, object]:
    """One entry of `tool_calls`, with what is said of it only."""
    said: dict[str, object] = {"id": identity, "index": index}
    function = {"name": name, "arguments": arguments}
    told = {key: value for key, value in said.items() if value is not None}
    return {**told, "function": {key: one for key, one in function.items() if one is not None}}


def calls(*deltas: list[object]) -> list[tuple[str, str]]:
    """Name and arguments of each call that these deltas come to, all with ids of their own."""
    parts = ToolCalls()
    for delta in deltas:
        parts.add(delta)
    documents: list[Any] = parts.documents(named="gen-1")
    identities = [one["id"] for one in documents]
    assert all(identities)
    assert len(set(identities)) == len(identities)
    assert [one["index"] for one in documents] == list(range(len(documents)))
    return [(one["function"]["name"], one["function"]["arguments"]) for one in documents]


WEATHER, TIME = ("get_weather", PARIS), ("get_time", ROME)
BOTH = [WEATHER, TIME]


@pytest.mark.parametrize(
    "deltas",
    [
        pytest.param(
            [
                [piece("get_weather", "", "c1", 0)],
                [piece(None, PARIS[:5], None, 0)],
                [piece("get_time", "", "c2", 1)],
                [piece(None, ROME, None, 1)],
                [piece(None, PARIS[5:], None, 0)],
            ],
            id="OpenAI's own, interleaved",
        ),
        pytest.param(
            [[piece("get_weather", PARIS, "c1", 0)], [piece("get_time", ROME, "c2", 0)]],
            id="one index, two ids",
        ),
        pytest.param(
            [
                [piece("get_weather", "", "c1", 0)],
                [piece(None, PARIS, None, 0)],
                [piece("get_time", "", "c2", 0)],
                [piece(None, ROME, None, 0)],
            ],
            id="one index, two ids, arguments after",
        ),
        pytest.param(
            [[piece("get_weather", PARIS, "c1", None), piece("get_time", ROME, "c2", None)]],
            id="no index, one delta",
        ),
        pytest.param(
            [[piece("get_weather", PARIS, None, None), piece("get_time", ROME, None, None)]],
            id="neither index nor id",
        ),
        pytest.param(
            [[piece("get_weather", PARIS, None, 0)], [piece("get_time", ROME, None, 0)]],
            id="one index, no ids",
        ),
        pytest.param(
            [
                [piece("get_weather", PARIS, "c1", 0)],
                [piece(None, None, "c2", 0)],
                [piece("get_time", ROME, None, 0)],
            ],
            id="the id before its name",
        ),
        pytest.param(
            [
                [piece("get_weather", PARIS[:4], "x1", 0)],
                [piece(None, PARIS[4:], "x2", 0)],
                [piece("get_time", ROME, "x3", 1)],
            ],
            id="a new id in every piece",
        ),
        pytest.param(
            [[piece("get_weather", {"city": "Paris"}, "c1", 0), piece("get_time", ROME, "c2", 1)]],
            id="arguments as an object",
        ),
        pytest.param(
            [[piece("get_weather", PARIS, "c1", "0"), piece("get_time", ROME, "c2", "1")]],
            id="an index in quotes",
        ),
        pytest.param(
            [
                [piece("get_weather", PARIS, "c1", 0), "odd", {}, {"index": "x"}, 7, None],
                [piece("get_time", ROME, "c2", 7)],
            ],
            id="odd pieces",
        ),
    ],
)
def test_two_calls_are_two_calls(deltas: list[list[object]]) -> None:
    """However they are told apart."""
    assert calls(*deltas) == BOTH


@pytest.mark.parametrize("identity", [None, "call_same"])
def test_two_calls_of_one_function(identity: str | None) -> None:
    """The same name twice, without ids or under one id: two calls, by their whole arguments."""
    deltas: list[list[object]] = [
        [piece("get_weather", PARIS, identity, 0), piece("get_weather", ROME, identity, 1)]
    ]
    assert calls(*deltas) == [("get_weather", PARIS), ("get_weather", ROME)]
    alone: list[list[object]] = [
        [piece("get_weather", PARIS, None, 0)],
        [piece("get_weather", ROME, None, 0)],
    ]
    assert calls(*alone) == [("get_weather", PARIS), ("get_weather", ROME)]


@pytest.mark.parametrize(
    ("names", "whole"),
    [
        (["read_file", "read_file", "read_file"], "read_file"),
        (["read_file", None, ""], "read_file"),
        (["edit_ex", "isting_file"], "edit_existing_file"),
        (["edit_ex", "isting_file", "edit_existing_file"], "edit_existing_file"),
        (["read", "read_file"], "read_file"),
        (["", "read_file"], "read_file"),
    ],
)
def test_a_name_in_pieces_or_again(names: list[str | None], whole: str) -> None:
    """Said again it is said once; in halves it is joined."""
    deltas: list[list[object]] = [
        [piece(name, "", "c1" if not at else None)] for at, name in enumerate(names)
    ]
    assert calls(*deltas, [piece(None, PARIS)]) == [(whole, PARIS)]


def test_the_whole_name_beside_every_bit_of_the_arguments() -> None:
    """The name again in every piece, with id or without, is still one call."""
    bits = [PARIS[:3], PARIS[3:9], PARIS[9:], ""]
    for identity in (None, "c1"):
        deltas: list[list[object]] = [[piece("read_file", bit, identity)] for bit in bits]
        assert calls(*deltas) == [("read_file", PARIS)]


@given(st.text(max_size=20), st.lists(st.integers(min_value=0, max_value=60), max_size=6))
def test_arguments_come_together_wherever_they_were_cut(city: str, cuts: list[int]) -> None:
    """Two calls of any arguments, interleaved bit by bit, are what they were."""
    texts = [orjson.dumps({"city": city}).decode(), orjson.dumps({"to": city, "n": 1}).decode()]
    deltas: list[list[object]] = [
        [piece(f"f{at}", "", f"c{at}", at) for at in range(len(texts))],
    ]
    at = [0, *sorted(cuts), 10_000]
    for low, high in itertools.pairwise(at):
        deltas.append([piece(None, text[low:high], None, n) for n, text in enumerate(texts)])
    assert calls(*deltas) == [("f0", texts[0]), ("f1", texts[1])]


def test_a_call_without_an_id_gets_one_that_stays() -> None:
    """In a stream and in a whole answer: made up, and the same whenever that answer is read."""
    frame = {"choices": [{"delta": {"tool_calls": [piece("f", "{}")]}, "finish_reason": "stop"}]}
    stream = b"data: " + orjson.dumps(frame) + b"\n\n" + DONE
    message = {"content": None, "tool_calls": [piece("f", "{}", index=None)]}
    whole = orjson.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    told = set()
    for _ in range(2):
        for body in (
            read(stream).body,
            completion_from_json(whole, GENERATION, DIALECT).body,
        ):
            (call,) = orjson.loads(body)["choices"][0]["message"]["tool_calls"]
            assert call["type"] == "function"
            told.add(call["id"])
    assert len(told) == 1
    assert told.pop().startswith("call_")


def test_what_comes_with_a_call_is_kept() -> None:
    """A thought's signature beside a call is the caller's to send back."""
    parts = ToolCalls()
    extra = {"google": {"thought_signature": "c2ln"}}
    parts.add([{**piece("f", "{}", "c1"), "extra_content": extra}])
    (call,) = parts.documents(named="gen-1")
    assert isinstance(call, dict)
    assert call["extra_content"] == extra


def test_halves_of_a_character_in_two_deltas_are_one() -> None:
    """An emoji cut in two between two deltas of the arguments is joined; a lone half is U+FFFD."""
    halves = [b'"{\\"a\\":\\"\\ud83d"', b'"\\ude00\\"}"', b'"\\ud83d"']
    frames = [
        b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","function":'
        b'{"name":"f","arguments":' + half + b"}}]}}]}\n\n"
        for half in halves
    ]
    (call,) = orjson.loads(read(*frames[:2], DONE).body)["choices"][0]["message"]["tool_calls"]
    assert call["function"]["arguments"] == '{"a":"😀"}'
    (call,) = orjson.loads(read(*frames, DONE).body)["choices"][0]["message"]["tool_calls"]
    assert call["function"]["arguments"].endswith("\ufffd")


def test_more_calls_than_anybody_means_are_a_fault() -> None:
    """None is passed over in silence."""
    parts = ToolCalls()
    with pytest.raises(ValueError, match="tool calls"):
        parts.add([piece("f", "{}", f"c{at}", at) for at in range(CALLS_MAX + 1)])
