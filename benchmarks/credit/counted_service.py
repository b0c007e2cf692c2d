"""The service with counters around what it stands on: its statements, and how often its tasks wait.

Run like `python -m cobot_meter`, with the port of the counts in the environment. sqlite3 tells of
each statement before it runs; tasks are started through a factory that counts how often they give
up the processor. Nothing of the service itself is touched, and its speed here means nothing.
"""

from __future__ import annotations

import asyncio
import http.server
import os
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import orjson
import uvloop

from cobot_meter.cli.main import main as service_main

PORT = "BENCHMARK_COUNTS_PORT"
_VERBS = (
    re.compile(r"\s*(INSERT)(?:\s+OR\s+\w+)?\s+INTO\s+(\w+)", re.IGNORECASE),
    re.compile(r"\s*(UPDATE)\s+(\w+)", re.IGNORECASE),
    re.compile(r"\s*(DELETE)\s+FROM\s+(\w+)", re.IGNORECASE),
    re.compile(r"\s*(?:WITH\b.*?\b)?(SELECT)\b.*?\bFROM\s+(\w+)", re.IGNORECASE | re.DOTALL),
    re.compile(r"\s*(\w+)()"),
)


def described(sql: str) -> str:
    """A statement by its verb and its first table: `INSERT journal`."""
    for pattern in _VERBS:
        found = pattern.match(sql)
        if found:
            return f"{found[1].upper()} {found[2].lower()}".strip()
    return "nothing"


class Counts:
    """What was counted since the start; counters are changed under one lock, by any thread."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._lock = threading.Lock()
        self._found: dict[str, Counter[str]] = {
            "statements": Counter(),
            "reads": Counter(),
            "rows": Counter(),
            "waits": Counter(),
        }

    def add(self, kind: str, what: str, times: int = 1) -> None:
        """So many more."""
        with self._lock:
            self._found[kind][what] += times

    def document(self) -> bytes:
        """All of it, as JSON."""
        with self._lock:
            return orjson.dumps(self._found)


class CountedTask(Coroutine[Any, Any, Any]):
    """A task's coroutine; each time that it waits is counted under its name."""

    def __init__(self, inner: Coroutine[Any, Any, Any], counts: Counts) -> None:
        """`inner` is what was to run."""
        self._inner = inner
        self._counts = counts
        self._name = getattr(inner, "__qualname__", type(inner).__name__)

    def send(self, value: Any) -> Any:  # noqa: ANN401 - as it is there
        """On to where it waits again."""
        waits_for = self._inner.send(value)
        self._counts.add("waits", self._name)
        return waits_for

    def throw(self, *fault: Any) -> Any:  # noqa: ANN401 - as it is there
        """The same, with an exception."""
        waits_for = self._inner.throw(*fault)
        self._counts.add("waits", self._name)
        return waits_for

    def close(self) -> None:
        """It is not wanted any more."""
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        """As the coroutine."""
        return self._inner.__await__()


def count_statements(counts: Counts) -> None:
    """Every connection that is opened from now on tells of what it runs."""
    connect = sqlite3.connect

    def counted(*args: Any, **kwargs: Any) -> sqlite3.Connection:  # noqa: ANN401 - as it is there
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.set_trace_callback(_tracer(connection, counts))
        return connection

    sqlite3.connect = counted  # type: ignore[assignment]


def _tracer(connection: sqlite3.Connection, counts: Counts) -> Callable[[str], None]:
    """Rows are what the connection says that it has changed when it commits."""
    changed = 0

    def trace(sql: str) -> None:
        nonlocal changed
        what = described(sql)
        reads = what.startswith("SELECT") and not connection.in_transaction
        counts.add("reads" if reads else "statements", what)
        if what == "COMMIT":
            now = connection.total_changes
            counts.add("rows", "written", now - changed)
            changed = now

    return trace


def count_waits(counts: Counts) -> None:
    """Every loop that is made from now on counts what its tasks do."""
    new_event_loop = uvloop.new_event_loop

    def counted() -> uvloop.Loop:
        loop = new_event_loop()

        def start(loop: Any, coroutine: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is there
            return asyncio.Task(CountedTask(coroutine, counts), loop=loop, **more)

        loop.set_task_factory(start)
        return loop

    uvloop.new_event_loop = counted


def tell(counts: Counts, port: int) -> None:
    """Answer with the counts, from a thread of its own, for as long as the process lives."""

    class Teller(http.server.BaseHTTPRequestHandler):
        """One answer for every path."""

        def do_GET(self) -> None:
            """All counts."""
            document = counts.document()
            self.send_response(200)
            self.send_header("content-length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_said: object) -> None:
            """Nothing is told of it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Teller)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    """Serve, and count."""
    counts = Counts()
    count_statements(counts)
    count_waits(counts)
    tell(counts, int(os.environ[PORT]))
    service_main()


if __name__ == "__main__":
    main()
