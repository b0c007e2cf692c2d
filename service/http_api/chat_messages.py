"""The messages of a chat request: roles, text, and images (`chat_images.py`).

Must not know: the other fields, models, prices or HTTP.
"""

from __future__ import annotations

from typing import Any

from service.domain.errors import RequestInvalid
from service.http_api.chat_fields import refuse, shown
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
# Parts that are text under another name: what an assistant refused, and the Responses API's words.
_TEXTS_OF_PARTS = {"refusal": "refusal", "input_text": "text", "output_text": "text"}
# Whose message may say nothing at all; a user's is most likely a mistake.
_MAY_BE_EMPTY = frozenset({"assistant", "developer", "system", "tool"})


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
    elif content and isinstance(content, list):
        content = _parts(at, content)
    elif content in (None, []) and role in _MAY_BE_EMPTY:
        content = _nothing(role, message)
    else:
        raise refuse(f"messages[{at}].content", "a text, or a list of text parts", content)
    return _with_extras(at, message, content)


def _nothing(role: str, message: dict[str, Any]) -> str | None:
    """No text, as the upstream takes it: null beside an assistant's calls, else an empty text."""
    is_null = role == "assistant" and (message.get("content") is None or message.get("tool_calls"))
    return None if is_null else ""


def _with_extras(at: int, message: dict[str, Any], content: object) -> dict[str, Any]:
    """The message with its known fields only, and no nulls but the content's."""
    for name in _TEXTS:
        if not isinstance(message.get(name), str | None):
            raise refuse(f"messages[{at}].{name}", "a text", message[name])
    for name in _LISTS:
        if not isinstance(message.get(name), list | None):
            raise refuse(f"messages[{at}].{name}", "a list", message[name])
    if message.get("audio") is not None:
        raise _not_offered(f"messages[{at}].audio", "audio")
    kept = {
        name: value
        for name, value in message.items()
        if value is not None and value != [] and name in _KNOWN and name != "content"
    }
    kept["content"] = content
    if kept.get("reasoning_content") == kept.get("reasoning"):
        kept.pop("reasoning_content", None)  # one thought under two names is one prompt
    return kept


def _parts(at: int, parts: list[object]) -> list[dict[str, Any]]:
    return [_part(f"messages[{at}].content[{number}]", part) for number, part in enumerate(parts)]


def _part(path: str, part: object) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise refuse(path, 'an object {"type": "text", "text": "..."}', part)
    if part.get("type") == IMAGE_TYPE:
        return check_image(path, part)
    part = _as_text(path, part)
    if not isinstance(part.get("text"), str):
        raise refuse(f"{path}.text", "a text", part.get("text"))
    if part.keys() == _TEXT_PART:
        return part
    kept = {"type": "text", "text": part["text"]}
    cache_control = part.get("cache_control")
    if isinstance(cache_control, dict):
        kept["cache_control"] = cache_control
    return kept


def _as_text(path: str, part: dict[str, Any]) -> dict[str, Any]:
    """A part of any kind that is text. Raises RequestInvalid, and says which kind is none."""
    kind = part.get("type")
    if kind == "text":
        return part
    if not isinstance(kind, str):
        raise refuse(f"{path}.type", '"text" or "image_url"', kind)
    if kind not in _TEXTS_OF_PARTS:
        raise _not_offered(f"{path}.type", kind)
    return {**part, "type": "text", "text": part.get(_TEXTS_OF_PARTS[kind])}


def _not_offered(path: str, kind: str) -> RequestInvalid:
    message = (
        f"{path}: {shown(kind)} is not offered yet, since its price is not known before it runs; "
        "remove it, and send text or image_url."
    )
    return RequestInvalid(message, param=path)
