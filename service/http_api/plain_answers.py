"""An HTTP answer as plain values: status, header lines, body. Must not know: what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

Header = tuple[bytes, bytes]

JSON_HEADER: Header = (b"content-type", b"application/json")
NO_STORE: Header = (b"cache-control", b"no-store")
NO_RETRY: Header = (b"x-should-retry", b"false")


class PlainAnswer(NamedTuple):
    """What an ASGI handler sends: header names in lower case, content-length among them."""

    status: int
    headers: list[Header]
    body: bytes


def json_answer(
    status: int, document: dict[str, Any], headers: Sequence[Header] = ()
) -> PlainAnswer:
    """`document` as JSON, with its type and length before the further `headers`."""
    body = orjson.dumps(document)
    length = (b"content-length", b"%d" % len(body))
    return PlainAnswer(status, [JSON_HEADER, length, *headers], body)
