"""Reads a bought answer for a cobot, and writes what it asks. Must not know: cobot, or HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cobot_pay.cobot.sentences import CallRefused

# A panel's report calls no tools, and a service refuses a request for one that brings some.
_REPORTS = "cobot/consensus"
_BAD_ANSWER = "the service's answer cannot be read; ask the same again, it is not paid twice"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoughtAnswer:
    """What cobot wants to know of a completion."""

    content: str
    tool_calls: list[dict[str, Any]] | None
    model: str
    usage: dict[str, Any]


def request_body(
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] | None,
    models: Sequence[str],
    max_tokens: int,
) -> bytes:
    """The body of a call: the first model, and those that are asked after it."""
    first, *others = models
    document: dict[str, Any] = {"model": first, "messages": messages, "max_tokens": max_tokens}
    if others:
        document["models"] = others
    if tools and not first.startswith(_REPORTS):
        document["tools"] = tools
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def read_answer(said: Mapping[str, Any]) -> BoughtAnswer:
    """The first choice. Raises CallRefused for what cobot could not go on with."""
    choices = said.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(message, dict):
        raise CallRefused(_BAD_ANSWER)
    content, usage = message.get("content"), said.get("usage")
    return BoughtAnswer(
        content=content if isinstance(content, str) else "",
        tool_calls=_tool_calls(message.get("tool_calls")),
        model=str(said.get("model") or ""),
        usage=dict(usage) if isinstance(usage, dict) else {},
    )


def _tool_calls(found: object) -> list[dict[str, Any]] | None:
    """Calls whose arguments are JSON, as cobot needs them. Raises CallRefused for others."""
    if not found:
        return None
    if not isinstance(found, list):
        raise CallRefused(_BAD_ANSWER)
    for call in found:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(call.get("id"), str):
            raise CallRefused(_BAD_ANSWER)
        if not isinstance(function.get("name"), str) or not _is_object(function.get("arguments")):
            raise CallRefused("the model called a tool with words that are no JSON; ask again")
    return found


def _is_object(text: object) -> bool:
    try:
        return isinstance(text, str) and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
