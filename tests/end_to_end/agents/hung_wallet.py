"""A development node whose answer to a payment never arrives: it pays, and then says nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

WAIT_S = 60.0


@dataclass
class HungWallet:
    """Where it listens; `paid` is set once a payment was made, `over` lets it go."""

    url: str = ""
    paid: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def hung_wallet(node: str) -> Iterator[HungWallet]:
    """In front of this node."""
    hung = HungWallet()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Pay, and hang."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = httpx.post(
                f"{node}/pay",
                content=body,
                headers={"Content-Type": "application/json"},
                trust_env=False,
            )
            assert answer.status_code == httpx.codes.OK, answer.text
            hung.paid.set()
            hung.over.wait(WAIT_S)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hung.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hung
    finally:
        hung.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
