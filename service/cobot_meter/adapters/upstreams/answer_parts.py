"""The deltas of one answer put together: texts, calls, blocks and lists in, one message out.

Must not know: streams, usage, or whose answer it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from cobot_meter.adapters.upstreams.answer_pieces import (
    HALF_MAX,
    HALF_MIN,
    TEXTS,
    News,
    delta_of,
    mended,
    size_of,
    text_parts,
)
from cobot_meter.adapters.upstreams.reasoning_blocks import ReasoningBlocks
from cobot_meter.adapters.upstreams.tool_calls import ToolCalls
from cobot_meter.domain.upstream.deltas import Delta

_REASONING, _REASONING_CONTENT = "reasoning", "reasoning_content"


class AnswerParts:
    """Deltas in, one message out."""

    __slots__ = (
        "_blocks",
        "_calls",
        "_cut",
        "_halves",
        "_lists",
        "_logprobs",
        "_native_finish",
        "_texts",
        "finish_reason",
        "said_bytes",
    )

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.said_bytes = 0
        self.finish_reason: str | None = None
        self._native_finish: str | None = None
        self._texts: dict[str, list[str]] = {}
        self._lists: dict[str, list[object]] = {}
        self._logprobs: dict[str, list[object]] = {}
        self._calls = ToolCalls()
        self._blocks = ReasoningBlocks()
        # First halves of characters that came apart, kept back from whoever reads along.
        self._halves: dict[str, str] = {}
        self._cut = False

    def add(self, choice: dict[str, object]) -> News | None:
        """Take one chunk's choice; None for another than the first. Raises ValueError.

        Unknown fields are passed over.
        """
        if choice.get("index", 0) not in (0, None):
            return None
        delta = choice.get("delta")
        if delta is None and not self._said:
            delta = choice.get("message")
        told: dict[str, object] | None = delta if isinstance(delta, dict) else None
        calls = self._delta(told) if told else ()
        if told:
            self.said_bytes += size_of(told, calls)
        finish, native = choice.get("finish_reason"), choice.get("native_finish_reason")
        if isinstance(finish, str) and finish:
            self.finish_reason = finish
        if isinstance(native, str):
            self._native_finish = native
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict):
            self._chances(logprobs)
        if told and (self._cut or self._halves):
            told, self._cut = mended(told, self._halves), False
        return choice, told, calls, None

    def so_far(self) -> Delta:
        """All that was said, as one delta."""
        choice: dict[str, object] = {
            "finish_reason": self.finish_reason,
            "native_finish_reason": self._native_finish,
            "logprobs": self._logprobs,
        }
        said = self._said_so_far()
        return delta_of((choice, said, self._calls.so_far(), None))

    def _said_so_far(self) -> dict[str, object]:
        said: dict[str, object] = {
            name: "".join(pieces).removesuffix(self._halves.get(name, ""))
            for name, pieces in self._texts.items()
        }
        if self._blocks:
            said["reasoning_details"] = self._blocks.documents()
        said.update(self._lists)
        return said

    def _chances(self, logprobs: dict[str, object]) -> None:
        for name, entries in logprobs.items():
            if isinstance(entries, list):
                self._logprobs.setdefault(name, []).extend(entries)

    @property
    def is_answer(self) -> bool:
        """Whether anything was said, or why nothing was: an answer without either is none.

        OpenRouter charges nothing for it, whatever the run itself would have cost.
        """
        return bool(self.finish_reason or self.said_bytes or self._lists or self._blocks)

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

    def _delta(self, delta: dict[str, object]) -> Sequence[object]:
        """Take a delta; what its tool calls add."""
        calls: Sequence[object] = ()
        for name, said in delta.items():
            if not said:
                continue
            if name in TEXTS and isinstance(said, str):
                self._texts.setdefault(name, []).append(said)
                if HALF_MIN <= said[-1] <= HALF_MAX:
                    self._cut = True
            elif isinstance(said, list):
                if name == "tool_calls":
                    calls = self._calls.add(said)
                else:
                    self._listed(name, said)
        return calls

    def _listed(self, name: str, said: list[object]) -> None:
        match name:
            case "annotations" | "images":
                self._lists.setdefault(name, []).extend(said)
            case "reasoning_details":
                self._blocks.add(said)
            case "content":
                self._texts.setdefault("content", []).extend(text_parts(said))
