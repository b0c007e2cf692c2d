"""An OpenAI-shaped event stream, or a whole message, put together into one completion.

Bytes go in as they arrive; out comes the whole `chat.completion`, or what went wrong. What real
streams do, and each of these has lost somebody money: comment lines before and between events; a
usage frame that repeats `choices`, or has none; an error frame with the final usage in it, or
without; an end without usage; usage beside every word; a cut. Only the first choice is read: n > 1
is not offered. Must not know: sockets, or whose answer it is: its reader has a
`Dialect` for that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from cobot_meter.adapters.upstreams.answer_parts import AnswerParts
from cobot_meter.adapters.upstreams.answer_pieces import (
    HEAD,
    Naming,
    News,
    StreamPiece,
)
from cobot_meter.adapters.upstreams.error_taxonomy import ErrorTaxonomy
from cobot_meter.adapters.upstreams.event_lines import Event, EventLines
from cobot_meter.adapters.upstreams.exact_json import exact_dumps, exact_loads, plain_loads
from cobot_meter.adapters.upstreams.http_errors import words_of
from cobot_meter.domain import outside
from cobot_meter.domain.errors import OutcomeUnknown, UpstreamFailed
from cobot_meter.domain.upstream.completions import UpstreamCompletion
from cobot_meter.domain.upstream.deltas import Delta

# The cost text of a `usage` as `exact_loads` reads it; None where it says none.
CostOf = Callable[[dict[str, object]], str | None]


def _as_it_says(head: dict[str, object]) -> dict[str, object]:
    return head


def _nobody_stops(_head: dict[str, object]) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is one upstream's own in its answers: what a `usage` costs, and what an error means.

    `naming` is how an answer is called here, where that is not as the upstream calls it; `stops`
    says of its head whether whoever serves it charges nothing further once it is closed.
    """

    cost_of: CostOf
    errors: ErrorTaxonomy
    naming: Naming = _as_it_says
    stops: Callable[[dict[str, object]], bool] = _nobody_stops


_DONE = b"[DONE]"
_LENGTH = "length"
_NO_CHOICES = "the upstream's answer has no choices"
_EMPTY = "the upstream's answer is empty and does not say why it ended"
_ERROR = b"error"
_MESSAGES = frozenset({b"", b"message"})


class StreamAssembly:
    """One stream being read. `generation_id` is known from the header or from a frame."""

    __slots__ = (
        "_dialect",
        "_error",
        "_head",
        "_lines",
        "_news",
        "_parts",
        "_usage",
        "done",
        "generation_id",
    )

    def __init__(self, generation_id: str, dialect: Dialect) -> None:
        """`generation_id` is what the headers said, empty when they said nothing."""
        self.generation_id = generation_id
        self._dialect = dialect
        self.done = False
        self._lines = EventLines()
        self._head: dict[str, object] = {}
        self._parts = AnswerParts()
        self._news: list[News] = []
        self._usage: dict[str, object] | None = None
        self._error: object = None

    @property
    def conclusive(self) -> bool:
        """Whether a stream that ends now was whole: it said so, why it finished, or what failed.

        What it cost says nothing of that: some upstreams tell it beside every word.
        """
        return self.done or self._parts.finish_reason is not None or self._error is not None

    def feed(self, chunk: bytes) -> None:
        """Read more bytes. Raises OutcomeUnknown for what is not the protocol."""
        for event in self._lines.feed(chunk):
            self._event(event)

    def end(self) -> None:
        """The stream has ended; an event that lacks only its blank line still counts."""
        for event in self._lines.end():
            self._event(event)

    def piece(self, size: int) -> StreamPiece | None:
        """What was said in the `size` bytes since the piece before; None where it was nothing."""
        news, self._news = self._news, []
        if not news:
            return None
        return StreamPiece(self, news, size)

    def head(self) -> dict[str, object]:
        """What every chunk repeats, as it is called here."""
        return self._dialect.naming({"id": self.generation_id, **self._head})

    def so_far(self) -> Delta:
        """All that was said until now."""
        said = self._parts.so_far()
        if self._usage is None:
            return said
        plain = orjson.loads(exact_dumps(outside.value(self._usage)))
        return said._replace(usage=plain)

    @property
    def said_bytes(self) -> int:
        """How many bytes of texts and calls there are."""
        return self._parts.said_bytes

    @property
    def stops(self) -> bool:
        """Whether whoever serves it charges nothing further once it is closed."""
        return self._dialect.stops(self._head)

    def cut(self) -> UpstreamCompletion:
        """The whole answer as if it ended here, for whoever closes it now.

        Raises OutcomeUnknown where nobody could look up what it cost.
        """
        if not self.generation_id:
            raise OutcomeUnknown("the upstream never named the generation")
        self._parts.finish_reason = _LENGTH
        return completion_of(self._document(), self._parts, {}, None)

    def _document(self) -> dict[str, object]:
        return {
            "id": self.generation_id,
            "object": "chat.completion",
            **self._head,
            "choices": [self._parts.choice(named=self.generation_id)],
        }

    def completion(self) -> UpstreamCompletion:
        """The whole answer.

        Raises UpstreamFailed when the stream told of an error or holds no answer, OutcomeUnknown
        when it was cut before its end.
        """
        inline_cost = self._dialect.cost_of(self._usage) if self._usage else None
        if self._error is not None:
            raise failure_of(self._error, inline_cost, self._dialect.errors)
        if not self.conclusive:
            raise OutcomeUnknown("the upstream's stream was cut before its end")
        if not self.generation_id:
            raise OutcomeUnknown("the upstream never named the generation")
        if not self._parts.is_answer:
            raise UpstreamFailed(_EMPTY, inline_cost=inline_cost)
        document = self._document()
        if self._usage is not None:
            document["usage"] = self._usage
        return completion_of(document, self._parts, self._usage or {}, inline_cost)

    def _event(self, event: Event) -> None:
        name, data = event
        if data.strip() == _DONE:
            self.done = True
            return
        frame = _frame_of(name, data)
        if frame is None:
            if name in _MESSAGES and not self.conclusive:
                raise OutcomeUnknown("the upstream's stream cannot be read")
            return
        usage = frame.get("usage")
        if usage is not None:
            self._usage_of(data)
        if usage is not None or not self._head:
            self._head_of(frame)
        self.generation_id = self.generation_id or outside.identifier(frame.get("id")) or ""
        self._frame(frame)
        if usage is not None:
            self._news.append(({}, None, (), usage))
        if name == _ERROR and self._error is None:
            self._error = frame

    def _usage_of(self, data: bytes) -> None:
        document = _exact_object(data)
        usage = document.get("usage") if document else None
        if isinstance(usage, dict):
            self._usage = usage

    def _head_of(self, frame: dict[str, object]) -> None:
        for name in HEAD:
            value = frame.get(name)
            if value is not None:
                self._head[name] = value

    def _frame(self, frame: dict[str, object]) -> None:
        choices = frame.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict):
                    news = self._parts.add(choice)
                    if news is not None:
                        self._news.append(news)
                    if _choice_failed(choice) and self._error is None:
                        self._error = choice.get("error") or {}
        if frame.get("error"):
            self._error = frame["error"]


def completion_from_json(body: bytes, generation_id: str, dialect: Dialect) -> UpstreamCompletion:
    """The completion of a 200 that came as one JSON object instead of a stream.

    Raises UpstreamFailed for an error or an answer without choices, OutcomeUnknown for anything
    that cannot be read.
    """
    document = _exact_object(body)
    if document is None:
        raise OutcomeUnknown("the upstream's answer cannot be read")
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    inline_cost = dialect.cost_of(usage)
    if document.get("error"):
        raise failure_of(document["error"], inline_cost, dialect.errors)
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict) or _choice_failed(choice):
        raise UpstreamFailed(_NO_CHOICES, inline_cost=inline_cost)
    named = generation_id or outside.identifier(document.get("id"))
    if not named:
        raise OutcomeUnknown("the upstream never named the generation")
    parts = AnswerParts()
    parts.add({**choice, "index": 0})
    if not parts.is_answer:
        raise UpstreamFailed(_EMPTY, inline_cost=inline_cost)
    message, told = parts.choice(named=named), choice.get("message")
    if isinstance(told, dict) and isinstance(message["message"], dict):
        message["message"] = {**told, **message["message"]}
    document.setdefault("object", "chat.completion")
    document |= {"id": named, "choices": [{**choice, **message}]}
    return completion_of(document, parts, usage, inline_cost)


def completion_of(
    document: dict[str, object],
    parts: AnswerParts,
    usage: dict[str, object],
    inline_cost: str | None,
) -> UpstreamCompletion:
    """The answer with its document mended, so that whoever reads it back can read all of it."""
    return UpstreamCompletion(
        generation_id=str(document["id"]),
        body=exact_dumps(outside.value(document)),
        inline_cost=inline_cost,
        finish_reason=outside.maybe_text(parts.finish_reason),
        prompt_tokens=outside.count(usage.get("prompt_tokens")) or 0,
        completion_tokens=outside.count(usage.get("completion_tokens")) or 0,
    )


def failure_of(error: object, inline_cost: str | None, errors: ErrorTaxonomy) -> UpstreamFailed:
    """The fault for an error that came after the start; what it says of our account is left out."""
    document = error if isinstance(error, dict) else {"message": error}
    kind = errors.kind(document)
    return UpstreamFailed(
        words_of(document, kind, errors, failed="the upstream failed while answering"),
        inline_cost=inline_cost,
        kind=kind,
    )


def _choice_failed(choice: dict[str, object]) -> bool:
    return bool(choice.get("error")) or choice.get("finish_reason") == "error"


def _frame_of(name: bytes, data: bytes) -> dict[str, object] | None:
    """The frame; None for what is none, and says nothing but in an event of errors."""
    try:
        frame: object = orjson.loads(data)
    except orjson.JSONDecodeError:
        frame = _hard_to_read(data)
    if isinstance(frame, dict):
        return frame
    return {} if name == _ERROR else None


def _hard_to_read(data: bytes) -> object:
    """What orjson does not take; None for what is no JSON."""
    try:
        return plain_loads(data)
    except ValueError:
        return None


def _exact_object(data: bytes) -> dict[str, object] | None:
    try:
        document = exact_loads(data)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
