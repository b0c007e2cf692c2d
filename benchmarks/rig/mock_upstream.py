"""A fast stand-in for the upstream: the least that can be read as OpenRouter, in one process.

Speaks chat completions (JSON, and SSE with a usage frame), `/generation`, `/models` and `/key`; a
completion takes `--latency-ms`, and its events come one every so many ms where `/pace` was told so;
everything else answers at once. Tells its port on the first line of its output. Must not know: the
service or what is measured. Its counts are at `/count`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast
from urllib.parse import parse_qsl

import httptools
import orjson
import uvloop

MODEL = "mock/model"
COST_USD = Decimal("0.000213")
WORDS = ("lightning", "settles", "in", "the", "order", "that", "its", "channels", "were", "opened")
PIECES = 35
WORDS_PER_PIECE = 4
API = b"/api/v1"
LAST_CHUNK = b"0\r\n\r\n"
_ID_DIGITS = 12
_PLACE = "#" * (len("gen-") + _ID_DIGITS)
_USAGE = {
    "prompt_tokens": 1_060,
    "completion_tokens": 90,
    "total_tokens": 1_150,
    "cost": float(COST_USD),
}


def _pieces() -> list[str]:
    words = itertools.cycle(WORDS)
    return [" ".join(itertools.islice(words, WORDS_PER_PIECE)) + " " for _ in range(PIECES)]


def _head(object_name: str) -> dict[str, object]:
    return {
        "id": _PLACE,
        "object": object_name,
        "created": 1_700_000_000,
        "model": MODEL,
        "provider": "Mock",
    }


def _json_body() -> bytes:
    message = {"role": "assistant", "content": "".join(_pieces())}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return orjson.dumps({**_head("chat.completion"), "choices": [choice], "usage": _USAGE})


def stream_events() -> Iterator[bytes]:
    """The data of each event of a streamed answer, with a place for its id."""
    head = _head("chat.completion.chunk")
    for piece in _pieces():
        delta = {"role": "assistant", "content": piece}
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        yield orjson.dumps({**head, "choices": [choice]})
    last = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    yield orjson.dumps({**head, "choices": [last]})
    yield orjson.dumps({**head, "choices": [last], "usage": _USAGE})
    yield b"[DONE]"


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


@dataclass(slots=True)
class Pace:
    """How long an answer takes to begin, and how far apart its events are; 0: all at once."""

    latency_s: float
    event_s: float = 0.0

    def change(self, query: bytes) -> None:
        """As `latency_ms=…&event_ms=…` says."""
        said = dict(parse_qsl(query.decode("ascii")))
        self.latency_s = int(said["latency_ms"]) / 1_000
        self.event_s = int(said["event_ms"]) / 1_000


class Answers:
    """Every answer as bytes, made once; only the generation's id differs."""

    def __init__(self) -> None:
        """Counts begin at 0."""
        place = _PLACE.encode()
        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-generation-id: %b\r\n"
            b"transfer-encoding: chunked\r\n\r\n" % place
        )
        begun = b": OPENROUTER PROCESSING\n\n"
        events = [b"data: %b\n\n" % frame for frame in stream_events()]
        stream = head + _chunk(begun + b"".join(events)) + LAST_CHUNK
        whole = _ok(_json_body(), b"x-generation-id: " + place + b"\r\n")
        self._stream, self._whole = stream.split(place), whole.split(place)
        pieces = [head + _chunk(begun), *map(_chunk, events)]
        pieces[-1] += LAST_CHUNK
        self._pieces = [piece.split(place) for piece in pieces]
        record = orjson.dumps(
            {"data": {"id": _PLACE, "total_cost": float(COST_USD), "provider_name": "Mock"}}
        )
        self._record = _ok(record).split(place)
        pricing = {"prompt": "0.00000015", "completion": "0.0000006"}
        model = {"id": MODEL, "name": "Mock", "context_length": 128_000, "pricing": pricing}
        self._models = _ok(orjson.dumps({"data": [model]}))
        self.completions = 0
        self.lookups = 0

    def completion(self, body: bytes, *, dripping: bool = False) -> Sequence[bytes]:
        """The next completion, streamed when `body` asks for it: in one piece, or by its events."""
        self.completions += 1
        generation_id = b"gen-%0*d" % (_ID_DIGITS, self.completions)
        if not (b'"stream":true' in body or b'"stream": true' in body):
            return (generation_id.join(self._whole),)
        if dripping:
            return tuple(generation_id.join(piece) for piece in self._pieces)
        return (generation_id.join(self._stream),)

    def query(self, path: bytes, query: bytes) -> bytes:
        """The answer to a GET."""
        match path:
            case b"/api/v1/generation":
                self.lookups += 1
                return query.removeprefix(b"id=").join(self._record)
            case b"/api/v1/models":
                return self._models
            case b"/api/v1/key":
                spent = COST_USD * self.completions
                return _ok(b'{"data":{"usage":%b,"byok_usage":0}}' % str(spent).encode())
            case b"/api/v1/credits":  # for management keys only
                return b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"
            case b"/count":
                counts = {"completions": self.completions, "lookups": self.lookups}
                return _ok(orjson.dumps(counts))
            case _:
                return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


def _ok(body: bytes, more: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b"
        % (
            more,
            len(body),
            body,
        )
    )


class Connection(asyncio.Protocol):
    """One connection, one request at a time. The parser calls the `on_` methods."""

    def __init__(self, answers: Answers, pace: Pace) -> None:
        """Both are shared by all connections."""
        self._answers = answers
        self._pace = pace
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it: an answer that is still to come is dropped."""
        del exc
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """The request line has been read, or a piece of it."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer, at once or after the latency."""
        url, self._url = self._url, b""
        body, self._body = b"".join(self._body), []
        if self._parser.get_method() == b"POST":
            pace = self._pace
            pieces = self._answers.completion(body, dripping=pace.event_s > 0)
            if pace.latency_s or len(pieces) > 1:
                self._later(pieces, 0, pace.latency_s)
            else:
                self._write(pieces[0])
            return
        path, _, query = url.partition(b"?")
        if path == b"/pace":
            self._pace.change(query)
            self._write(_ok(b"{}"))
        else:
            self._write(self._answers.query(path, query))

    def _later(self, pieces: Sequence[bytes], number: int, wait_s: float) -> None:
        asyncio.get_running_loop().call_later(wait_s, self._drip, pieces, number)

    def _drip(self, pieces: Sequence[bytes], number: int) -> None:
        """The piece of that number, and the others after it for as long as somebody reads."""
        self._write(pieces[number])
        if number + 1 < len(pieces) and self._transport is not None:
            self._later(pieces, number + 1, self._pace.event_s)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


async def _serve(latency_s: float) -> None:
    answers, pace = Answers(), Pace(latency_s)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(answers, pace), "127.0.0.1", 0, backlog=4_096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=int, default=0)
    latency_ms: int = parser.parse_args().latency_ms
    uvloop.run(_serve(latency_ms / 1_000))


if __name__ == "__main__":
    main()
