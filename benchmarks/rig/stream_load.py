"""Streamed asks, in a process of their own: when each byte comes, and streams that are held open.

Reads a plan from standard input, answers with figures. `asks` reads whole answers; `held` opens
streams and, once each of them has begun, holds them until a line comes in. A stream that ends early
or without its end is an error of what answered it, and is counted.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import cast

import httptools
import orjson
import uvloop

from benchmarks.http_connections import request_bytes
from benchmarks.rig.load_generator import CHAT, OK, body_of

HELD = "held"
ENDED = b"[DONE]"
MS = 1_000
_CONTENT = re.compile(rb'"content":\s*"[^"]')


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """What to ask: `count` streams, so many of them at once."""

    kind: str
    port: int
    count: int
    in_flight: int
    path: str = CHAT
    key: str = ""
    model: str = "mock/model"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFigures:
    """Of whole streams, the middle one: first byte of the body, first words, end, and reads."""

    done: int
    errors: int
    per_s: float
    first_byte_ms: float
    first_content_ms: float
    end_ms: float
    reads: float


@dataclass(slots=True)
class Stream:
    """One answer as it came."""

    asked: float
    status: int = 0
    first_byte: float = 0.0
    first_content: float = 0.0
    end: float = 0.0
    reads: int = 0
    body: list[bytes] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether it is an answer to its end."""
        return self.status == OK and bool(self.first_content) and ENDED in b"".join(self.body)


class StreamConnection(asyncio.Protocol):
    """One connection, one stream at a time. The parser calls the `on_` methods."""

    def __init__(self) -> None:
        """Not yet connected."""
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._stream = Stream(0.0)
        self._over: asyncio.Future[None] | None = None
        self.begun = asyncio.Event()

    async def ask(self, request: bytes) -> Stream:
        """The answer, whole or broken off."""
        stream = await self.begin(request)
        if self._over is not None:
            await self._over
        return stream

    async def begin(self, request: bytes) -> Stream:
        """Send the request."""
        if self._transport is None:
            raise ConnectionError("the connection is closed")
        self.begun.clear()
        self._over = asyncio.get_running_loop().create_future()
        self._stream = Stream(time.perf_counter())
        self._transport.write(request)
        return self._stream

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """A stream that was under way stays as it is."""
        del exc
        self._transport = None
        self._end()

    def data_received(self, data: bytes) -> None:
        """One read."""
        self._stream.reads += 1
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        stream = self._stream
        if not stream.first_byte:
            stream.first_byte = time.perf_counter()
            self.begun.set()
        if not stream.first_content and _CONTENT.search(body):
            stream.first_content = time.perf_counter()
        stream.body.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._stream.status = self._parser.get_status_code()
        self._end()

    def _end(self) -> None:
        self._stream.end = time.perf_counter()
        if self._over is not None and not self._over.done():
            self._over.set_result(None)


async def _connected(port: int) -> StreamConnection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(StreamConnection, "127.0.0.1", port)
    return connection


def _request(plan: StreamPlan) -> bytes:
    bearer = b"Bearer " + plan.key.encode() if plan.key else b""
    body = body_of(plan.model, stream=True)
    return request_bytes("POST", plan.path, body=body, authorization=bearer)


async def _asks(plan: StreamPlan) -> StreamFigures:
    turns, streams = iter(range(plan.count)), list[Stream]()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(plan.in_flight):
            tasks.create_task(_repeat(plan, turns, streams))
    seconds = time.perf_counter() - began
    whole = [stream for stream in streams if stream.whole]
    for broken in [stream for stream in streams if not stream.whole][:1]:
        print(f"no whole stream: {broken.status} {broken.body[:3]!r}", file=sys.stderr)
    if not whole:
        raise SystemExit("not one was answered")
    return StreamFigures(
        done=len(whole),
        errors=len(streams) - len(whole),
        per_s=len(whole) / seconds,
        first_byte_ms=median(one.first_byte - one.asked for one in whole) * MS,
        first_content_ms=median(one.first_content - one.asked for one in whole) * MS,
        end_ms=median(one.end - one.asked for one in whole) * MS,
        reads=median(one.reads for one in whole),
    )


async def _repeat(plan: StreamPlan, turns: Iterator[int], streams: list[Stream]) -> None:
    connection = await _connected(plan.port)
    for _ in turns:
        stream = await connection.ask(_request(plan))
        streams.append(stream)
        if not stream.whole:
            connection.close()
            connection = await _connected(plan.port)
    connection.close()


async def _hold(plan: StreamPlan) -> StreamFigures:
    """Open them all, and read along until a line comes in."""
    held = []
    for _ in range(plan.count):
        connection = await _connected(plan.port)
        held.append((connection, await connection.begin(_request(plan))))
    for connection, _ in held:
        await connection.begun.wait()
    print("waiting", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.readline)
    over = sum(1 for _, stream in held if stream.end)
    for connection, _ in held:
        connection.close()
    if over:
        raise SystemExit(f"{over} of {plan.count} streams had ended")
    nothing = {"per_s": 0.0, "first_byte_ms": 0.0, "first_content_ms": 0.0, "end_ms": 0.0}
    return StreamFigures(done=len(held), errors=0, reads=0, **nothing)


async def _carry_out(plan: StreamPlan) -> StreamFigures:
    return await (_hold(plan) if plan.kind == HELD else _asks(plan))


def main() -> None:
    """Carry out the plan of the first line."""
    plan = StreamPlan(**orjson.loads(sys.stdin.buffer.readline()))
    figures = uvloop.run(_carry_out(plan))
    sys.stdout.buffer.write(orjson.dumps(asdict(figures)) + b"\n")


if __name__ == "__main__":
    main()
