"""Frames of a stream as recorded, and reading them."""

from __future__ import annotations

from typing import Any

import orjson

from cobot_meter.adapters.upstreams.answer_stream import StreamAssembly
from cobot_meter.adapters.upstreams.openrouter.wire import DIALECT
from cobot_meter.domain.upstream.completions import UpstreamCompletion

GENERATION = "gen-1786465029-CAkqUciXgQW34RmFaTck"
COMMENT = b": OPENROUTER PROCESSING\n\n"
DONE = b"data: [DONE]\n\n"
USAGE = (
    b'"usage":{"prompt_tokens":14,"completion_tokens":4,"total_tokens":18,'
    b'"cost":4.1400000000000003e-05,"is_byok":false}'
)
TEXT = "Lightning settles — in a second. ⚡"


STOP: dict[str, object] = {"finish_reason": "stop", "native_finish_reason": "completed"}


def frame(content: str = "", beside: bytes = b"", choice: dict[str, object] | None = None) -> bytes:
    """One chunk as recorded; `beside` is raw JSON beside `choices`."""
    delta = {"role": "assistant", "content": content}
    body = orjson.dumps(
        {
            "id": GENERATION,
            "object": "chat.completion.chunk",
            "created": 1786465029,
            "model": "openai/gpt-4.1-mini",
            "provider": "OpenAI",
            "choices": [{"index": 0, "delta": delta, "finish_reason": None, **(choice or {})}],
        }
    )
    return b"data: " + (body[:-1] + b"," + beside + b"}" if beside else body) + b"\n\n"


ERROR = b'"error":{"code":502,"message":"Provider disconnected"}'
ANSWER = b"".join(frame(content=piece) for piece in (TEXT[:5], TEXT[5:20], TEXT[20:]))
FINISH = frame(choice=STOP)
USAGE_REPEATS = frame(beside=USAGE, choice=STOP)
USAGE_EMPTY = b'data: {"id":"' + GENERATION.encode() + b'","choices":[],' + USAGE + b"}\n\n"


def read(*pieces: bytes, generation_id: str = GENERATION) -> UpstreamCompletion:
    """Read a stream that arrives in these pieces."""
    assembly = StreamAssembly(generation_id, DIALECT)
    for piece in pieces:
        assembly.feed(piece)
    assembly.end()
    return assembly.completion()


def content(completion: UpstreamCompletion) -> Any:  # noqa: ANN401
    """The text of a completion."""
    return orjson.loads(completion.body)["choices"][0]["message"]["content"]
