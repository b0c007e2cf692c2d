"""Bytes that are no chat request, in every way that bytes can be wrong."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.http_api.chat.fields import FIELDS, NOT_OFFERED
from cobot_meter.http_api.chat.request import is_empty, parse_chat_request

HELLO = '[{"role": "user", "content": "Hello"}]'
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [*FIELDS, *NOT_OFFERED, "model", "messages", "max_tokens", "reasoning", "response_format"]
)
PARTS = st.fixed_dictionaries({}, optional={"type": VALUES | st.just("text"), "text": VALUES})
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["user", "assistant", "tool", "function"]) | VALUES,
            "content": VALUES | st.lists(PARTS | VALUES, max_size=3),
            "name": VALUES,
        },
    )
    | VALUES,
    max_size=3,
)
NEARLY = st.builds(
    lambda fields, messages: {"model": "a/b", "messages": messages, **fields},
    st.dictionaries(NAMES, VALUES, max_size=4),
    MESSAGES,
)


def refused(body: bytes) -> RequestInvalid:
    """Why a body is refused."""
    with pytest.raises(RequestInvalid) as caught:
        parse_chat_request(body)
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        b"nothing",
        b"\xff\xfe",
        b'{"model": "a/b"',
        b'{"model": "a/b", }',
        b"{'model': 'a/b'}",
        b'{"max_tokens": NaN}',
        b'{"max_tokens": Infinity}',
        b'{"max_tokens": 1e999}',
        b'{"max_tokens": 01}',
        b'{"max_tokens": \xd9\xa1\xd9\xa0}',
        b'{"model": "\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"[" * 5_000,
    ],
)
def test_what_is_not_json_is_told_where(body: bytes) -> None:
    """Broken syntax, NaN, infinity, digits of other scripts: one sentence with the place."""
    error = refused(body)
    assert error.message.startswith("The body is not JSON (line ")
    assert error.param is None


@pytest.mark.parametrize("body", [b"[]", b"7", b'"text"', b"null", b"true", b"[{}]"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    """JSON of another kind is no request."""
    assert "must be a JSON object" in refused(body).message


def test_digits_of_other_scripts_stay_text() -> None:
    """A number in a string is a string, whatever its digits: no place takes one for a count."""
    body = f'{{"model": "a/b", "messages": {HELLO}, "max_tokens": "\\u0661\\u0660"}}'
    assert refused(body.encode()).param == "max_tokens"


@pytest.mark.parametrize(
    "body",
    [
        f'{{"model": "a/b", "messages": {HELLO}, "model": "c/d"}}',
        f'{{"model": "a/b", "messages": {HELLO}, "m\\u006fdel": "c/d"}}',
        f'{{"model": "a/b", "messages": {HELLO}, "max_tokens": 5, "max_tokens": 5}}',
        '{"model": "a/b", "messages": [{"role": "user", "content": "x", "content": "y"}]}',
        f'{{"model": "a/b", "messages": {HELLO}, "x": {{"y": {{"z": 1, "z": {{"w": ":"}}}}}}}}',
        f'{{"a\\u003ab": 1, "model": "a/b", "model": "a/b", "messages": {HELLO}}}',
    ],
)
def test_a_name_that_is_given_twice_is_refused(body: str) -> None:
    """At any depth, escaped or not: readers disagree on which of the two counts."""
    assert "is given twice" in refused(body.encode()).message


@given(st.lists(st.tuples(st.text('ab:\\"\n€', max_size=3), SCALARS), max_size=5), st.booleans())
def test_duplicates_are_found_exactly(
    members: list[tuple[str, object]],
    ascii_only: bool,  # noqa: FBT001 - drawn
) -> None:
    """An object is refused for duplicates if and only if it has some, however it is written."""
    text = ",".join(
        f"{json.dumps(name, ensure_ascii=ascii_only)}:{json.dumps(value, ensure_ascii=ascii_only)}"
        for name, value in members
    )
    names = [name for name, _ in members]
    try:
        orjson.loads(f"{{{text}}}")
    except orjson.JSONDecodeError:
        return  # half an emoji
    said = refused(f'{{"x":{{{text}}}}}'.encode()).message
    assert ("given twice" in said) == (len(set(names)) < len(names))


def test_colons_in_texts_are_not_members() -> None:
    """Prompts full of colons, escaped or not, are read like any other."""
    content = "a:b::c \\u003a \\\\u003a"
    body = f'{{"model": "a/b", "messages": [{{"role": "user", "content": "{content}"}}]}}'
    request = parse_chat_request(body.encode()).completion
    assert orjson.loads(request.body.content)["messages"][0]["content"] == "a:b::c : \\u003a"


@pytest.mark.parametrize("depth", [255, 900])
def test_deep_nesting_is_refused(depth: int) -> None:
    """What could not be written again is refused, also where a duplicate hides it."""
    nested = "[" * depth + "]" * depth
    plain = f'{{"model": "a/b", "messages": {HELLO}, "x": {nested}}}'
    hidden = f'{{"model": "a/b", "messages": {HELLO}, "x": {nested}, "x": 1}}'
    assert "nested too deeply" in refused(plain.encode()).message
    message = refused(hidden.encode()).message
    assert "nested too deeply" in message or "given twice" in message


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t ", b"{}", b" { } ", b"{\n}\n"])
def test_empty_asks(body: bytes) -> None:
    """Zero bytes, blanks and an empty object ask for a challenge."""
    assert is_empty(body)


@pytest.mark.parametrize("body", [b"[]", b"{ 1 }", b"null", b"{", b"}", b"{{}}", b'{"a":1}'])
def test_asks_that_only_look_empty(body: bytes) -> None:
    """Anything else is a request, if a wrong one."""
    assert not is_empty(body)


@given(st.binary(max_size=200))
@example(b"{}")
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    """Any bytes give a request or a RequestInvalid."""
    _request_or_refusal(body)


@given(NEARLY)
def test_no_near_miss_raises_anything_else(document: dict[str, Any]) -> None:
    """Objects that are nearly a request give one, or a RequestInvalid."""
    try:
        body = orjson.dumps(document)
    except TypeError:
        body = json.dumps(document).encode()  # integers of more than 64 bits, half an emoji
    _request_or_refusal(body)


def _request_or_refusal(body: bytes) -> None:
    try:
        request: CompletionRequest = parse_chat_request(body).completion
    except RequestInvalid:
        return
    sent = orjson.loads(request.body.content)
    assert sent["model"] == request.model
    assert len(sent["messages"]) == request.message_count > 0
    assert request.prompt_bytes >= len(orjson.dumps(sent["messages"]))
    assert request.max_tokens >= 0
    assert "tools" not in sent
