"""What a streamed answer is made of, step by step, for every way a stream can go.

Must not know: sockets. Each script is a generator of steps; `completions` plays them. A script
settles the charge at the point where OpenRouter would: a reader who leaves before it pays for
what was generated so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from openrouter_simulator.answers.answer_document import (
    TOKEN_LIMIT,
    choice,
    frame,
    provider_lost,
    routing_shown,
)
from openrouter_simulator.answers.answers import pieces_of
from openrouter_simulator.answers.hostile import dripping, endless, padded
from openrouter_simulator.answers.runs import Run
from openrouter_simulator.answers.steps import Head, Reset, Say, Settle, Step, Wait
from openrouter_simulator.answers.whole_answer import whole_steps
from openrouter_simulator.routing.asks import tokens_of
from openrouter_simulator.shapes.forms import ToolCall
from openrouter_simulator.timing import Timing

COMMENT = b": OPENROUTER PROCESSING\n\n"
DONE = b"data: [DONE]\n\n"
EVENTS = b"text/event-stream"
_COMMENTS_FIRST = 2
_MARKED = "@@more@@"
_ARGUMENT_CHARS = 16


def steps_of(run: Run, timing: Timing) -> Iterator[Step]:
    """The script of this run."""
    if not run.streamed or "error_200" in run.faults:
        return whole_steps(run, timing)
    course = next(iter(run.faults & _SCRIPTS.keys()), "")
    return _SCRIPTS.get(course, _whole)(run, timing)


def _whole(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _begun(timing)
    yield from _answer(run, timing)
    yield from _ending(run)
    yield Say(DONE)


def _begun(timing: Timing) -> Iterator[Step]:
    yield Head(EVENTS)
    yield Say(COMMENT * _COMMENTS_FIRST)
    yield Wait(timing.latency_s)


def _answer(run: Run, timing: Timing) -> Iterator[Step]:
    """Every piece of every choice, thoughts before words."""
    pieces = list(_pieces(run))
    comment = COMMENT if "comments_mid_stream" in run.faults else b""
    for number, (index, said, tokens) in enumerate(pieces):
        last = number == len(pieces) - 1
        if last and "usage_in_content_chunk" in run.faults:
            told = choice(finish_reason=run.answers[index].finish_reason, index=index, **said)
            data = frame(run, [told], usage=run.usage(), **routing_shown(run))
        else:
            data = frame(run, [choice(finish_reason=None, index=index, **said)])
        yield Say(data + comment, tokens)
        if timing.chunk_s:
            yield Wait(timing.chunk_s)


def _pieces(run: Run) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Index of the choice, what its delta says, and the tokens that are out by then."""
    before = 0
    for index, answer in enumerate(run.answers):
        size_bytes, thought_tokens = 0, answer.reasoning_tokens
        for thought in pieces_of(answer.thoughts) if answer.thoughts else ():
            size_bytes += len(thought.encode())
            if not run.order.ask.thinking_hidden:
                said = {"content": "", "reasoning": thought}
                yield index, said, before + tokens_of(size_bytes)
        size_bytes = 0
        for piece in pieces_of(answer.text) if answer.call is None else ():
            size_bytes += len(piece.encode())
            yield index, {"content": piece}, before + thought_tokens + tokens_of(size_bytes)
        for delta in _call_deltas(answer.call):
            yield index, {"content": "", "tool_calls": [delta]}, before + answer.tokens
        before += answer.tokens


def _call_deltas(call: ToolCall | None) -> Iterator[dict[str, object]]:
    """Id and name first, then the arguments bit by bit, as most providers send a call."""
    if call is None:
        return
    named = {"name": call.name, "arguments": ""}
    yield {"index": 0, "id": call.call_id, "type": "function", "function": named}
    for at in range(0, len(call.arguments), _ARGUMENT_CHARS):
        piece = call.arguments[at : at + _ARGUMENT_CHARS]
        yield {"index": 0, "function": {"arguments": piece}}


def _ending(run: Run) -> Iterator[Step]:
    """The finish, the charge, and the usage in one of its styles."""
    finish = [
        choice("", answer.finish_reason, index=index) for index, answer in enumerate(run.answers)
    ]
    if "usage_in_content_chunk" not in run.faults:
        yield Say(frame(run, finish), run.completion_tokens)
    yield Settle(run.ended())
    shown = routing_shown(run)
    if "usage_empty_choices" in run.faults:
        yield Say(frame(run, [], usage=run.usage(), **shown))
    elif "missing_usage" not in run.faults and "usage_in_content_chunk" not in run.faults:
        yield Say(frame(run, finish, usage=run.usage(), **shown))


def _half(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _begun(timing)
    steps = list(_answer(run, timing))
    yield from steps[: len(steps) // 2 or 1]


def _hang(run: Run, timing: Timing) -> Iterator[Step]:
    yield Settle(run.ended())
    yield Wait(timing.hang_s)
    yield Reset()


def _hang_after_headers(run: Run, timing: Timing) -> Iterator[Step]:
    yield Head(EVENTS)
    yield from _hang(run, timing)


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


def _cut_before_done(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _begun(timing)
    yield from _answer(run, timing)
    yield from _ending(run)


def _reset_before_done(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _cut_before_done(run, timing)
    yield Reset()


def _mid_stream_error(run: Run, timing: Timing) -> Iterator[Step]:
    """Zero-completion insurance: an answer that ends in an error is not charged."""
    yield from _half(run, timing)
    yield Settle(run.failed())
    yield Say(frame(run, [choice("", "error")], error=provider_lost(run)))


def _mid_stream_error_with_usage(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _half(run, timing)
    yield Settle(run.ended())
    yield Say(frame(run, [choice("", None)], error=TOKEN_LIMIT, usage=run.usage()))
    yield Say(DONE)


def _choices_null(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _begun(timing)
    yield Settle(run.ended())
    told = {} if "missing_usage" in run.faults else {"usage": run.usage()}
    yield Say(frame(run, None, **told))
    yield Say(DONE)


def _malformed_frame(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _half(run, timing)
    yield Settle(run.ended())
    yield Say(b'data: {"id": "gen-\n\n')
    yield Say(DONE)


def _bad_json(run: Run, timing: Timing) -> Iterator[Step]:
    """Every frame ends in the middle of its JSON."""
    yield from _begun(timing)
    yield Settle(run.ended())
    for step in _answer(run, timing):
        if isinstance(step, Say):
            yield Say(step.data[: len(step.data) // 2] + b"\n\n", step.tokens)
        else:
            yield step
    yield Say(DONE)


def _huge(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _begun(timing)
    yield Settle(run.ended())
    yield from padded(frame(run, [choice(_MARKED, None)]), _MARKED)
    yield from (step for step in _ending(run) if not isinstance(step, Settle))
    yield Say(DONE)


def _endless(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _begun(timing)
    yield Settle(run.ended())
    yield from endless(frame(run, [choice("and so on ", None)]), for_s=timing.hang_s)


def _dripping(run: Run, timing: Timing) -> Iterator[Step]:
    yield from _begun(timing)
    yield Settle(run.ended())
    yield from dripping(COMMENT, for_s=timing.hang_s)


_SCRIPTS: Mapping[str, Callable[[Run, Timing], Iterator[Step]]] = {
    "bad_json": _bad_json,
    "choices_null": _choices_null,
    "cut_before_done": _cut_before_done,
    "cut_stream": _half,
    "endless_comments": _dripping,
    "endless_stream": _endless,
    "hang": _hang,
    "hang_after_headers": _hang_after_headers,
    "hang_mid_stream": _hang_mid_stream,
    "huge_body": _huge,
    "malformed_frame": _malformed_frame,
    "mid_stream_error": _mid_stream_error,
    "mid_stream_error_text_code": _mid_stream_error,
    "mid_stream_error_with_usage": _mid_stream_error_with_usage,
    "reset_after_headers": _reset_after_headers,
    "reset_before_done": _reset_before_done,
    "reset_before_headers": _reset_before_headers,
    "reset_mid_stream": _reset_mid_stream,
}
