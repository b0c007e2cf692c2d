"""The digest of a request: one for every way to write it, and another for every other request."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.http_api.chat.request import parse_chat_request
from cobot_meter.http_api.http.json_request import BESIDE_THE_REQUEST, read_json_request

ASK: Mapping[str, Any] = {
    "model": "a/b",
    "messages": [{"role": "user", "content": "How fast is Lightning?"}],
    "temperature": 0.5,
    "max_tokens": 100,
}
TEXTS = st.text(max_size=8)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**6), 10**6).map(float),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, max_size=5)


def digest(body: bytes | str) -> str:
    """The digest of a body."""
    raw = body.encode() if isinstance(body, str) else body
    return read_json_request(raw, wanted="anything").digest


def rewritten(value: object, dice: random.Random) -> str:
    """The same JSON as some other client may write it."""
    blank = dice.choice(["", " ", "\n\t"])
    match value:
        case dict():
            members = list(value.items())
            dice.shuffle(members)
            inner = f"{blank},".join(
                f"{text_of(name, dice)}{blank}:{rewritten(each, dice)}" for name, each in members
            )
            return f"{blank}{{{inner}{blank}}}"
        case list():
            return f"[{blank}{','.join(rewritten(each, dice) for each in value)}{blank}]{blank}"
        case str():
            return text_of(value, dice)
        case _:
            return dice.choice(number_forms(value))


def number_forms(value: object) -> list[str]:
    """Every way to write a number, and the one to write `true`, `false` and `null`."""
    match value:
        case float() if value.is_integer() and abs(value) < 10**15:
            return [f"{value:.1f}", f"{value:.0f}", f"{value:.16e}", f"{value:.3f}"]
        case float():
            return [repr(value), f"{value:.17e}", f"{value:.20E}"]
        case int() if not isinstance(value, bool) and abs(value) < 10**15:
            return [str(value), f"{value}.0", f"{value}.000", f"{value}e0"]
        case _:
            return [json.dumps(value)]


def text_of(text: str, dice: random.Random) -> str:
    """A text with some, all or none of its characters escaped."""
    if dice.random() < 0.3:
        return "".join(['"', *(f"\\u{unit:04x}" for unit in units_of(text)), '"'])
    return json.dumps(text, ensure_ascii=dice.random() < 0.5)


def units_of(text: str) -> Iterator[int]:
    """The text in UTF-16, as escapes write it."""
    octets = text.encode("utf-16-be")
    return (high << 8 | low for high, low in zip(octets[::2], octets[1::2], strict=True))


def plain(value: object) -> object:
    """What a value says, whatever its numbers look like, so that 1 is not true."""
    match value:
        case dict():
            return {name: plain(each) for name, each in value.items()}
        case list():
            return [plain(each) for each in value]
        case bool() | None | str():
            return (type(value).__name__, value)
        case float() if value.is_integer() and abs(value) >= 10**16:
            return ("float", value)
        case _:
            return ("number", value)


@given(document=DOCUMENTS, seed=st.integers(0, 2**32))
@example(document={"a": 1.0, "b": [-0.0, 5e-324, 1e16, 2**53 + 1], "\U0001f600": "\u2028"}, seed=7)
def test_however_it_is_written_it_is_the_same_request(document: dict[str, Any], seed: int) -> None:
    """Order of members, blanks, escapes and the form of a number change nothing."""
    written = rewritten(document, random.Random(seed))
    assert digest(written) == digest(orjson.dumps(document))


@given(first=DOCUMENTS, second=DOCUMENTS)
@example(first={"a": 1}, second={"a": True})
@example(first={"a": 0}, second={"a": None})
@example(first={"a": "1"}, second={"a": 1})
@example(first={"a": ["b", "c"]}, second={"a": ["c", "b"]})
@example(first={"a": {"b": 1}}, second={"a": {}, "b": 1})
@example(first={"a": 2**53}, second={"a": 2**53 + 1})
@example(first={"a": 2**64 - 1}, second={"a": 2**64 - 2})
@example(first={"a": 1.0}, second={"a": 1.0000000000000002})
@example(first={"a": "\u00e9"}, second={"a": "e\u0301"})
@example(first={"a": ""}, second={"a": None})
def test_what_says_something_else_is_another_request(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Two documents share a digest exactly when they say the same."""
    for document in (first, second):
        assume(not document.keys() & BESIDE_THE_REQUEST)
    same = plain(first) == plain(second)
    assert (digest(orjson.dumps(first)) == digest(orjson.dumps(second))) is same


@given(document=DOCUMENTS, at=st.integers(0, 10**6), name=TEXTS, value=VALUES)
def test_every_change_anywhere_in_it_makes_another_request(
    document: dict[str, Any], at: int, name: str, value: object
) -> None:
    """One member set, at any depth."""
    before, plainly = digest(orjson.dumps(document)), plain(document)
    places = list(objects_of(document))
    places[at % len(places)][name] = value
    assume(not document.keys() & BESIDE_THE_REQUEST)
    assert (digest(orjson.dumps(document)) == before) is (plain(document) == plainly)


def objects_of(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Every object in it, itself first."""
    inner: Iterable[Any] = ()
    if isinstance(value, dict):
        yield value
        inner = list(value.values())
    elif isinstance(value, list):
        inner = value
    for each in inner:
        yield from objects_of(each)


@pytest.mark.parametrize(
    "beside",
    [
        {"stream": True},
        {"stream": False},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"client_metadata": {"x-codex-installation-id": "1", "session_id": "2"}},
    ],
)
def test_what_clients_change_when_they_repeat_is_not_in_it(beside: dict[str, Any]) -> None:
    """Claude Code repeats a broken stream without `stream`, Codex writes other metadata."""
    assert digest(orjson.dumps({**ASK, **beside})) == digest(orjson.dumps(ASK))


def test_that_is_so_at_the_top_alone() -> None:
    """A parameter of a function that happens to be called `stream` is part of the request."""
    inside = {**ASK, "tools": [{"stream": True}]}
    assert digest(orjson.dumps(inside)) != digest(orjson.dumps({**ASK, "tools": [{}]}))


def test_the_six_orders_in_which_codex_writes_its_metadata_are_one_request() -> None:
    """Thirty retries had six byte forms; none of them is a request of its own."""
    members = [("installation", "a"), ("session", "b"), ("turn", "c")]
    bodies = {
        json.dumps({"client_metadata": dict(order), **ASK})
        for order in itertools.permutations(members)
    }
    assert len(bodies) == 6
    assert len(set(map(digest, bodies))) == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"a": 1, "a": 1}',
        '{"a": 1, "\\u0061": 2}',
        '{"stream": true, "stream": false}',
        '{"client_metadata": {"x": 1, "x": 2}}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"\\udfff": 1}',
        '{"a": 01}',
        "[]",
    ],
)
def test_what_readers_read_differently_has_no_digest(body: str) -> None:
    """A name twice, half a character, what is no number: refused, also where nothing counts."""
    with pytest.raises(RequestInvalid):
        digest(body)


@pytest.mark.parametrize("opens", ['{"a":', '{"stream":', "["])
def test_what_is_nested_too_deeply_has_no_digest(opens: str) -> None:
    """Whatever its member: a sentence, and no recursion without end."""
    closes = "]" if opens == "[" else "}"
    with pytest.raises(RequestInvalid):
        digest('{"x":' + opens * 400 + "1" + closes * 400 + "}")


def tool(numbers: str) -> str:
    """An ask with a function whose schema has these numbers."""
    return (
        '{"model":"a/b","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function",'
        f'"function":{{"name":"f","parameters":{{"enum":[{numbers}]}}}}}}]}}'
    )


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=20))
def test_requests_of_one_digest_are_sent_alike_and_cost_alike(numbers: list[int]) -> None:
    """A quote for `[1,1]` does not hold for a prompt of twice the length."""
    short = parse_chat_request(tool(",".join(map(str, numbers))).encode())
    for form in ("{}.0", "{}.0000", "{}e0"):
        long = parse_chat_request(tool(",".join(map(form.format, numbers))).encode())
        assert long.digest == short.digest
        assert long.completion.prompt_bytes == short.completion.prompt_bytes
        assert long.completion.body.content == short.completion.body.content


@pytest.mark.parametrize("name", ["max_tokens", "seed", "top_k", "n"])
def test_a_count_is_still_a_whole_number_that_is_written_as_one(name: str) -> None:
    """The one form is for the digest and the prompt; what is counted is checked as it came."""
    with pytest.raises(RequestInvalid, match=f"{name} must be"):
        parse_chat_request(orjson.dumps({**ASK, name: 1.0}))
