"""The messages of a chat request: roles, text and images.

Images are checked and passed on, never fetched, decoded or looked at. Must not know: the other
fields, models, prices or HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.http_api.chat.fields import refuse, shown

IMAGE_TYPE = "image_url"
IMAGES_MAX = 8
URL_CHARS_MAX = 2_048
_DETAILS = ("auto", "low", "high")
_DATA = "data:"
_DATA_URL = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")
# How clients write the same kinds; a parameter between kind and `base64` says nothing of an image.
_SPELT = re.compile(r"data:image/([a-z-]{1,8})(?:;[a-z0-9=.-]{1,40}){0,3};base64,", re.IGNORECASE)
_KINDS = {"jpg": "jpeg", "pjpeg": "jpeg", "x-png": "png"}
_WEB_URL = re.compile(r"https?://[\x21-\x7e]+")


def last_turn(messages: Sequence[dict[str, Any]]) -> str:
    """What the user said last, as text; of checked messages."""
    last = next((one for one in reversed(messages) if one["role"] == "user"), None)
    content = last["content"] if last else ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def check_image(path: str, part: dict[str, Any]) -> dict[str, Any]:
    """The part to forward. Raises RequestInvalid with the path of what is wrong."""
    image = part.get(IMAGE_TYPE)
    url = _respelt(image.get("url")) if isinstance(image, dict) else None
    if not isinstance(image, dict) or not isinstance(url, str) or not _fits(url):
        message = (
            f"{path}.image_url.url must be data:image/png;base64,... (or jpeg, webp, gif), or an "
            f"http address of at most {URL_CHARS_MAX} characters."
        )
        raise RequestInvalid(message, param=f"{path}.image_url.url")
    detail = image.get("detail")
    if detail is None:
        return {"type": IMAGE_TYPE, IMAGE_TYPE: {"url": url}}
    if not isinstance(detail, str) or detail not in _DETAILS:
        raise refuse(f"{path}.image_url.detail", f"one of {', '.join(_DETAILS)}", detail)
    return {"type": IMAGE_TYPE, IMAGE_TYPE: {"url": url, "detail": detail}}


def count_images(messages: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """How many there are, and the bytes of those sent along, which are no text.

    Raises RequestInvalid for too many.
    """
    urls = list(_urls(messages))
    if len(urls) > IMAGES_MAX:
        message = f"There are {len(urls)} images, and at most {IMAGES_MAX} are taken; send fewer."
        raise RequestInvalid(message, param="messages")
    return len(urls), sum(len(url) for url in urls if url.startswith(_DATA))


def _urls(messages: Sequence[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part["type"] == IMAGE_TYPE:
                yield part[IMAGE_TYPE]["url"]


def _respelt(url: object) -> object:
    """Data with its kind as the standard writes it: `image/jpg` and `image/JPEG` are jpeg."""
    spelt = _SPELT.match(url) if isinstance(url, str) else None
    if spelt is None:
        return url
    kind = spelt[1].lower()
    return f"{_DATA}image/{_KINDS.get(kind, kind)};base64,{spelt.string[spelt.end() :]}"


def _fits(url: str) -> bool:
    if url.startswith(_DATA):
        return _DATA_URL.fullmatch(url) is not None
    return len(url) <= URL_CHARS_MAX and _WEB_URL.fullmatch(url) is not None


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
