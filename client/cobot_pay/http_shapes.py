"""What we use of an HTTP library's requests and answers: httpx's, or of one shaped like it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Protocol


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
