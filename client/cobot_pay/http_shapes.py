"""What we use of an HTTP library's requests and answers: httpx's, or of one shaped like it."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from hashlib import sha256
from typing import Any, Protocol

# What may differ between two askings of one request: how the answer is to be written, and what a
# program tells of itself.
_BESIDE_THE_REQUEST = frozenset({"stream", "stream_options", "client_metadata"})


class HttpUrl(Protocol):
    """Where a request goes."""

    @property
    def scheme(self) -> str:
        """`http` or `https`."""

    @property
    def host(self) -> str:
        """Name or address."""

    @property
    def port(self) -> int | None:
        """None for the scheme's own."""


class HttpRequest(Protocol):
    """A request whose body can be read and sent again."""

    @property
    def method(self) -> str:
        """In capitals."""

    @property
    def url(self) -> HttpUrl:
        """Where it goes; as a text, the whole address."""

    @property
    def headers(self) -> MutableMapping[str, str]:
        """By name, in any case."""

    def read(self) -> bytes:
        """The body; afterwards it can be sent any number of times."""

    async def aread(self) -> bytes:
        """The body of an async client's request; then it can be sent any number of times."""


class HttpHeaders(Protocol):
    """Headers of an answer."""

    def get_list(self, key: str) -> list[str]:
        """The values of every line of that name, in order."""


class HttpResponse(Protocol):
    """An answer whose body may not have been read yet."""

    @property
    def status_code(self) -> int:
        """The status."""

    @property
    def headers(self) -> HttpHeaders:
        """The headers."""

    @property
    def url(self) -> HttpUrl:
        """Who answered, after redirects."""

    @property
    def content(self) -> bytes:
        """The body, once it is read."""

    def read(self) -> bytes:
        """Read the body, which `content` has from then on."""

    async def aread(self) -> bytes:
        """Read the body of an async client's answer, which `content` has from then on."""


def origin_of(url: HttpUrl) -> str:
    """Scheme, host and port: whom a token may be shown to."""
    return f"{url.scheme}://{url.host}:{url.port or ''}"


def request_digest(request: HttpRequest) -> str:
    """What tells a request from others, in hex; its body must have been read.

    Programs repeat a request with its members in another order, or ask for the whole of what broke
    off as a stream: what was paid for the first is shown for the second. Where a seller sees two
    requests in them after all, it asks to be paid, and nothing is lost.
    """
    head = f"{request.method} {request.url}\n".encode()
    return sha256(head + _canonical(request.read())).hexdigest()


def _canonical(body: bytes) -> bytes:
    """A JSON object in one form; whatever else it is stays as it came."""
    try:
        document = json.loads(body, object_pairs_hook=_once_each, parse_float=_in_one_form)
        if not isinstance(document, dict):
            return body
        asked = {name: each for name, each in document.items() if name not in _BESIDE_THE_REQUEST}
        return json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return body


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name is given twice")
    return members


def _in_one_form(number: str) -> float | int:
    value = float(number)
    return int(value) if value.is_integer() else value
