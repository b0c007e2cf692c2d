"""A fake Ollama over real HTTP: its chat endpoint, its list of models, and faults on demand.

It keeps a book of its own: which requests came, and the tokens of every answer it sent whole. Must
not know: tariffs, meters or adapters. Each connection takes one request.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any

import orjson

_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
)
DAWDLE_S = 0.01
ANSWER = "Because nobody should hold a price for ever."
MODEL_NAME = "llama3.2:3b"
FINGERPRINT = "fp_ollama"


class OllamaFault(StrEnum):
    """How the next run goes wrong, or goes differently."""

    WHOLE = auto()  # no stream: one JSON object
    MODEL_NOT_FOUND = auto()  # 404
    BAD_REQUEST = auto()  # 400
    NO_TOOLS = auto()  # 400 of this model alone
    BUSY = auto()  # 503
    FAILS = auto()  # 500
    HUGE_FAILURE = auto()  # 500 with an endless body
    ERROR_FRAME = auto()  # an error in the stream
    ERROR_WITH_USAGE = auto()  # the same, and the tokens until then
    CUT = auto()  # the connection ends inside the answer
    CUT_AT_ONCE = auto()  # and before any of it
    CUT_AFTER_USAGE = auto()  # the usage came, the end of the stream did not
    NO_USAGE = auto()  # whole, without a word of tokens
    EMPTY = auto()  # whole, without choices
    ENDLESS = auto()  # never stops
    DAWDLES = auto()  # and says a word every now and then
    SILENT = auto()  # never begins
    HUGE_WHOLE = auto()  # a JSON object without an end
    BAD_JSON = auto()  # frames that are none
    WRONG_MODEL = auto()  # another model's name
    ABSURD_TOKENS = auto()  # more tokens than numbers are sane
    OVER_CONTEXT = auto()  # more tokens than the context has
    NEGATIVE_TOKENS = auto()
    FRACTION_OF_TOKENS = auto()
    NO_TOKENS = auto()  # says that it took none


ABSURD: dict[OllamaFault, bytes] = {
    OllamaFault.ABSURD_TOKENS: b"1" + b"0" * 400,
    OllamaFault.OVER_CONTEXT: b"10000000",
    OllamaFault.NEGATIVE_TOKENS: b"-7",
    OllamaFault.FRACTION_OF_TOKENS: b"7.5",
    OllamaFault.NO_TOKENS: b"0",
}


# Status, words and type, as Ollama writes them.
REFUSALS: dict[OllamaFault | None, tuple[int, str, str]] = {
    OllamaFault.MODEL_NOT_FOUND: (
        404,
        'model "{name}" not found, try pulling it first',
        "not_found_error",
    ),
    OllamaFault.BAD_REQUEST: (400, "invalid message format", "invalid_request_error"),
    OllamaFault.NO_TOOLS: (
        400,
        "registry.ollama.ai/library/{name} does not support tools",
        "invalid_request_error",
    ),
    OllamaFault.BUSY: (503, "server busy, please try again", "api_error"),
    OllamaFault.FAILS: (500, "llama runner process has terminated", "api_error"),
}
UNENDING: dict[OllamaFault | None, bytes] = {
    OllamaFault.HUGE_FAILURE: b"HTTP/1.1 500 Failed\r\n",
    OllamaFault.HUGE_WHOLE: b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n",
}


@dataclass
class FakeOllama:
    """What it was asked, what it answered whole, and what goes wrong next.

    `remote` is what its list says of where the models run, empty for here. `created` are the names
    that were asked for, `sized` their contexts. `cut_after` has after
    how many events the next answers break off. `left` counts the readers that went away from one
    that dawdled, `sent_bytes` what an endless answer has come to.
    """

    names: list[str] = field(default_factory=lambda: [MODEL_NAME])
    faults: deque[OllamaFault] = field(default_factory=deque)
    requests: list[dict[str, Any]] = field(default_factory=list)
    answered: list[tuple[int, int]] = field(default_factory=list)
    cut_after: deque[int] = field(default_factory=deque)
    remote: dict[str, str] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    sized: dict[str, int] = field(default_factory=dict)
    digest: str = "sha256:one"
    cannot_create: bool = False
    left: int = 0
    sent_bytes: int = 0
    url: str = ""

    @property
    def posts(self) -> int:
        """How many runs were asked for."""
        return len(self.requests)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            if method == "POST":
                asked = orjson.loads(await reader.readexactly(_length(head)))
                if path == "/api/create":
                    await self._create(writer, asked)
                else:
                    await self._run(reader, writer, asked)
            else:
                listed = self._listed(path)
                status = 404 if listed is None else 200
                await _send(writer, status, orjson.dumps(listed))
        writer.close()

    def _listed(self, path: str) -> dict[str, Any] | None:
        if path == "/v1/models":
            return {"data": [{"id": name, "object": "model"} for name in self.names]}
        if path == "/api/tags":
            return {
                "models": [
                    {"name": name, "digest": self.digest, **self.remote}
                    for name in (*self.names, *self.sized)
                ]
            }
        return None

    async def _create(self, writer: asyncio.StreamWriter, asked: dict[str, Any]) -> None:
        """Another name for a model, with parameters; one that is not there would be downloaded."""
        self.created.append(asked)
        assert asked["from"] in self.names, "a real one would download it"
        if self.cannot_create:
            await _send(writer, 400, b'{"error":"invalid model name"}')
            return
        self.sized[asked["model"]] = asked["parameters"]["num_ctx"]
        await _send(writer, 200, b'{"status":"success"}')

    async def _run(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[str, Any]
    ) -> None:
        self.requests.append(asked)
        fault = self.faults.popleft() if self.faults else None
        if asked["model"] not in {*self.names, *self.sized}:
            fault = OllamaFault.MODEL_NOT_FOUND
        if fault in REFUSALS:
            status, words, kind = REFUSALS[fault]
            await _send(writer, status, _error(words.format(name=asked["model"]), kind))
        elif fault in UNENDING:
            await _send_without_end(writer, UNENDING[fault])
        elif fault is OllamaFault.CUT_AT_ONCE:
            writer.transport.abort()
        elif fault is OllamaFault.SILENT:
            await reader.read()
        elif fault is OllamaFault.WHOLE:
            await _send(writer, 200, self._whole(asked))
        else:
            await self._streamed(reader, writer, asked, fault)

    async def _streamed(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asked: dict[str, Any],
        fault: OllamaFault | None,
    ) -> None:
        if self.cut_after:
            await self._cut(writer, asked, self.cut_after.popleft())
        elif fault is OllamaFault.DAWDLES:
            await self._dawdle(reader, writer, asked)
        else:
            await self._stream(writer, asked, fault)

    async def _cut(self, writer: asyncio.StreamWriter, asked: dict[str, Any], events: int) -> None:
        name = asked["model"]
        frames = [_frame(name, content=f"{word} ") for word in ANSWER.split(" ")]
        frames += [_frame(name, finish="stop"), _frame(name, beside=_usage(asked))]
        frames += [b"data: [DONE]\n\n"]
        writer.write(_STREAM_HEAD)
        for frame in frames[:events]:
            _chunk(writer, frame)
        if events >= len(frames):
            writer.write(b"0\r\n\r\n")
        if events >= len(frames) - 1:  # with its usage: it can be sold
            self.answered.append(tokens_of(asked))
        await writer.drain()

    async def _dawdle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[str, Any]
    ) -> None:
        writer.write(_STREAM_HEAD)
        gone = asyncio.ensure_future(reader.read())
        while not gone.done():
            _chunk(writer, _frame(asked["model"], content="and "))
            await asyncio.wait((gone,), timeout=DAWDLE_S)
        self.left += 1

    async def _stream(
        self, writer: asyncio.StreamWriter, asked: dict[str, Any], fault: OllamaFault | None
    ) -> None:
        writer.write(_STREAM_HEAD)
        name = "mistral:7b" if fault is OllamaFault.WRONG_MODEL else asked["model"]
        if fault is not OllamaFault.EMPTY:
            for word in ANSWER.split(" "):
                _chunk(writer, _frame(name, content=f"{word} "))
                if fault is OllamaFault.ENDLESS:
                    await self._without_end(writer, _frame(name, content="and on " * 1_000))
        await writer.drain()
        if fault is OllamaFault.CUT:
            writer.transport.abort()
            return
        if fault is OllamaFault.BAD_JSON:
            _chunk(writer, b"data: {what is this\n\n")
        if fault in {OllamaFault.ERROR_FRAME, OllamaFault.ERROR_WITH_USAGE}:
            failed = b'{"error":{"message":"out of memory","type":"api_error"}'
            usage = b"," + _usage(asked) if fault is OllamaFault.ERROR_WITH_USAGE else b""
            _chunk(writer, b"data: " + failed + usage + b"}\n\n")
        else:
            self._end(writer, name, asked, fault)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _without_end(self, writer: asyncio.StreamWriter, frame: bytes) -> None:
        while True:
            _chunk(writer, frame)
            self.sent_bytes += len(frame)
            await writer.drain()

    def _end(
        self,
        writer: asyncio.StreamWriter,
        name: str,
        asked: dict[str, Any],
        fault: OllamaFault | None,
    ) -> None:
        if fault is not OllamaFault.EMPTY:
            _chunk(writer, _frame(name, finish="stop"))
        if fault is not OllamaFault.NO_USAGE:
            said = _usage(asked, ABSURD.get(fault) if fault else None)
            _chunk(writer, _frame(name, beside=said))
        if fault is not OllamaFault.CUT_AFTER_USAGE:
            _chunk(writer, b"data: [DONE]\n\n")
        if fault in {None, OllamaFault.CUT_AFTER_USAGE, OllamaFault.WRONG_MODEL}:
            self.answered.append(tokens_of(asked))

    def _whole(self, asked: dict[str, Any]) -> bytes:
        self.answered.append(tokens_of(asked))
        message = {"role": "assistant", "content": ANSWER}
        document = {
            "id": "chatcmpl-7",
            "object": "chat.completion",
            "created": 1_786_465_029,
            "model": asked["model"],
            "system_fingerprint": FINGERPRINT,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
        return orjson.dumps(document)[:-1] + b"," + _usage(asked) + b"}"


def tokens_of(asked: dict[str, Any]) -> tuple[int, int]:
    """Tokens of prompt and answer: a word is one."""
    prompt = sum(len(str(message["content"]).split()) for message in asked["messages"])
    return prompt, len(ANSWER.split())


@contextlib.asynccontextmanager
async def fake_ollama() -> AsyncIterator[FakeOllama]:
    """A fake Ollama on a port of its own."""
    fake = FakeOllama()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    fake.url = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        server.close()


def _usage(asked: dict[str, Any], absurd: bytes | None = None) -> bytes:
    prompt, completion = tokens_of(asked)
    said = absurd or b"%d" % completion
    return b'"usage":{"prompt_tokens":%d,"completion_tokens":%b}' % (prompt, said)


def _frame(
    name: str, *, content: str = "", finish: str | None = None, beside: bytes = b""
) -> bytes:
    delta = {"role": "assistant", "content": content}
    choices = [] if beside else [{"index": 0, "delta": delta, "finish_reason": finish}]
    document = {
        "id": "chatcmpl-7",
        "object": "chat.completion.chunk",
        "created": 1_786_465_029,
        "model": name,
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
    }
    body = orjson.dumps(document)
    return b"data: " + (body[:-1] + b"," + beside + b"}" if beside else body) + b"\n\n"


def _error(words: str, kind: str) -> bytes:
    return orjson.dumps({"error": {"message": words, "type": kind, "param": None, "code": None}})


def _length(head: str) -> int:
    lines = (line.partition(":") for line in head.lower().split("\r\n"))
    return next(int(value) for name, _, value in lines if name == "content-length")


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    writer.write(b"HTTP/1.1 %d Said\r\ncontent-type: application/json\r\n" % status)
    writer.write(b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


async def _send_without_end(writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(head + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n")
    await _without_end(writer, b" " * 65_536)


async def _without_end(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """The same again until nobody reads any more."""
    while True:
        _chunk(writer, piece)
        await writer.drain()
