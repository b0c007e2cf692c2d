"""The messages of a chat request: roles, text, and images (`chat_images.py`).

Must not know: the other fields, models, prices or HTTP.
"""

from __future__ import annotations

from typing import Any

from service.domain.errors import RequestInvalid
from service.http_api.chat_fields import refuse
from service.http_api.chat_images import IMAGE_TYPE, check_image

ROLES = ("system", "developer", "user", "assistant", "tool")
# What a message may carry to the upstream; every byte of it counts as prompt.
_KNOWN = frozenset(
    {
        "content",
        "name",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "refusal",
        "role",
        "tool_call_id",
        "tool_calls",
    }
)
_PLAIN = frozenset({"role", "content"})
_TEXTS = ("name", "refusal", "reasoning", "reasoning_content", "tool_call_id")
_LISTS = ("tool_calls", "reasoning_details")
_TEXT_PART = frozenset({"type", "text"})


def check_messages(value: object) -> list[dict[str, Any]]:
    """The messages to forward. Raises RequestInvalid with the path of what is wrong."""
    if value is None:
        message = 'messages is missing: send [{"role": "user", "content": "..."}].'
        raise RequestInvalid(message, param="messages")
    if not isinstance(value, list) or not value:
        raise refuse("messages", "a list of at least one message", value)
    return [_message(at, message) for at, message in enumerate(value)]


def _message(at: int, message: object) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise refuse(f"messages[{at}]", "an object with role and content", message)
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise refuse(f"messages[{at}].role", f"one of {', '.join(ROLES)}", role)
    content = message.get("content")
    if isinstance(content, str):
        if message.keys() == _PLAIN:
            return message
    elif isinstance(content, list):
        content = _parts(at, content)
    elif content is not None or role != "assistant":
        raise refuse(f"messages[{at}].content", "a text, or a list of text parts", content)
    return _with_extras(at, message, content)


def _with_extras(at: int, message: dict[str, Any], content: object) -> dict[str, Any]:
    """The message with its known fields only, and no nulls but the content's."""
    for name in _TEXTS:
        if not isinstance(message.get(name), str | None):
            raise refuse(f"messages[{at}].{name}", "a text", message[name])
    for name in _LISTS:
        if not isinstance(message.get(name), list | None):
            raise refuse(f"messages[{at}].{name}", "a list", message[name])
    if message.get("audio") is not None:
        raise _text_only(f"messages[{at}].audio")
    kept = {
        name: value
        for name, value in message.items()
        if value is not None and name in _KNOWN and name != "content"
    }
    kept["content"] = content
    if kept.get("reasoning_content") == kept.get("reasoning"):
        kept.pop("reasoning_content", None)  # one thought under two names is one prompt
    return kept


def _parts(at: int, parts: list[object]) -> list[dict[str, Any]]:
    if not parts:
        raise refuse(f"messages[{at}].content", "a text, or a list of text parts", parts)
    return [_part(f"messages[{at}].content[{number}]", part) for number, part in enumerate(parts)]


def _part(path: str, part: object) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise refuse(path, 'an object {"type": "text", "text": "..."}', part)
    if part.get("type") == IMAGE_TYPE:
        return check_image(path, part)
    if part.get("type") != "text":
        if isinstance(part.get("type"), str):
            raise _text_only(f"{path}.type")
        raise refuse(f"{path}.type", '"text"', part.get("type"))
    if not isinstance(part.get("text"), str):
        raise refuse(f"{path}.text", "a text", part.get("text"))
    if part.keys() == _TEXT_PART:
        return part
    kept = {"type": "text", "text": part["text"]}
    cache_control = part.get("cache_control")
    if isinstance(cache_control, dict):
        kept["cache_control"] = cache_control
    return kept


def _text_only(path: str) -> RequestInvalid:
    message = f"{path}: audio, video and files are not offered yet; remove them and send text."
    return RequestInvalid(message, param=path)
