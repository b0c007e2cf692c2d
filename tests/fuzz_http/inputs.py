"""One input for each number: a request that a client might send, damaged in one way or several.

The same seed, number and known ids give the same bytes. Must not know: sockets.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.end_to_end.live import MODEL

CHAT = "/v1/chat/completions"
PATHS = (
    *(CHAT, "/v1/quotes", "/v1/models", "/v1/models/count", "/v1/key", "/v1/credits"),
    *(f"/v1/models/{MODEL}", f"/v1/model/{MODEL}", f"/v1/models/{MODEL}/endpoints"),
    *("/v1/ledger?limit=5&before=9", "/v1/generation?id=gen-1", "/healthz", "/readyz"),
    *("/openapi.json", "/metrics", "/v1/escrows/{escrow}", "/v1/escrows/{escrow}?wait=1"),
    *("/v1/escrows/{escrow}/completion", "/", "*", "/v1/escrows/esc_none"),
)
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "CONNECT", "TRACE", "PRI")
ODD_TEXTS = (
    *("", " ", "\x00", "\u0000a", "\ud83d", "\udc00x", "\ufeff", "\u202e", "é", "\U0001f600"),
    *("a" * 5_000, "%00", "%ff%fe", "../../etc/passwd", "'; DROP TABLE escrow; --", "\r\nX: y"),
    *("null", "NaN", "-1", "1e999", "٣", "openai/gpt-5-mini:online", "@preset/x", "{}", "[]"),
)
ODD_VALUES: tuple[object, ...] = (
    *ODD_TEXTS,
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**40, 1.5, 1e308, -0.0),
    *([], {}, [[]], [None], {"": ""}, [{}], {"type": "text"}, [{"type": "file"}]),
)
ODD_BYTES = (
    *(b"\r\n", b"\n", b"\r", b"\x00", b"\xff", b"\xf0\x9f", b"\r\n\r\n", b": ", b" ", b"%", b"\t"),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 7\r\n", b"Content-Length: -1\r\n"),
    *(
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(b"HTTP/2.0", b"HTTP/1.0", b"GET /v1/key HTTP/1.1\r\n\r\n", b"\\ud800", b'"', b"{", b"]"),
    *(b"0\r\n\r\n", b"ffffffffffffffff\r\n", b";" * 100, b"a" * 40_000, b"A: b\r\n" * 900),
)
HEADERS = (
    *("Authorization", "Idempotency-Key", "Prefer", "X-Forwarded-For", "Accept", "Host"),
    *("Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Expect"),
    *("Origin", "Access-Control-Request-Headers", "X-Quote", "Cookie", "Range", "Accept-Encoding"),
)
HEADER_VALUES = (
    *("L402 AAAA:00", "Bearer sk-or-v1-x", "LSAT a:b", "Basic YTpi", "L402", ":", "respond-async"),
    *("text/event-stream", "chunked", "gzip, chunked", "close", "upgrade", "h2c", "100-continue"),
    *("1.2.3.4, ::1, unknown", '"quoted"', "a" * 300, "0", "-5", "99999999999999999999", "é", ""),
)


@dataclass(slots=True)
class Known:
    """What earlier answers have given: real ids and credentials reach deeper than made-up ones."""

    escrows: list[str] = field(default_factory=lambda: ["esc_none"])
    tokens: list[str] = field(default_factory=lambda: ["L402 AAAA:00"])


@dataclass(slots=True)
class Request:
    """A request in its parts, before it is bytes."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        lines = [f"{self.method} {self.target} HTTP/1.1", *map(": ".join, self.headers)]
        return "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + self.body


def input_of(seed: int, number: int, known: Known) -> bytes:
    """The bytes of one input."""
    rng = random.Random(f"{seed}:{number}")
    request = _request(rng, known)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        rng.choice(_PARTS)(rng, request)
    data = request.encoded()
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 4))):
        data = rng.choice(_BYTES)(rng, data)
    return data


def _request(rng: random.Random, known: Known) -> Request:
    headers = [
        ("Host", "b.example"),
        (
            "X-Forwarded-For",
            f"198.{rng.randrange(18, 20)}.{rng.randrange(256)}.{rng.randrange(256)}",
        ),
    ]
    if rng.random() < 0.4:
        headers.append(("Authorization", rng.choice(known.tokens)))
    if rng.random() < 0.1:
        headers.append((rng.choice(HEADERS), rng.choice(HEADER_VALUES)))
    if rng.random() < 0.5:
        body = json.dumps(_document(rng), ensure_ascii=rng.random() < 0.5)
        content = body.encode("utf-8", "surrogatepass")
        headers.append(("Content-Length", str(len(content))))
        return Request("POST", rng.choice((CHAT, CHAT, "/v1/quotes")), headers, content)
    target = rng.choice(PATHS).replace("{escrow}", rng.choice(known.escrows))
    method = rng.choice(METHODS) if rng.random() < 0.3 else "GET"
    return Request(method, target, headers, b"")


def _document(rng: random.Random) -> dict[str, Any]:
    text = f"How fast is Lightning {rng.randrange(10**6)}?"
    document: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": rng.choice((1, 16, 60)),
    }
    more: dict[str, Any] = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "stop": ["\n"],
        "provider": {"sort": "price", "max_price": {"prompt": 1}},
        "models": [MODEL, "anthropic/claude-haiku-4.5"],
        "reasoning": {"effort": "low"},
        "temperature": 0.5,
        "user": "u",
    }
    for name in rng.sample(sorted(more), rng.choice((0, 0, 1, 2, 4))):
        document[name] = more[name]
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 3))):
        _damage(rng, document)
    return document


def _damage(rng: random.Random, document: dict[str, Any]) -> None:
    """Put something odd somewhere into the tree, or take something away."""
    node: Any = document
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = rng.choice(keys) if keys and rng.random() < 0.9 else None
        if key is None:
            if isinstance(node, dict):
                node[rng.choice(ODD_TEXTS)] = copy.deepcopy(rng.choice(ODD_VALUES))
            else:
                node.append(copy.deepcopy(rng.choice(ODD_VALUES)))
            return
        if isinstance(node[key], dict | list) and rng.random() < 0.7:
            node = node[key]
            continue
        if rng.random() < 0.2:
            del node[key]
        else:
            node[key] = copy.deepcopy(rng.choice(ODD_VALUES))
        return


def _odd_header(rng: random.Random, request: Request) -> None:
    at = rng.randrange(len(request.headers) + 1)
    name = rng.choice(HEADERS) if rng.random() < 0.8 else rng.choice(ODD_TEXTS)
    value = rng.choice(HEADER_VALUES) if rng.random() < 0.8 else rng.choice(ODD_TEXTS)
    request.headers.insert(at, (name, value))


def _changed_header(rng: random.Random, request: Request) -> None:
    if request.headers:
        at = rng.randrange(len(request.headers))
        name, value = request.headers[at]
        cut = rng.randrange(len(value) + 1)
        request.headers[at] = (name, value[:cut] + rng.choice(ODD_TEXTS) + value[cut + 1 :])


def _odd_target(rng: random.Random, request: Request) -> None:
    cut = rng.randrange(len(request.target) + 1)
    odd = rng.choice((*ODD_TEXTS, "?", "?wait=99", "?a=b&" * 30, "%2F", "//", "#", "/v1"))
    request.target = request.target[:cut] + odd + request.target[cut:]


def _odd_method(rng: random.Random, request: Request) -> None:
    request.method = rng.choice((*METHODS, "get", "G ET", "\x00", "POSTPOST"))


def _chunked(rng: random.Random, request: Request) -> None:
    body = request.body
    cut = rng.randrange(len(body) + 1)
    request.headers = [pair for pair in request.headers if pair[0] != "Content-Length"]
    request.headers.append(("Transfer-Encoding", "chunked"))
    pieces = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:cut], body[cut:]) if piece]
    request.body = b"".join(pieces) + rng.choice(
        (b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"", b"zz\r\n")
    )


def _odd_body(rng: random.Random, request: Request) -> None:
    request.body = rng.choice((b"", b"{}", b"[" * 2_000, b"\xff\xfe", b"null", b'{"a":1,"a":2}'))
    if rng.random() < 0.8:
        headers = [pair for pair in request.headers if pair[0] != "Content-Length"]
        request.headers = [*headers, ("Content-Length", str(len(request.body)))]


def _flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(ODD_BYTES) + data[at:]


def _delete(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 1, 2, 20)) :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _double(rng: random.Random, data: bytes) -> bytes:
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[at:end] + data[end:]


def _twice(_rng: random.Random, data: bytes) -> bytes:
    return data + data


Part = Callable[[random.Random, Request], None]
Bytes = Callable[[random.Random, bytes], bytes]
_PARTS: tuple[Part, ...] = (
    *(_odd_header, _changed_header, _odd_target, _odd_method, _chunked, _odd_body),
)
_BYTES: tuple[Bytes, ...] = (_flip, _insert, _delete, _cut, _double, _twice)
