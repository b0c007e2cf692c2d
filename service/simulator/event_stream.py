"""What a streamed answer is made of, step by step, for every way a stream can go.

Must not know: sockets. Each script is a generator of steps; `completions` plays them. A script
settles the charge at the point where OpenRouter would: a reader who leaves before it pays for
what was generated so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from service.simulator.account import Timing
from service.simulator.http_io import dumps
from service.simulator.runs import Run, RunEnd, tokens_of

COMMENT = b": OPENROUTER PROCESSING\n\n"
DONE = b"data: [DONE]\n\n"
_COMMENTS_FIRST = 2


@dataclass(frozen=True, slots=True)
class Head:
    """Send status and headers."""


@dataclass(frozen=True, slots=True)
class Say:
    """Send bytes; `tokens` of the answer are out after them."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass, unless the reader leaves."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Settle:
    """Charge the run."""

    end: RunEnd


@dataclass(frozen=True, slots=True)
class Reset:
    """Cut the connection."""


Step = Head | Say | Wait | Settle | Reset


def steps_of(run: Run, timing: Timing) -> Iterator[Step]:
    """The script of this run."""
    return _SCRIPTS.get(run.fault, _whole)(run, timing)


def _whole(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _begun(timing)
    yield from _answer(run, timing)
    if run.fault != "usage_in_content_chunk":
        yield Say(_frame(run, [_choice("", run.finish_reason)]), run.completion_tokens)
    yield Settle(run.ended())
    if run.fault == "usage_empty_choices":
        yield Say(_frame(run, [], usage=run.usage()))
    elif run.fault not in ("missing_usage", "usage_in_content_chunk"):
        yield Say(_frame(run, [_choice("", run.finish_reason)], usage=run.usage()))
    yield Say(DONE)


def _begun(timing: Timing) -> Iterator[Step]:
    yield Head()
    yield Say(COMMENT * _COMMENTS_FIRST)
    yield Wait(timing.latency_s)


def _answer(run: Run, timing: Timing) -> Iterator[Step]:
    size_bytes = 0
    pieces = list(run.pieces())
    for number, piece in enumerate(pieces):
        size_bytes += len(piece.encode())
        last = number == len(pieces) - 1
        if last and run.fault == "usage_in_content_chunk":
            frame = _frame(run, [_choice(piece, run.finish_reason)], usage=run.usage())
        else:
            frame = _frame(run, [_choice(piece, None)])
        yield Say(frame, tokens_of(size_bytes))
        yield Wait(timing.chunk_s)


def _half(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _begun(timing)
    steps = list(_answer(run, timing))
    yield from steps[: len(steps) // 2 or 1]


def _cut(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _half(run, timing)


def _hang(run: Run, timing: Timing) -> Iterator[Step]:
    yield Settle(run.ended())
    yield Wait(timing.hang_s)
    yield Reset()


def _hang_mid_stream(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _half(run, timing)
    yield Wait(timing.hang_s)
    yield Reset()


def _reset_before_headers(run: Run, timing: Timing) -> Iterator[Step]:
    yield Wait(timing.latency_s)
    yield Settle(run.ended())
    yield Reset()


def _reset_after_headers(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _begun(timing)
    yield Settle(run.ended())
    yield Reset()


def _reset_mid_stream(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _half(run, timing)
    yield Reset()


def _mid_stream_error(run: Run, timing: Timing) -> Iterator[Step]:
    """Zero-completion insurance: an answer that ends in an error is not charged."""
    yield from _half(run, timing)
    yield Settle(RunEnd(tokens=0, finish_reason="error", free=True))
    error = {
        "code": 502,
        "message": "Provider disconnected unexpectedly",
        "metadata": {"error_type": "provider_unavailable"},
    }
    yield Say(_frame(run, [_choice("", "error")], error=error))


def _mid_stream_error_with_usage(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _half(run, timing)
    yield Settle(run.ended())
    error = {"code": 400, "message": "Token limit reached"}
    yield Say(_frame(run, [_choice("", None)], error=error, usage=run.usage()))
    yield Say(DONE)


def _choices_null(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _begun(timing)
    yield Settle(run.ended())
    yield Say(_frame(run, None, usage=run.usage()))
    yield Say(DONE)


def _malformed_frame(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _half(run, timing)
    yield Settle(run.ended())
    yield Say(b'data: {"id": "gen-\n\n')
    yield Say(DONE)


_SCRIPTS: Mapping[str, Callable[[Run, Timing], Iterator[Step]]] = {
    "choices_null": _choices_null,
    "cut_stream": _cut,
    "hang": _hang,
    "hang_mid_stream": _hang_mid_stream,
    "malformed_frame": _malformed_frame,
    "mid_stream_error": _mid_stream_error,
    "mid_stream_error_with_usage": _mid_stream_error_with_usage,
    "reset_after_headers": _reset_after_headers,
    "reset_before_headers": _reset_before_headers,
    "reset_mid_stream": _reset_mid_stream,
}


def _choice(content: str, finish_reason: str | None) -> dict[str, object]:
    return {
        "index": 0,
        "delta": {"role": "assistant", "content": content},
        "finish_reason": finish_reason,
        "native_finish_reason": finish_reason,
        "logprobs": None,
    }


def _frame(run: Run, choices: list[dict[str, object]] | None, **beside: object) -> bytes:
    model = run.order.model
    document = {
        "id": run.generation_id,
        "object": "chat.completion.chunk",
        "created": run.created_at_ms // 1_000,
        "model": model.slug,
        "provider": model.provider,
        "choices": choices,
        **beside,
    }
    return b"data: " + dumps(document) + b"\n\n"
