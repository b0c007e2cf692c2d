"""What ordinary clients send beside the plain form, taken for what it means and priced as that."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http_api.chat.test_chat_chains_and_tools import LOOK_UP
from tests.http_api.chat.test_chat_requests import ASK, HELLO, forwarded, parsed, refused_field

CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
PNG = "iVBORw0KGgo="


@pytest.mark.parametrize(
    "fields",
    [
        {"stop": []},
        {"stop": None},
        {"logit_bias": {}},
        {"metadata": {}},
        {"modalities": []},
        {"cache_control": {}},
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
        {"tools": None, "tool_choice": {"type": "none"}, "parallel_tool_calls": False},
        {"plugins": []},
        {"plugins": [{"id": "web", "enabled": False}]},
        {"transforms": []},
        {"transforms": ["middle-out"]},
        {"route": "fallback"},
        {"function_call": "none"},
        {"functions": []},
        {"web_search_options": {}},
        {"response_format": {"type": "text"}},
        {"response_format": {}},
        {"audio": None, "prediction": None, "preset": ""},
        {"models": [], "user": "", "n": 1, "store": False, "usage": {"include": True}},
    ],
)
def test_what_says_nothing_is_neither_refused_nor_passed_on(fields: dict[str, Any]) -> None:
    """It would change nothing here, and keep a provider away who does not know the field."""
    assert forwarded(**fields) == ASK
    assert parsed({**ASK, **fields}).prompt_bytes == parsed(ASK).prompt_bytes


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ({"role": "tool", "content": [], "tool_call_id": "c1"}, {"content": ""}),
        ({"role": "tool", "content": None, "tool_call_id": "c1"}, {"content": ""}),
        ({"role": "system", "content": []}, {"content": ""}),
        ({"role": "developer", "content": None}, {"content": ""}),
        ({"role": "assistant", "content": []}, {"content": ""}),
        ({"role": "assistant", "content": [], "tool_calls": [CALL]}, {"content": None}),
        ({"role": "assistant", "content": None}, {"content": None}),
        ({"role": "assistant", "content": "", "tool_calls": []}, {"tool_calls": None}),
        ({"role": "assistant", "content": "", "reasoning_details": []}, {}),
        ({"role": "user", "content": "x", "name": None}, {"name": None}),
        ({"role": "user", "content": "x", "name": ""}, {}),
        ({"role": "user", "content": ""}, {}),
    ],
)
def test_a_message_that_says_little_is_a_message(
    message: dict[str, Any], sent: dict[str, Any]
) -> None:
    """Empty lists and nulls of a role that may be silent; a null is passed on as the content's."""
    got = forwarded(messages=[*HELLO, message])["messages"][1]
    expected = {**message, **sent}
    kept = {
        name: value
        for name, value in expected.items()
        if name == "content" or value not in (None, [])
    }
    assert got == kept


def test_a_user_who_says_nothing_at_all_is_told() -> None:
    """It is most likely a client that lost the text."""
    silent: tuple[object, ...] = (None, [])
    for content in silent:
        error = refused_field(messages=[{"role": "user", "content": content}])
        assert error.param == "messages[0].content"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "refusal", "refusal": "I will not."},
        {"type": "output_text", "text": "I will not.", "annotations": []},
        {"type": "input_text", "text": "I will not."},
        {"type": "text", "text": "I will not.", "annotations": None},
    ],
)
def test_parts_that_are_text_under_another_name(part: dict[str, Any]) -> None:
    """They reach the upstream as text, and count as prompt."""
    sent = forwarded(messages=[*HELLO, {"role": "assistant", "content": [part]}])
    assert sent["messages"][1]["content"] == [{"type": "text", "text": "I will not."}]


@pytest.mark.parametrize(
    "kind", ["file", "input_audio", "video_url", "input_file", "document", "thinking", "x" * 99]
)
def test_a_part_whose_price_nobody_knows_is_named(kind: str) -> None:
    """The refusal says which type it was."""
    error = refused_field(messages=[{"role": "user", "content": [{"type": kind, kind: {}}]}])
    assert error.param == "messages[0].content[0].type"
    assert kind[:30] in error.message


@pytest.mark.parametrize(
    ("spelt", "kind"),
    [
        ("image/jpg", "jpeg"),
        ("image/JPEG", "jpeg"),
        ("image/JPG", "jpeg"),
        ("image/pjpeg", "jpeg"),
        ("IMAGE/PNG", "png"),
        ("image/x-png", "png"),
        ("image/png;charset=utf-8", "png"),
        ("image/webp;name=a.webp", "webp"),
    ],
)
def test_kinds_of_images_as_clients_spell_them(spelt: str, kind: str) -> None:
    """The upstream is told the kind as the standard writes it."""
    part = {"type": "image_url", "image_url": {"url": f"data:{spelt};base64,{PNG}"}}
    request = parsed({**ASK, "messages": [{"role": "user", "content": [part]}]})
    sent = orjson.loads(request.body.content)["messages"][0]["content"][0]["image_url"]["url"]
    assert sent == f"data:image/{kind};base64,{PNG}"
    assert request.image_count == 1


NAMED = {"type": "function", "function": {"name": "look_up"}}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("any", "required"),
        ({"type": "any"}, "required"),
        ({"type": "auto"}, "auto"),
        ({"type": "none"}, "none"),
        ({"type": "required"}, "required"),
        ({"type": "tool", "name": "look_up"}, NAMED),
        ({"type": "function", "name": "look_up"}, NAMED),
        (NAMED, NAMED),
    ],
)
def test_choices_as_other_interfaces_write_them(choice: object, sent: object) -> None:
    """One form goes upstream."""
    assert forwarded(tools=[LOOK_UP], tool_choice=choice)["tool_choice"] == sent


def test_functions_as_other_interfaces_write_them() -> None:
    """Flat as in the Responses API, or without their type: each is the same function."""
    flat = {"type": "function", **LOOK_UP["function"]}  # type: ignore[dict-item]
    for tool in (flat, {"function": LOOK_UP["function"]}, LOOK_UP):
        assert forwarded(tools=[tool])["tools"] == [LOOK_UP]


FORMS = st.fixed_dictionaries(
    {},
    optional={
        "stop": st.sampled_from([[], None, ["x"], "x"]),
        "logit_bias": st.sampled_from([{}, None, {"1": 1}]),
        "tools": st.sampled_from([[], None, [LOOK_UP]]),
        "tool_choice": st.sampled_from([None, "auto", "none", {"type": "auto"}]),
        "plugins": st.sampled_from([[], None, [{"id": "web", "enabled": False}]]),
        "transforms": st.sampled_from([[], ["middle-out"], None]),
        "route": st.sampled_from(["fallback", None, ""]),
        "response_format": st.sampled_from([None, {"type": "text"}, {"type": "json_object"}]),
        "parallel_tool_calls": st.sampled_from([None, True, False]),
    },
)


@given(FORMS)
def test_any_mixture_of_them_is_one_request(fields: dict[str, Any]) -> None:
    """None of them stands in another's way, and nothing empty or null goes upstream."""
    sent = forwarded(**fields)
    assert all(value not in (None, [], {}, "") for value in sent.values())
    assert not {"plugins", "transforms", "route"} & sent.keys()
    assert ("tools" in sent) == bool(fields.get("tools"))
