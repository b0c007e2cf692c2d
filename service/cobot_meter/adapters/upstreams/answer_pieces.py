"""What an answer has said in one read, kept as it was parsed until somebody asks for deltas.

Most answers are read by nobody before their end: for those an event costs one entry in a list. The
gate, which takes longer than the parser, is passed when somebody reads along, once for all of them.
Must not know: sockets, or how the whole answer is put together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import orjson

from cobot_meter.domain import outside
from cobot_meter.domain.upstream.completions import UpstreamCompletion
from cobot_meter.domain.upstream.deltas import NOTHING, Delta, Deltas, Document

_REASONING, _REASONING_CONTENT = "reasoning", "reasoning_content"
TEXTS = frozenset({"content", "refusal", _REASONING, _REASONING_CONTENT})
_LISTS = frozenset({"annotations", "images", "reasoning_details"})
_CALLS = "tool_calls"
# Marks and names of fields that models write around a call, which no stream shows.
TOKENS_PER_CALL_MAX = 64
# What every chunk of an answer repeats, beside its id.
HEAD = ("created", "model", "provider", "system_fingerprint", "service_tier")

# The first of the two halves that JSON may write in the place of one character.
HALF_MIN, HALF_MAX = "\ud800", "\udbff"
_SILENT = Delta()

# What an upstream's answer is called here, made of what it calls itself.
Naming = Callable[[dict[str, object]], dict[str, object]]


# What one frame says: its first choice as it came, the delta that counts, what its tool calls add,
# and its `usage`. A plain tuple: one is made for each event, a named one would take five times as
# long.
News = tuple[dict[str, object], dict[str, object] | None, Sequence[object], object]


class Source(Protocol):
    """Whoever puts a stream together."""

    def head(self) -> dict[str, object]:
        """What every chunk of it repeats."""

    def so_far(self) -> Delta:
        """All that was said until now."""

    @property
    def said_bytes(self) -> int:
        """How many bytes of texts and calls there are."""

    @property
    def conclusive(self) -> bool:
        """Whether a stream that ends now was whole."""

    @property
    def stops(self) -> bool:
        """Whether whoever serves it charges nothing further once it is closed."""

    def cut(self) -> UpstreamCompletion:
        """The whole as if it ended here. Raises OutcomeUnknown."""


class StreamPiece:
    """Implements `ports.upstream.AnswerPiece` for a stream."""

    __slots__ = ("_deltas", "_news", "_source", "size")

    def __init__(self, source: Source, news: Sequence[News], size: int) -> None:
        """`source` is asked when somebody is."""
        self.size = size
        self._source = source
        self._news = news
        self._deltas: Deltas | None = None

    @property
    def said_bytes(self) -> int:
        """How many bytes the whole stream has said until now, asked of its source."""
        return self._source.said_bytes

    @property
    def ended(self) -> bool:
        """Whether the stream has said why it ends."""
        return self._source.conclusive

    @property
    def stops(self) -> bool:
        """Whether whoever serves it charges nothing further once it is closed."""
        return self._source.stops

    def cut(self) -> UpstreamCompletion:
        """The whole stream as if it ended here. Raises OutcomeUnknown."""
        return self._source.cut()

    def deltas(self) -> Deltas:
        """What these events add, through the gate; made when first asked for, and then kept."""
        if self._deltas is None:
            said = tuple(delta for delta in map(delta_of, self._news) if delta != _SILENT)
            self._deltas = Deltas(_let_in(self._source.head()), said)
            self._news = ()
        return self._deltas

    def so_far(self) -> Deltas:
        """All that the whole stream has said until now, as one delta, asked of its source."""
        return Deltas(_let_in(self._source.head()), (self._source.so_far(),))


class WholePiece:
    """Implements `ports.upstream.AnswerPiece` for an answer that was no stream."""

    __slots__ = ("_completion", "_naming")

    def __init__(self, completion: UpstreamCompletion, naming: Naming) -> None:
        """`naming` is asked for the head."""
        self._completion = completion
        self._naming = naming

    # It came whole, so nothing is left that could be stopped.
    ended = True
    stops = False

    @property
    def size(self) -> int:
        """How many bytes the body of the answer has."""
        return len(self._completion.body)

    @property
    def said_bytes(self) -> int:
        """All of its body."""
        return len(self._completion.body)

    def cut(self) -> UpstreamCompletion:
        """The answer as it is."""
        return self._completion

    def deltas(self) -> Deltas:
        """The whole answer as one delta, read anew from its body, which has passed the gate."""
        document = orjson.loads(self._completion.body)
        choice = document["choices"][0]
        message = {name: said for name, said in choice["message"].items() if said is not None}
        message.pop("role", None)
        delta = Delta(
            said=message,
            finish_reason=choice["finish_reason"],
            native_finish_reason=choice["native_finish_reason"],
            logprobs=choice["logprobs"],
            usage=document.get("usage"),
        )
        head = {"id": document["id"], **{name: document[name] for name in HEAD if name in document}}
        return Deltas(self._naming(head), (delta,))

    def so_far(self) -> Deltas:
        """The whole answer as one delta: there was no piece of it before this one."""
        return self.deltas()


def delta_of(news: News) -> Delta:
    """What one frame adds, through the gate."""
    choice, delta, calls, usage = news
    return Delta(
        said=_said(delta, calls) if delta is not None else NOTHING,
        finish_reason=outside.maybe_text(choice.get("finish_reason")) or None,
        native_finish_reason=outside.maybe_text(choice.get("native_finish_reason")) or None,
        logprobs=_document(choice.get("logprobs")),
        usage=_document(usage),
    )


def size_of(delta: dict[str, object], calls: Sequence[object]) -> int:
    """How many bytes of text a delta adds that a model may have written, its thoughts too."""
    size = 0
    for name, said in delta.items():
        if name in TEXTS and isinstance(said, str):
            size += _bytes(said)
        elif name == "content" and isinstance(said, list):
            size += sum(map(_bytes, text_parts(said)))
        elif name == "reasoning_details" and isinstance(said, list):
            size += _thoughts(said, told=bool(delta.get(_REASONING)))
    return size + sum(map(_call_bytes, calls))


def _bytes(said: object) -> int:
    if not isinstance(said, str):
        return 0
    return len(said) if said.isascii() else len(said.encode("utf-8", "surrogatepass"))


def _thoughts(pieces: list[object], *, told: bool) -> int:
    """What blocks add; where the text beside them has `told` the same, only what it leaves out."""
    names = ("data",) if told else ("data", "text", "summary")
    return sum(
        _bytes(piece.get(name)) for piece in pieces if isinstance(piece, dict) for name in names
    )


def _call_bytes(call: object) -> int:
    """A call's name and arguments; where one begins, what a model writes around it."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        return 0
    around = TOKENS_PER_CALL_MAX if "id" in call or "name" in function else 0
    return around + _bytes(function.get("name")) + _bytes(function.get("arguments"))


def mended(delta: dict[str, object], halves: dict[str, str]) -> dict[str, object]:
    """The delta with what was kept back of each text, and without what is kept back now.

    `halves` has the first half of a character by the name of its text.
    """
    whole = dict(delta)
    for name, said in delta.items():
        if name in TEXTS and isinstance(said, str) and said:
            text = halves.pop(name, "") + said
            if HALF_MIN <= text[-1] <= HALF_MAX:
                halves[name] = text[-1]
                text = text[:-1]
            whole[name] = text
    return whole


def text_parts(parts: Iterable[object]) -> list[str]:
    """The texts of a `content` that came in parts; what else it holds is not read."""
    return [
        part["text"]
        for part in parts
        if isinstance(part, dict)
        and part.get("type", "text") == "text"
        and isinstance(part.get("text"), str)
    ]


def _said(delta: dict[str, object], calls: Sequence[object]) -> Document:
    said: dict[str, object] = {}
    for name, value in delta.items():
        if not value:
            continue
        if name in TEXTS and isinstance(value, str):
            said[name] = outside.text(value)
        elif isinstance(value, list):
            if name in _LISTS:
                said[name] = outside.value(value)
            elif name == "content":
                said[name] = outside.text("".join(text_parts(value)))
    if calls:
        said[_CALLS] = outside.value(list(calls))
    return said or NOTHING


def _document(said: object) -> Document | None:
    return _let_in(said) if isinstance(said, dict) and said else None


def _let_in(said: dict[str, object]) -> Document:
    let_in = outside.value(said)
    return let_in if isinstance(let_in, dict) else NOTHING
