"""What real upstreams send, in all its forms, and what becomes of it when bytes are changed.

Everything comes from one seeded generator, so that a finding can be made again.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable

import orjson

from tests.fuzz_upstream.raw_upstream import JSON, Line, Reply
from tests.fuzz_upstream.rig import GENERATION, MODEL, key_of, model_row, models_of, record_of

MUTATIONS_MAX = 6
# What has broken readers before, put anywhere.
NASTY = (
    b"\\ud83d",
    b"\\ude00",
    b"\\u0000",
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"data:",
    b"data: [DONE]\n\n",
    b": \n",
    b"event: error\n",
    b"retry: 9\n",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"-",
    b"NaN",
    b"1e400",
    b"1e-400",
    b"9" * 30,
    b"9" * 5_000,
    b"9100000",
    b"1.00",
    b"0",
    b"[" * 600,
    b"x" * 2_000,
    b'"error":{"message":"\\ud83d"},',
    b'"error":"\\u0000",',
    b'"usage":7,',
    b'"choices":null,',
    b'"finish_reason":"stop"',
)
PLANTS: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    7,
    10**18,
    10**30,
    1.00,
    9_100_000,
    1e-300,
    "",
    "\ud83d",
    "\ude00\0",
    "x" * 5_000,
    "error",
    "stop",
    "gen\r\nx: y",
    [],
    [None, 7, "\ud83d"],
    {},
    {"message": "bad \ud83d\0", "code": "502", "metadata": {"error_type": 7}},
    {"name": "f", "arguments": {"a": "\ud83d"}},
    [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}] * 2,
    [{"type": "reasoning.text", "text": "\ud83d", "index": 0}],
)
NAMES = ("error", "usage", "id", "finish_reason", "tool_calls", "reasoning_details", "total_cost")
_STOPS = 0.3
TYPES: tuple[bytes, ...] = (
    b"text/event-stream",
    b"Text/Event-Stream; charset=utf-8",
    b"application/json",
    b"text/plain",
    b"",
    b"\xff\xfe",
)
IDS: tuple[bytes, ...] = (GENERATION.encode(), b"x" * 100_000, b"a b", b"\xff", b"", b"gen-1")
STATUSES = (
    200,
    200,
    200,
    200,
    200,
    200,
    200,
    400,
    401,
    402,
    403,
    404,
    408,
    429,
    500,
    502,
    503,
    524,
)


class Inputs:
    """One stream of inputs."""

    def __init__(self, seed: int) -> None:
        """The same seed, the same inputs."""
        self._random = random.Random(seed)

    def chance(self, one_in: int) -> bool:
        """True once in so many times."""
        return self._random.randrange(one_in) == 0

    def run(self) -> Reply:
        """The answer to a run, honest or not."""
        pick = self._random
        honest = self.chance(3)
        body = self._stream() if pick.random() < 0.7 else self._whole()
        if not honest:
            body = self.mutated(body)
        headers: list[Line] = [(b"content-type", pick.choice(TYPES))]
        if pick.random() < 0.5:
            headers.append((b"x-generation-id", IDS[0] if honest else pick.choice(IDS)))
        if pick.random() < 0.2:
            headers.append((b"retry-after", pick.choice((b"90", b"0", b"1e9", b"\xff", b"soon"))))
        return Reply(
            status=200 if honest else pick.choice(STATUSES),
            headers=headers,
            pieces=self._cut(body),
            whole=honest or not self.chance(5),
        )

    def record(self) -> Reply:
        """A generation's record; most are honest, so that most runs come to something."""
        pick = self._random
        cost = pick.choice((0.00007, 0.00007, 0.00007, 0, 0.001, 1.00, 9_100_000, 5e-324))
        body = record_of(total_cost=cost, provider_name=pick.choice(("Mistral", "é", "", None)))
        if self.chance(2):
            body = self.mutated(body)
        return Reply(status=404 if self.chance(9) else 200, headers=(JSON,), pieces=(body,))

    def models(self) -> Reply:
        """A list of models."""
        row = model_row(
            supported_parameters=self._random.choice((None, [], ["temperature"], 7, "x")),
            description="an honest model",
        )
        body = models_of(row, model_row(id="a/b", pricing={"prompt": "-1", "completion": "-1"}))
        return Reply(headers=(JSON,), pieces=(self.mutated(body),))

    def endpoints(self) -> Reply:
        """A list of who serves a model."""
        rows = [{"provider_name": "Mistral", "tag": "mistral", "pricing": model_row()["pricing"]}]
        body = orjson.dumps({"data": {"id": MODEL, "endpoints": rows}})
        return Reply(headers=(JSON,), pieces=(self.mutated(body),))

    def key(self) -> Reply:
        """What a key says of itself."""
        body = key_of(limit=5, limit_remaining=4.5, limit_reset="daily", byok_usage=0.5)
        return Reply(headers=(JSON,), pieces=(self.mutated(body),))

    def mutated(self, body: bytes) -> bytes:
        """The same with a few bytes changed, lost, doubled, cut off or put in between.

        Half of them are still JSON that says something else: what cannot be read tests little.
        """
        if self.chance(2):
            return _replanted(body, self._random)
        for _ in range(self._random.randint(1, MUTATIONS_MAX)):
            body = self._random.choice(_MUTATIONS)(body, self._random)
        return body

    def _cut(self, body: bytes) -> list[bytes]:
        size = self._random.choice((1 + len(body), 1 + len(body), 64, 7))
        return [body[at : at + size] for at in range(0, len(body), size)]

    def _stream(self) -> bytes:
        pick = self._random
        newline = pick.choice((b"\n", b"\n", b"\r\n", b"\r"))
        frames = [self._frame(delta) for delta in self._deltas()]
        frames.append(self._frame({}, finish_reason="stop"))
        if pick.random() < 0.7:
            usage: dict[str, object] = {"prompt_tokens": 9, "cost": 0.00007}
            frames.append(self._frame(None, usage=usage))
        events = [b"data:" + pick.choice((b" ", b"")) + frame + b"\n\n" for frame in frames]
        if pick.random() < 0.8:
            events.append(b"data: [DONE]\n\n")
        if pick.random() < 0.3:
            events.insert(pick.randrange(len(events)), b": OPENROUTER PROCESSING\n\n")
        return b"".join(events).replace(b"\n", newline)

    def _frame(
        self,
        delta: object,
        *,
        finish_reason: str | None = None,
        usage: dict[str, object] | None = None,
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        frame: dict[str, object] = {
            "id": GENERATION,
            "model": MODEL,
            "provider": "Mistral",
            "choices": [] if delta is None else [choice],
        }
        if usage is not None:
            frame["usage"] = usage
        return orjson.dumps(frame)

    def _deltas(self) -> list[dict[str, object]]:
        call = {"index": 0, "function": {"name": "read_file", "arguments": '{"a"'}}
        forms: list[list[dict[str, object]]] = [
            [{"role": "assistant", "content": "Lightning "}, {"content": "settles ⚡"}],
            [{"reasoning": "well"}, {"reasoning_content": "hm"}, {"content": "yes"}],
            [{"tool_calls": [{**call, "id": "c1"}]}, {"tool_calls": [call]}],
            [{"tool_calls": [call, {"function": {"name": "other", "arguments": "{}"}}]}],
            [{"reasoning_details": [{"type": "reasoning.text", "text": "t", "index": 0}]}] * 2,
        ]
        return self._random.choice(forms)

    def _whole(self) -> bytes:
        message = {"role": "assistant", "content": "Lightning settles.", "tool_calls": None}
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "cost": 0.00007}
        return orjson.dumps(
            {
                "id": GENERATION,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": usage,
            }
        )


def _replanted(body: bytes, pick: random.Random) -> bytes:
    """Values and names anywhere in the JSON of one line, or of the whole, are others."""
    lines = body.split(b"\n")
    at = pick.choice([n for n, line in enumerate(lines) if b"{" in line] or [0])
    before, brace, rest = lines[at].partition(b"{")
    try:
        document = json.loads(brace + rest)
    except ValueError:
        return body
    for _ in range(pick.randint(1, 3)):
        _plant(document, pick)
    lines[at] = before + json.dumps(document).encode()
    return b"\n".join(lines)


def _plant(document: object, pick: random.Random) -> None:
    """Walk down at random and leave something there."""
    while isinstance(document, dict | list) and document:
        names = list(document) if isinstance(document, dict) else list(range(len(document)))
        name = pick.choice(names)
        inner = document[name]
        if not isinstance(inner, dict | list) or not inner or pick.random() < _STOPS:
            document[name] = copy.deepcopy(pick.choice(PLANTS))
            if isinstance(document, dict) and pick.random() < _STOPS:
                document[pick.choice(NAMES)] = copy.deepcopy(pick.choice(PLANTS))
            return
        document = inner


def _flipped(body: bytes, pick: random.Random) -> bytes:
    at = pick.randrange(len(body) + 1)
    return body[:at] + bytes([pick.randrange(256)]) + body[at + 1 :]


def _lost(body: bytes, pick: random.Random) -> bytes:
    at = pick.randrange(len(body) + 1)
    return body[:at] + body[at + pick.randint(1, 40) :]


def _doubled(body: bytes, pick: random.Random) -> bytes:
    at = pick.randrange(len(body) + 1)
    to = at + pick.randint(1, 80)
    return body[:to] + body[at:to] + body[to:]


def _cut_off(body: bytes, pick: random.Random) -> bytes:
    return body[: pick.randrange(len(body) + 1)] if pick.random() < 0.5 else body


def _put_in(body: bytes, pick: random.Random) -> bytes:
    at = pick.randrange(len(body) + 1)
    return body[:at] + pick.choice(NASTY) + body[at:]


def _retold(body: bytes, pick: random.Random) -> bytes:
    """A value of the JSON becomes another: what is told stays readable."""
    places = [at for at, byte in enumerate(body) if byte in b":,"]
    if not places:
        return body
    at = pick.choice(places) + 1
    to = min((end for mark in b",}]" if (end := body.find(mark, at)) >= 0), default=len(body))
    said = pick.choice((b"null", b"7", b'"\\ud83d"', b'"a\\u0000b"', b"[]", b"{}", b"1e400", b"-1"))
    return body[:at] + said + body[to:]


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flipped,
    _lost,
    _doubled,
    _cut_off,
    _put_in,
    _put_in,
    _retold,
    _retold,
)
