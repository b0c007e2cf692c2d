"""An OpenAI-shaped event stream, put together into one completion.

Must not know: sockets, or whose answer it is: what a `usage` costs is a function of its reader's.
Bytes go in as they arrive; out comes the whole `chat.completion`, or what went wrong. What real
streams do, and each of these has lost somebody money: comment lines before and between events; a
usage frame that repeats `choices`, or has none; an error frame with the final usage in it, or
without; an end without usage; a cut.
"""

from __future__ import annotations

from collections.abc import Callable

from service.adapters.upstreams.answer_parts import AnswerParts
from service.adapters.upstreams.error_taxonomy import kind_of_error
from service.adapters.upstreams.exact_json import count, exact_dumps, exact_loads, plain_loads
from service.adapters.upstreams.http_errors import words_of
from service.domain.completions import UpstreamCompletion
from service.domain.errors import OutcomeUnknown, UpstreamFailed

# The cost text of a `usage` as `exact_loads` reads it; None where it says none.
CostOf = Callable[[dict[str, object]], str | None]

_DONE = b"[DONE]"
_DATA = b"data:"
_HEAD = ("created", "model", "provider", "system_fingerprint", "service_tier")


class StreamAssembly:
    """One stream being read. `generation_id` is known from the header or the first frame."""

    __slots__ = (
        "_cost_of",
        "_error",
        "_head",
        "_parts",
        "_pending",
        "_usage",
        "done",
        "generation_id",
    )

    def __init__(self, generation_id: str, cost_of: CostOf) -> None:
        """`generation_id` is what the headers said, empty when they said nothing."""
        self.generation_id = generation_id
        self._cost_of = cost_of
        self.done = False
        self._pending = b""
        self._head: dict[str, object] = {}
        self._parts = AnswerParts()
        self._usage: dict[str, object] | None = None
        self._error: object = None

    @property
    def conclusive(self) -> bool:
        """Whether a stream that ends now was whole: all there is to know has been said."""
        return self.done or self._usage is not None or self._error is not None

    def feed(self, chunk: bytes) -> None:
        """Read more bytes. Raises OutcomeUnknown for what is not the protocol."""
        pending = self._pending + chunk
        if b"\r" in pending:
            pending = pending.replace(b"\r\n", b"\n")
        *events, self._pending = pending.split(b"\n\n")
        for event in events:
            self._event(event)

    def end(self) -> None:
        """The stream has ended; an event that lacks only its blank line still counts."""
        if self._pending.strip() == _DATA + b" " + _DONE:
            self.done = True

    def completion(self) -> UpstreamCompletion:
        """The whole answer.

        Raises UpstreamFailed when the stream told of an error or holds no answer, OutcomeUnknown
        when it was cut before its end.
        """
        inline_cost = self._cost_of(self._usage) if self._usage else None
        if self._error is not None:
            raise failure_of(self._error, inline_cost)
        if not self.conclusive:
            raise OutcomeUnknown("the upstream's stream was cut before its end")
        if not self.generation_id:
            raise OutcomeUnknown("the upstream never named the generation")
        if not self._parts.any:
            raise UpstreamFailed("the upstream's answer has no choices", inline_cost=inline_cost)
        usage = self._usage or {}
        return UpstreamCompletion(
            generation_id=self.generation_id,
            body=self._body(),
            inline_cost=inline_cost,
            finish_reason=self._parts.finish_reason or "",
            prompt_tokens=count(usage.get("prompt_tokens")),
            completion_tokens=count(usage.get("completion_tokens")),
        )

    def _event(self, event: bytes) -> None:
        if event.startswith(_DATA) and b"\n" not in event:
            self._data(event[len(_DATA) :].strip())
            return
        lines = [line[len(_DATA) :].strip() for line in event.split(b"\n") if line[:5] == _DATA]
        if lines:
            self._data(b"\n".join(lines))

    def _data(self, data: bytes) -> None:
        if data == _DONE:
            self.done = True
            return
        frame = _frame_of(data)
        said = frame.get("usage") is not None
        if said:
            self._usage_of(data)
        if said or not self._head:
            self._head_of(frame)
        self._frame(frame)

    def _usage_of(self, data: bytes) -> None:
        document = _exact_object(data)
        usage = document.get("usage") if document else None
        if isinstance(usage, dict):
            self._usage = usage

    def _head_of(self, frame: dict[str, object]) -> None:
        for name in _HEAD:
            value = frame.get(name)
            if value is not None:
                self._head[name] = value
        named = frame.get("id")
        if not self.generation_id and isinstance(named, str):
            self.generation_id = named

    def _frame(self, frame: dict[str, object]) -> None:
        choices = frame.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict):
                    self._choice(choice)
        if frame.get("error"):
            self._error = frame["error"]

    def _choice(self, choice: dict[str, object]) -> None:
        if _choice_failed(choice) and self._error is None:
            self._error = choice.get("error") or {}
        self._parts.add(choice)

    def _body(self) -> bytes:
        document: dict[str, object] = {
            "id": self.generation_id,
            "object": "chat.completion",
            **self._head,
            "choices": [self._parts.choice()],
        }
        if self._usage is not None:
            document["usage"] = self._usage
        return exact_dumps(document)


def completion_from_json(body: bytes, generation_id: str, cost_of: CostOf) -> UpstreamCompletion:
    """The completion of a 200 that came as one JSON object instead of a stream.

    Raises UpstreamFailed for an error or an answer without choices, OutcomeUnknown for anything
    that cannot be read.
    """
    document = _exact_object(body)
    if document is None:
        raise OutcomeUnknown("the upstream's answer cannot be read")
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    inline_cost = cost_of(usage)
    if document.get("error"):
        raise failure_of(document["error"], inline_cost)
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict) or _choice_failed(choice):
        raise UpstreamFailed("the upstream's answer has no choices", inline_cost=inline_cost)
    named = generation_id or document.get("id")
    if not isinstance(named, str) or not named:
        raise OutcomeUnknown("the upstream never named the generation")
    finish_reason = choice.get("finish_reason")
    return UpstreamCompletion(
        generation_id=named,
        body=body,
        inline_cost=inline_cost,
        finish_reason=finish_reason if isinstance(finish_reason, str) else "",
        prompt_tokens=count(usage.get("prompt_tokens")),
        completion_tokens=count(usage.get("completion_tokens")),
    )


def failure_of(error: object, inline_cost: str | None) -> UpstreamFailed:
    """The fault for an error that came after the start; what it says of our account is left out."""
    document = error if isinstance(error, dict) else {}
    kind = kind_of_error(document)
    return UpstreamFailed(
        words_of(document, kind, failed="the upstream failed while answering"),
        inline_cost=inline_cost,
        kind=kind,
    )


def _choice_failed(choice: dict[str, object]) -> bool:
    return bool(choice.get("error")) or choice.get("finish_reason") == "error"


def _frame_of(data: bytes) -> dict[str, object]:
    try:
        frame = plain_loads(data)
    except ValueError:
        frame = None
    if not isinstance(frame, dict):
        raise OutcomeUnknown("the upstream's stream cannot be read")
    return frame


def _exact_object(data: bytes) -> dict[str, object] | None:
    try:
        document = exact_loads(data)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
