"""What an answer without a stream is made of, step by step, for every way it can go.

Must not know: sockets. Such a run cannot be cancelled: it is charged in full, read or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from openrouter_simulator.answers.answer_document import (
    ERROR_AT_200,
    TOKEN_LIMIT,
    provider_lost,
    whole_document,
)
from openrouter_simulator.answers.hostile import dripping, endless, padded
from openrouter_simulator.answers.runs import Run
from openrouter_simulator.answers.steps import Head, Reset, Say, Settle, Step, Wait
from openrouter_simulator.http_io import dumps
from openrouter_simulator.timing import Timing

JSON = b"application/json"
_BLANK = b"    \n"
_MARKED = "@@more@@"


def whole_steps(run: Run, timing: Timing) -> Iterator[Step]:
    """The script of this run."""
    course = next(iter(run.faults & _SCRIPTS.keys()), "")
    return _SCRIPTS.get(course, _whole)(run, timing)


def _whole(run: Run, timing: Timing) -> Iterator[Step]:
    yield Wait(timing.latency_s)
    yield Settle(run.ended())
    yield from _body(dumps(whole_document(run)))


def _body(body: bytes) -> Iterator[Step]:
    yield Head(JSON, len(body))
    yield Say(body)


def _bad_json(run: Run, timing: Timing) -> Iterator[Step]:
    yield Wait(timing.latency_s)
    yield Settle(run.ended())
    body = dumps(whole_document(run))
    yield from _body(body[: len(body) // 2])


def _error_200(run: Run, timing: Timing) -> Iterator[Step]:
    yield Wait(timing.latency_s)
    yield Settle(run.failed())
    yield from _body(dumps(ERROR_AT_200))


def _mid_error(run: Run, timing: Timing) -> Iterator[Step]:
    yield Wait(timing.latency_s)
    yield Settle(run.failed())
    document = whole_document(run, error=provider_lost(run))
    document.pop("usage", None)
    yield from _body(dumps(document))


def _mid_error_with_usage(run: Run, timing: Timing) -> Iterator[Step]:
    yield Wait(timing.latency_s)
    yield Settle(run.ended())
    yield from _body(dumps(whole_document(run, error=dict(TOKEN_LIMIT))))


def _hang(run: Run, timing: Timing) -> Iterator[Step]:
    yield Settle(run.ended())
    yield Wait(timing.hang_s)
    yield Reset()


def _hang_after_headers(run: Run, timing: Timing) -> Iterator[Step]:
    yield Head(JSON)
    yield from _hang(run, timing)


def _reset_before_headers(run: Run, timing: Timing) -> Iterator[Step]:
    yield Wait(timing.latency_s)
    yield Settle(run.ended())
    yield Reset()


def _reset_after_headers(run: Run, timing: Timing) -> Iterator[Step]:
    yield Wait(timing.latency_s)
    yield Settle(run.ended())
    yield Head(JSON, len(dumps(whole_document(run))))
    yield Reset()


def _reset_in_the_middle(run: Run, timing: Timing) -> Iterator[Step]:
    body = dumps(whole_document(run))
    yield Wait(timing.latency_s)
    yield Settle(run.ended())
    yield Head(JSON, len(body))
    yield Say(body[: len(body) // 2])
    yield Reset()


def _huge(run: Run, timing: Timing) -> Iterator[Step]:
    yield Wait(timing.latency_s)
    yield Settle(run.ended())
    yield Head(JSON)
    yield from padded(dumps({"more": _MARKED} | whole_document(run)), _MARKED)


def _endless(run: Run, timing: Timing) -> Iterator[Step]:
    yield Settle(run.ended())
    yield Head(JSON)
    yield from endless(_BLANK, for_s=timing.hang_s)


def _dripping(run: Run, timing: Timing) -> Iterator[Step]:
    yield Settle(run.ended())
    yield Head(JSON)
    yield from dripping(_BLANK, for_s=timing.hang_s)


_SCRIPTS: Mapping[str, Callable[[Run, Timing], Iterator[Step]]] = {
    "bad_json": _bad_json,
    "endless_comments": _dripping,
    "endless_stream": _endless,
    "error_200": _error_200,
    "hang": _hang,
    "hang_after_headers": _hang_after_headers,
    "huge_body": _huge,
    "mid_stream_error": _mid_error,
    "mid_stream_error_text_code": _mid_error,
    "mid_stream_error_with_usage": _mid_error_with_usage,
    "reset_after_headers": _reset_after_headers,
    "reset_before_headers": _reset_before_headers,
    "reset_mid_stream": _reset_in_the_middle,
}
