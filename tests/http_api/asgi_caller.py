"""A caller who speaks ASGI to an application in the same event loop, and can hang up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson

from cobot_meter.http_api.http.exchange import AsgiApp

ADDRESS = "203.0.113.7"
Message = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        document: dict[str, Any] = orjson.loads(self.body)
        return document

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value.decode() for found, value in self.headers if found == name.encode()]

    def header(self, name: str) -> str | None:
        """The one value of a header; None without it."""
        values = self.all(name)
        assert len(values) <= 1
        return values[0] if values else None

    @property
    def error(self) -> dict[str, Any]:
        """The error object."""
        error: dict[str, Any] = self.json()["error"]
        return error

    @property
    def head_bytes(self) -> int:
        """What all header lines take on the wire."""
        return sum(len(name) + len(value) + 4 for name, value in self.headers)


def _unheard(_part: bytes) -> None:
    """For whoever waits for the whole."""


class AsgiCaller:
    """Sends requests. `hang_up` disconnects every request that is under way."""

    def __init__(self, app: AsgiApp) -> None:
        """`app` is called directly: no socket, no server."""
        self._app = app
        self._gone = asyncio.Event()

    def hang_up(self) -> None:
        """Disconnect what waits for an answer now; later requests are not concerned."""
        self._gone.set()
        self._gone = asyncio.Event()

    async def send(
        self,
        method: str,
        target: str,
        *,
        body: bytes | list[bytes] = b"",
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        peer: str | None = ADDRESS,
        stalls: bool = False,
        heard: Callable[[bytes], None] = _unheard,
    ) -> Reply:
        """The reply; status 0 when nothing was sent before the caller hung up.

        A caller who `stalls` says that more of the body follows, and sends none. `heard` is told
        each part of the reply's body as it comes.
        """
        path, _, query = target.partition("?")
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
            "client": (peer, 40_000) if peer else None,
            "server": ("127.0.0.1", 8402),
        }
        sent: list[Message] = []
        await self._app(scope, self._receiver(body, stalls=stalls), _collector(sent, heard))
        return _reply(sent)

    def _receiver(self, body: bytes | list[bytes], *, stalls: bool) -> Any:  # noqa: ANN401 - ASGI's own shape
        gone = self._gone
        chunks = list(body) if isinstance(body, list) else [body]

        async def receive() -> Message:
            if chunks:
                chunk = chunks.pop(0)
                return {"type": "http.request", "body": chunk, "more_body": bool(chunks) or stalls}
            await gone.wait()
            return {"type": "http.disconnect"}

        return receive


def _collector(sent: list[Message], heard: Callable[[bytes], None]) -> Any:  # noqa: ANN401 - ASGI's own shape
    async def send(message: Message) -> None:
        sent.append(message)
        heard(message.get("body", b""))

    return send


def _reply(sent: list[Message]) -> Reply:
    if not sent:
        return Reply(status=0, headers=(), body=b"")
    start, *rest = sent
    return Reply(
        status=start["status"],
        headers=tuple((bytes(name), bytes(value)) for name, value in start["headers"]),
        body=b"".join(message.get("body", b"") for message in rest),
    )
