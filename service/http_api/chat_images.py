"""Images in a message: checked and passed on, never fetched, decoded or looked at.

Must not know: models, what an image costs, or HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from service.domain.errors import RequestInvalid
from service.http_api.chat_fields import refuse

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
