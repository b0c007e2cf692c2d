"""What is asked, and what of an answer a cobot can go on with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cobot_pay.cobot.answers import read_answer, request_body
from cobot_pay.cobot.sentences import CallRefused, refusal


def said(**message: object) -> dict[str, Any]:
    """An answer with this message."""
    return {"model": "a/b", "choices": [{"message": message}], "usage": {"prompt_tokens": 3}}


def call(arguments: object) -> dict[str, Any]:
    """A tool call with these arguments."""
    return {"id": "call_1", "function": {"name": "exec", "arguments": arguments}}


def test_a_chain_is_the_first_model_and_those_after_it() -> None:
    """As OpenRouter's `models` has it."""
    body = json.loads(request_body([], tools=None, models=["a/b", "c/d"], max_tokens=5))
    assert body == {"model": "a/b", "models": ["c/d"], "messages": [], "max_tokens": 5}


def test_an_answer_is_its_first_choice() -> None:
    """A text, or calls with their arguments as they came."""
    assert read_answer(said(content="yes")).content == "yes"
    read = read_answer(said(content=None, tool_calls=[call("{}")]))
    assert read.content == ""
    assert read.tool_calls == [call("{}")]


@pytest.mark.parametrize("arguments", ["{", "[]", None, {}])
def test_arguments_that_are_no_json_object_end_in_a_sentence(arguments: object) -> None:
    """The loop of cobot would break over them."""
    with pytest.raises(CallRefused, match="no JSON"):
        read_answer(said(tool_calls=[call(arguments)]))


@pytest.mark.parametrize("document", [{}, {"choices": []}, {"choices": [{}]}, {"choices": 3}])
def test_what_is_no_completion_ends_in_a_sentence(document: dict[str, Any]) -> None:
    """Also when its status was good."""
    with pytest.raises(CallRefused, match="cannot be read"):
        read_answer(document)


def test_a_panel_is_offered_no_tools() -> None:
    """Its report calls none; every other model is offered what the cobot has."""
    tools = [{"type": "function", "function": {"name": "weather"}}]
    for model, offered in (("cobot/consensus:review", False), ("cobot/auto", True)):
        body = json.loads(request_body([], tools=tools, models=[model], max_tokens=5))
        assert ("tools" in body) == offered


def test_a_spent_budget_is_not_told_as_credit_that_is_short() -> None:
    """No top-up helps: the service's own words say when it begins anew."""
    error = {"code": "budget_exhausted", "message": "It begins anew at midnight."}
    told = refusal(402, {"error": error}, "https://b.example")
    assert told == (
        "The call was not made, for a budget at the service is spent. https://b.example says: It "
        "begins anew at midnight."
    )
    assert "Top it up" in refusal(402, {"error": {**error, "code": "credit_too_low"}}, "u")
