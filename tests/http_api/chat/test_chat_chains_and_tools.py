"""Chains of models and functions in a chat request: what is passed on, and what is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from cobot_meter.http_api.chat.request import CHAIN_MAX, TOOLS_MAX
from tests.http_api.chat.test_chat_requests import ASK, forwarded, parsed, refused, refused_field

LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
        "strict": True,
    },
}


@pytest.mark.parametrize(
    ("document", "chain"),
    [
        ({"model": "a/b"}, ("a/b",)),
        ({"model": "a/b", "models": ["c/d", "e/f"]}, ("a/b", "c/d", "e/f")),
        ({"models": ["c/d", "e/f"]}, ("c/d", "e/f")),
        ({"model": "a/b", "models": ["c/d", "a/b", "c/d"]}, ("a/b", "c/d")),
        ({"model": "a/b", "models": []}, ("a/b",)),
        ({"model": "a/b", "models": None}, ("a/b",)),
    ],
)
def test_who_is_asked_and_in_which_order(document: dict[str, Any], chain: tuple[str, ...]) -> None:
    """`model` first, then `models`, each once; the upstream is told of none but the one it runs."""
    request = parsed({"messages": ASK["messages"], **document})
    assert request.model_chain == chain
    assert "models" not in orjson.loads(request.body.content)


@pytest.mark.parametrize(
    ("models", "param"),
    [
        ("a/b", "models"),
        ([1], "models[0]"),
        (["a/b", ""], "models[1]"),
        (["a/b:online"], "models[0]"),
        (["@preset/x"], "models[0]"),
        (["a/b"] * (CHAIN_MAX + 1), "models"),
    ],
)
def test_a_chain_that_is_none_is_refused(models: object, param: str) -> None:
    """With the place of what is wrong in it."""
    assert refused_field(models=models).param == param


def test_tools_are_passed_on_untouched_and_counted() -> None:
    """Every field of a function reaches the upstream, and every byte counts as prompt."""
    fields = {"tools": [LOOK_UP], "tool_choice": "required", "parallel_tool_calls": False}
    assert forwarded(**fields) == {**ASK, **fields}
    with_tools, without = parsed({**ASK, "tools": [LOOK_UP]}), parsed(ASK)
    assert with_tools.prompt_bytes >= without.prompt_bytes + len(orjson.dumps([LOOK_UP]))


def test_a_whole_conversation_with_tools_is_passed_on() -> None:
    """What the model called, and what came of it, as OpenAI's clients send it back."""
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "What is a harbour?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "A place for ships."},
    ]
    assert forwarded(messages=messages, tools=[LOOK_UP])["messages"] == messages


def test_600_kb_of_tools_with_few_tokens_is_not_cheap() -> None:
    """Routstr's hole: a huge list of tools is a huge prompt, whatever max_tokens says."""
    long = {"type": "function", "function": {"name": "f", "description": "x" * 600_000}}
    assert parsed({**ASK, "max_tokens": 10, "tools": [long]}).prompt_bytes > 600_000


@pytest.mark.parametrize("many", [2, 8, 0, -1, "8"])
def test_n_8_is_not_one(many: object) -> None:
    """Routstr's hole: several answers are refused, not run at the price of one."""
    assert refused_field(n=many).param == "n"


@pytest.mark.parametrize("asked", [-100_000, -1, 0, 1.5, "10", True])
def test_negative_max_tokens_is_refused(asked: object) -> None:
    """Routstr's hole: nothing below one token is accepted, under either name."""
    assert refused_field(max_tokens=asked).param == "max_tokens"
    assert refused_field(max_completion_tokens=asked).param == "max_completion_tokens"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": "look_up"}, "tools"),
        ({"tools": [LOOK_UP] * (TOOLS_MAX + 1)}, "tools"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [LOOK_UP, {"type": "openrouter:web_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "web_search_preview"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
        ({"tools": [LOOK_UP], "tool_choice": "always"}, "tool_choice"),
        (
            {
                "tools": [LOOK_UP],
                "tool_choice": {"type": "function", "function": {"name": "other"}},
            },
            "tool_choice",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
    ],
)
def test_what_the_upstream_would_run_is_refused(fields: dict[str, Any], param: str) -> None:
    """Server tools, and choices that choose nothing, with the path of what is wrong."""
    error = refused_field(**fields)
    assert error.param == param
    assert error.message.endswith(".")


def test_a_named_function_may_be_demanded() -> None:
    """The choice is passed on without whatever stood beside it."""
    choice = {"type": "function", "function": {"name": "look_up", "more": 1}}
    sent = forwarded(tools=[LOOK_UP], tool_choice=choice)
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "look_up"}}


def test_a_model_must_be_named_somewhere() -> None:
    """Neither `model` nor `models` is the same as neither of them."""
    error = refused(orjson.dumps({"messages": ASK["messages"], "models": []}))
    assert error.param == "model"
