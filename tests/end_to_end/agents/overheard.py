"""A service with somebody between it and its caller, who writes down what both of them say."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

_OF_ONE_HOP = {"connection", "content-length", "host", "transfer-encoding", "content-encoding"}
_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer; headers are named in small letters."""

    path: str
    headers: Mapping[str, str]
    asked: Mapping[str, Any]
    status: int
    said: Mapping[str, Any]


@dataclass
class Overheard:
    """Where the caller asks instead, and what was said so far."""

    url: str = ""
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def bought(self) -> list[Exchange]:
        """The completions that were handed over."""
        return [
            one
            for one in self.exchanges
            if one.path.endswith("/completions") and one.said and one.status == httpx.codes.OK
        ]

    def tool_results(self) -> list[str]:
        """What tools said, as the model was told it."""
        return [
            str(message["content"])
            for one in self.bought
            for message in one.asked["messages"]
            if message["role"] == "tool"
        ]


@contextmanager
def overheard(service: str) -> Iterator[Overheard]:
    """In front of this service."""
    heard = Overheard()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Hand it on, and write down what came back."""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told = {name.lower(): value for name, value in self.headers.items()}
            sent = {name: value for name, value in told.items() if name not in _OF_ONE_HOP}
            answer = httpx.request(
                self.command,
                f"{service}{self.path}",
                content=body,
                headers=sent,
                timeout=_WITHIN_S,
                trust_env=False,
            )
            heard.exchanges.append(
                Exchange(
                    path=self.path,
                    headers=told,
                    asked=json.loads(body or b"{}"),
                    status=answer.status_code,
                    said=answer.json(),
                )
            )
            self.send_response(answer.status_code)
            for name, value in answer.headers.multi_items():
                if name.lower() not in _OF_ONE_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def do_POST(self) -> None:
            """The same."""
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
