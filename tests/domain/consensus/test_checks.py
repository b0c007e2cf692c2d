"""What can be told of an answer without a judge: its end, a refusal, its format, its code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.consensus.checks import why_not

PARCEL = {
    "type": "object",
    "properties": {
        "grams": {"type": "integer"},
        "price": {"type": ["number", "null"]},
        "to": {"enum": ["home", "shop"]},
        "stops": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["grams"],
    "additionalProperties": False,
}


def said(content: object, finish_reason: str = "stop", **message: object) -> dict[str, Any]:
    """An answer with this content."""
    told = {"role": "assistant", "content": content, **message}
    return {"choices": [{"message": told, "finish_reason": finish_reason}]}


def in_schema(schema: object = PARCEL) -> dict[str, Any]:
    """A request whose answer has this schema."""
    wanted = {"type": "json_schema", "json_schema": {"name": "parcel", "schema": schema}}
    return {"response_format": wanted}


@pytest.mark.parametrize(
    ("answer", "request_body", "why"),
    [
        (said("Lima."), {}, ""),
        (said("Lima.", "length"), {}, "it ended with length"),
        (said("I cannot.", refusal="I cannot."), {}, "it is a refusal"),
        (said("  "), {}, "it says nothing"),
        (said(None), {}, "it says nothing"),
        ({}, {}, "there is no message"),
        (said("{}"), {"response_format": {"type": "json_object"}}, ""),
        (said("[]"), {"response_format": {"type": "json_object"}}, "it is no JSON object"),
        (said("no"), {"response_format": {"type": "json_object"}}, "it is no JSON"),
        (said("no"), {"response_format": {"type": "text"}}, ""),
        (said('{"grams": 5, "price": null, "to": "shop", "stops": ["a"]}'), in_schema(), ""),
        (said('{"price": 1.5}'), in_schema(), "$ lacks grams"),
        (said('{"grams": true}'), in_schema(), "$.grams is not of the type that the schema has"),
        (said('{"grams": 1.5}'), in_schema(), "$.grams is not of the type that the schema has"),
        (said('{"grams": 1, "to": "sea"}'), in_schema(), "$.to is none of the values"),
        (said('{"grams": 1, "stops": [1]}'), in_schema(), "$.stops[0] is not of the type"),
        (said('{"grams": 1, "x": 1}'), in_schema(), "$ has a member that the schema has not"),
        (said("```python\nprint(1)\n```\nand\n```rust\nfn (\n```"), {}, ""),
        (said("So:\n```py\ndef f(:\n```"), {}, "its Python does not parse"),
        (said("", "tool_calls", tool_calls=[{"function": {"arguments": '{"a": 1}'}}]), {}, ""),
        (
            said("", "tool_calls", tool_calls=[{"function": {"arguments": "{"}}]),
            {},
            "the arguments",
        ),
    ],
)
def test_an_answer_passes_or_says_why_not(
    answer: dict[str, Any], request_body: dict[str, Any], why: str
) -> None:
    """In a few words; what passes says nothing."""
    found = why_not(answer, request_body)
    assert found.startswith(why)
    assert bool(found) == bool(why)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "items", "properties", "required"]), inner)
    ),
    max_leaves=12,
)


@given(answer=ANYTHING, schema=ANYTHING)
def test_nothing_that_anybody_sends_breaks_the_check(answer: object, schema: object) -> None:
    """Any JSON as the answer, against any JSON as the schema."""
    told = why_not(said(json.dumps(answer)), in_schema(schema))
    assert isinstance(told, str)
    assert isinstance(why_not({"choices": answer}, {"response_format": schema}), str)
