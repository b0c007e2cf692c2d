"""A whole completion replayed as the event stream that OpenAI's SDKs read.

Every event is `data: {json}` and a blank line; the last is `data: [DONE]`. Must not know: prices,
or who reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

CHUNK_CHARS = 512
_NOT_OF_A_CHUNK = frozenset({"choices", "usage", "cobot"})
_SPLIT = ("reasoning", "reasoning_content", "content")
_CALLS = "tool_calls"
_DONE = b"data: [DONE]\n\n"


def event_stream(document: Mapping[str, Any], *, include_usage: bool) -> bytes:
    """`document` is a `chat.completion` with `usage` and `cobot`, in whichever way they come last.

    With `include_usage` they have a chunk of their own without choices, as OpenAI writes it;
    otherwise they stand in the last chunk, as OpenRouter writes it: a reader that did not ask for
    them may expect a choice in every chunk.
    """
    # No nulls: OpenRouter's TypeScript SDK refuses a chunk whose `system_fingerprint` is one.
    head = {
        name: value
        for name, value in document.items()
        if name not in _NOT_OF_A_CHUNK and value is not None
    }
    head["object"] = "chat.completion.chunk"
    tail = {name: document[name] for name in ("usage", "cobot") if document.get(name) is not None}
    choice = _choice(document)
    said = choice.get("message")
    message = said if isinstance(said, dict) else {}
    events = [
        _event({**head, "choices": [_delta(delta)]}) for delta in _deltas(message, CHUNK_CHARS)
    ]
    finish: dict[str, Any] = {
        "index": 0,
        "delta": {},
        "logprobs": choice.get("logprobs"),
        "finish_reason": choice.get("finish_reason"),
    }
    if choice.get("native_finish_reason") is not None:
        finish["native_finish_reason"] = choice["native_finish_reason"]
    last = {**head, "choices": [finish]}
    if include_usage:
        events += [_event(last), _event({**head, "choices": [], **tail})]
    else:
        events.append(_event({**last, **tail}))
    return b"".join((*events, _DONE))


def _choice(document: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = document.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _deltas(message: Mapping[str, Any], size: int) -> Iterator[dict[str, Any]]:
    """The role, then long texts piece by piece, then whatever else was said, at once."""
    yield {"role": "assistant", "content": ""}
    for name in _SPLIT:
        text = message.get(name)
        if isinstance(text, str):
            for at in range(0, len(text), size):
                yield {name: text[at : at + size]}
    rest = {
        name: value
        for name, value in message.items()
        if value is not None and name != "role" and not (name in _SPLIT and isinstance(value, str))
    }
    calls = rest.get(_CALLS)
    if isinstance(calls, list):
        rest[_CALLS] = [_placed(at, call) for at, call in enumerate(calls)]
    if rest:
        yield rest


def _placed(at: int, call: object) -> object:
    """A call of a stream says its place, which one of a whole answer need not."""
    return {"index": at, **call} if isinstance(call, dict) else call


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
