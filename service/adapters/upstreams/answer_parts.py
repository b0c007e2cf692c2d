"""The pieces of one answer, added up into the `choices[0]` of a whole one.

A stream's deltas and a whole answer's message are read alike: what comes out has one shape. Must
not know: events, costs or ids. Only the first choice is read: n > 1 is not offered.
"""

from __future__ import annotations

from service.adapters.upstreams.reasoning_blocks import ReasoningBlocks
from service.adapters.upstreams.tool_calls import ToolCalls

_REASONING, _REASONING_CONTENT = "reasoning", "reasoning_content"
_TEXTS = frozenset({"content", "refusal", _REASONING, _REASONING_CONTENT})


class AnswerParts:
    """Deltas in, one message out."""

    __slots__ = (
        "_blocks",
        "_calls",
        "_lists",
        "_logprobs",
        "_native_finish",
        "_texts",
        "any",
        "finish_reason",
    )

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.any = False
        self.finish_reason: str | None = None
        self._native_finish: str | None = None
        self._texts: dict[str, list[str]] = {}
        self._lists: dict[str, list[object]] = {}
        self._logprobs: dict[str, list[object]] = {}
        self._calls = ToolCalls()
        self._blocks = ReasoningBlocks()

    def add(self, choice: dict[str, object]) -> None:
        """Take one chunk's choice; unknown fields are passed over. Raises ValueError."""
        if choice.get("index", 0) not in (0, None):
            return
        self.any = True
        delta = choice.get("delta")
        if delta is None and not self._said:
            delta = choice.get("message")
        if isinstance(delta, dict):
            self._delta(delta)
        self._ended(choice.get("finish_reason"), choice.get("native_finish_reason"))
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict):
            for name, entries in logprobs.items():
                if isinstance(entries, list):
                    self._logprobs.setdefault(name, []).extend(entries)

    def _ended(self, finish: object, native: object) -> None:
        if isinstance(finish, str) and finish:
            self.finish_reason = finish
        if isinstance(native, str):
            self._native_finish = native

    @property
    def _said(self) -> bool:
        """Whether there are words or calls: a message that comes after them repeats them."""
        return bool(self._texts or self._calls)

    def choice(self, *, named: str) -> dict[str, object]:
        """The choice of a whole answer, in OpenRouter's shape.

        `named` is what ids are made of where a tool call has none: the same for the same answer.
        """
        return {
            "index": 0,
            "logprobs": self._logprobs or None,
            "finish_reason": self.finish_reason,
            "native_finish_reason": self._native_finish,
            "message": self._message(named),
        }

    def _message(self, named: str) -> dict[str, object]:
        content = self._texts.get("content")
        message: dict[str, object] = {
            "role": "assistant",
            "content": None if content is None and self._calls else "".join(content or []),
            "refusal": self._text_or_none("refusal"),
            _REASONING: self._text_or_none(_REASONING) or self._text_or_none(_REASONING_CONTENT),
        }
        told = self._text_or_none(_REASONING_CONTENT)
        if told is not None:
            message[_REASONING_CONTENT] = told
        if self._blocks:
            message["reasoning_details"] = self._blocks.documents()
        message.update(self._lists)
        if self._calls:
            message["tool_calls"] = self._calls.documents(named=named)
        return message

    def _text_or_none(self, name: str) -> str | None:
        pieces = self._texts.get(name)
        return "".join(pieces) if pieces else None

    def _delta(self, delta: dict[str, object]) -> None:
        for name, said in delta.items():
            if name in _TEXTS and isinstance(said, str) and said:
                self._texts.setdefault(name, []).append(said)
            elif isinstance(said, list) and said:
                self._listed(name, said)

    def _listed(self, name: str, said: list[object]) -> None:
        match name:
            case "annotations" | "images":
                self._lists.setdefault(name, []).extend(said)
            case "reasoning_details":
                self._blocks.add(said)
            case "tool_calls":
                self._calls.add(said)
            case "content":
                self._content_parts(said)

    def _content_parts(self, parts: list[object]) -> None:
        """Some upstreams send the text as parts; what else they hold is not read."""
        for part in parts:
            if not isinstance(part, dict) or part.get("type", "text") != "text":
                continue
            text = part.get("text")
            if isinstance(text, str):
                self._texts.setdefault("content", []).append(text)
