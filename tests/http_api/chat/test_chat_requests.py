"""What a chat request may be, field by field, before anybody reserves a msat for it."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.http_api.chat.request import parse_chat_request

HELLO = [{"role": "user", "content": "Hello"}]
ASK: dict[str, Any] = {"model": "a/b", "messages": HELLO}


def parsed(document: dict[str, Any]) -> CompletionRequest:
    """The request that a document stands for."""
    return parse_chat_request(orjson.dumps(document)).completion


def forwarded(**fields: object) -> dict[str, Any]:
    """What would be sent upstream for an ask with these fields."""
    document: dict[str, Any] = orjson.loads(parsed({**ASK, **fields}).body.content)
    return document


def refused(body: bytes) -> RequestInvalid:
    """Why a body is refused."""
    with pytest.raises(RequestInvalid) as caught:
        parse_chat_request(body)
    return caught.value


def refused_field(**fields: object) -> RequestInvalid:
    """Why an ask with these fields is refused."""
    return refused(orjson.dumps({**ASK, **fields}))


def test_the_smallest_ask() -> None:
    """Model and one message are enough; what was not said is left to the quote."""
    request = parsed(ASK)
    assert (request.model, request.max_tokens, request.stream) == ("a/b", 0, False)
    assert request.message_count == 1
    assert request.prompt_bytes == len(orjson.dumps(HELLO))
    assert orjson.loads(request.body.content) == ASK


def test_what_is_known_is_forwarded_and_what_is_not_is_passed_over() -> None:
    """Sampling fields reach the upstream; unknown ones, nulls and our own concerns do not."""
    known: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 1,
        "top_k": 40,
        "frequency_penalty": -1.5,
        "presence_penalty": 2,
        "seed": -7,
        "stop": ["\n", "END"],
        "logprobs": True,
        "top_logprobs": 3,
        "logit_bias": {"50256": -100},
        "session_id": "s-1",
        "prompt_cache_key": "k",
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "structured_outputs": True,
        "include_reasoning": False,
        "provider": {"order": ["Mistral"], "data_collection": "deny", "zdr": True},
        "reasoning": {"effort": "low", "exclude": True},
        "response_format": {"type": "json_object"},
    }
    dropped: dict[str, Any] = {
        "user": "u-1",
        "metadata": {"run": "7"},
        "n": 1,
        "service_tier": "auto",
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [],
        "transforms": [],
        "models": None,
        "temperature_of_the_room": 21,
        "provider_options": {},
    }
    assert forwarded(**known, **dropped) == {**ASK, **known}


def test_which_parameters_are_demanded_is_never_the_callers() -> None:
    """Of the routing preferences only those that narrow the choice are forwarded."""
    asked = {"require_parameters": False, "ignore": ["X"], "options": {"a": 1}}
    assert forwarded(provider=asked)["provider"] == {"ignore": ["X"]}


def test_every_role_may_speak_in_text() -> None:
    """Text and lists of text parts pass, with names, tool ids and what an assistant said."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "No lists."}]},
        {"role": "user", "content": "Hi", "name": "ada"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "t1"}]},
        {"role": "tool", "content": "42", "tool_call_id": "t1"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "?", "cache_control": {"type": "ephemeral"}}],
        },
    ]
    request = parsed({**ASK, "messages": messages})
    assert orjson.loads(request.body.content)["messages"] == messages
    assert request.message_count == 6


def test_an_assistants_answer_can_be_sent_back_as_it_came() -> None:
    """Nulls and unknown members of a message are passed over, what was said is kept."""
    answer: dict[str, Any] = {
        "role": "assistant",
        "content": "Yes.",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "tool_calls": None,
        "reasoning": "Because.",
    }
    messages = forwarded(messages=[*HELLO, answer])["messages"]
    assert messages[1] == {"role": "assistant", "content": "Yes.", "reasoning": "Because."}


def test_a_schema_counts_as_prompt() -> None:
    """Every byte of response_format is in the bound of the prompt."""
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
    extra = parsed({**ASK, "response_format": schema}).prompt_bytes - parsed(ASK).prompt_bytes
    assert extra == len(orjson.dumps(schema))
    assert forwarded(response_format=schema)["response_format"] == schema


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_max_tokens_under_either_name(name: str) -> None:
    """Both of OpenAI's names ask for the same; the upstream is told by the flow, not the body."""
    request = parsed({**ASK, name: 77})
    assert request.max_tokens == 77
    assert name not in orjson.loads(request.body.content)


@pytest.mark.parametrize("value", [0, -1, True, 1.0, 1e3, 2**31, 2**70, "10", [], {}])
def test_a_max_tokens_that_is_no_count_is_refused(value: object) -> None:
    """Zero, negative, fractional, boolean and huge values never reach a quote."""
    body = json.dumps({**ASK, "max_tokens": value}).encode()
    assert refused(body).param == "max_tokens"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
        ({"model": ""}, "model"),
        ({"model": "x" * 201}, "model"),
        ({"model": "openai/gpt-5-mini:online"}, "model"),
        ({"model": "openai/gpt-5-mini:nitro"}, "model"),
        ({"model": "@preset/mine"}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [7]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "root", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [*HELLO, {"role": "user"}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, None),
        ({"messages": [{"role": "user", "content": "x", "name": 7}]}, "messages[0].name"),
        ({"messages": [{"role": "tool", "content": "x", "tool_calls": 7}]}, None),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens"),
        ({"n": 2}, "n"),
        ({"n": 0}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": True}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"stream_options": "usage"}, "stream_options"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": 1e300}, "temperature"),
        ({"top_p": 1.01}, "top_p"),
        ({"presence_penalty": -3}, "presence_penalty"),
        ({"seed": 1.5}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"stop": ""}, "stop"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": [7]}, "stop"),
        ({"logit_bias": {"1": 101}}, "logit_bias"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"user": 7}, "user"),
        ({"metadata": {"k": 7}}, "metadata"),
        ({"metadata": {str(key): "v" for key in range(17)}}, "metadata"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"verbosity": "loud"}, "verbosity"),
        ({"provider": "Mistral"}, "provider"),
        ({"provider": {"order": "Mistral"}}, "provider.order"),
        ({"provider": {"sort": "cheapest"}}, "provider.sort"),
        ({"session_id": "s" * 257}, "session_id"),
        ({"prompt_cache_key": 7}, "prompt_cache_key"),
        ({"cache_control": {"type": "ephemeral", "ttl": ["1h"]}}, "cache_control"),
        ({"cache_control": {"type": "forever"}}, "cache_control"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"reasoning": {"max_tokens": 0}}, "reasoning.max_tokens"),
        ({"reasoning": {"max_tokens": 1_024}}, "reasoning.max_tokens"),
        ({"reasoning": {"max_tokens": 50}, "max_tokens": 50}, "reasoning.max_tokens"),
        ({"reasoning": {"max_tokens": 5, "effort": "low"}}, "reasoning"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"reasoning_effort": "low", "reasoning": {}}, "reasoning_effort"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ],
)
def test_a_wrong_value_is_named(fields: dict[str, Any], param: str | None) -> None:
    """Each wrong type or range is refused with its path and a sentence that says what fits."""
    error = refused_field(**fields)
    assert error.param == param or (param is None and str(error.param).startswith("messages[0]."))
    assert error.message.endswith(".")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("functions", [{"name": "f"}]),
        ("function_call", "auto"),
        ("plugins", [{"id": "web"}]),
        ("plugins", [{"id": "web", "enabled": True}]),
        ("plugins", [{"id": "web", "enabled": False}, {"id": "file-parser"}]),
        ("route", "sort"),
        ("transforms", ["summarise"]),
        ("preset", "mine"),
        ("web_search_options", {"search_context_size": "low"}),
        ("audio", {"voice": "alloy"}),
        ("prediction", {"type": "content", "content": "x"}),
    ],
)
def test_what_is_not_offered_yet_is_refused_and_not_ignored(field: str, value: object) -> None:
    """A feature that would change the answer or its price is refused by name, with advice."""
    error = refused_field(**{field: value})
    assert error.param == field
    assert error.message == f"{field} is not offered yet; remove it."


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video_url", "video_url": {"url": "https://example.org/x.mp4"}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "file", "file": {"filename": "x.pdf"}},
    ],
)
def test_only_text_and_images_are_offered(part: dict[str, Any]) -> None:
    """Audio, video and files are refused with their path."""
    error = refused_field(
        messages=[{"role": "user", "content": [{"type": "text", "text": ""}, part]}]
    )
    assert error.param == "messages[0].content[1].type"
    assert "not offered yet" in error.message
    assert part["type"] in error.message


def test_include_usage_is_read() -> None:
    """The stream of an ask ends as OpenAI's option says."""
    asked = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    chat = parse_chat_request(orjson.dumps(asked))
    assert chat.include_usage
    assert chat.completion.stream
    assert not parse_chat_request(orjson.dumps({**ASK, "stream_options": {}})).include_usage


def test_one_word_of_reasoning_becomes_openrouters_object() -> None:
    """OpenAI's `reasoning_effort` is forwarded as `reasoning`."""
    assert forwarded(reasoning_effort="minimal")["reasoning"] == {"effort": "minimal"}


TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("fields", "demands"),
    [
        ({"temperature": 0.1, "min_p": 0.1, "seed": 1, "reasoning": {"effort": "low"}}, set()),
        ({"tools": [TOOL], "tool_choice": "auto"}, {"tools"}),
        ({"tools": [TOOL], "tool_choice": "none"}, {"tools"}),
        ({"tools": [TOOL], "tool_choice": "required"}, {"tools", "tool_choice"}),
        ({"tools": [], "tool_choice": "auto"}, set()),
        ({"response_format": {"type": "text"}}, set()),
        ({"response_format": {"type": "json_object"}}, {"response_format"}),
        ({"logprobs": True, "top_logprobs": 2}, {"logprobs", "top_logprobs"}),
        ({"logprobs": False}, set()),
    ],
)
def test_what_an_ask_demands(fields: dict[str, object], demands: set[str]) -> None:
    """Without these the answer is not what was asked for; everything else is a wish."""
    assert parsed({**ASK, **fields}).demands == demands


def test_a_thought_is_carried_under_either_name() -> None:
    """`reasoning_content` of an assistant's message goes upstream; said twice, it goes once."""
    said = {"role": "assistant", "content": "so", "reasoning_content": "hm"}
    assert forwarded(messages=[said])["messages"] == [said]
    twice = {**said, "reasoning": "hm"}
    assert forwarded(messages=[twice])["messages"] == [
        {"role": "assistant", "content": "so", "reasoning": "hm"}
    ]
    wrong = refused_field(messages=[{**said, "reasoning_content": 7}])
    assert wrong.param == "messages[0].reasoning_content"
