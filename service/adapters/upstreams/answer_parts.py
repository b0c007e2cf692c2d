"""The pieces of one streamed answer, added up into the `choices[0]` of a whole one.

Must not know: events, costs or ids. Only the first choice is read: n > 1 is not offered.
"""

from __future__ import annotations

_TEXTS = frozenset({"content", "refusal", "reasoning"})
_LISTS = frozenset({"reasoning_details", "annotations", "images"})


class AnswerParts:
    """Deltas in, one message out."""

    __slots__ = (
        "_lists",
        "_logprobs",
        "_native_finish",
        "_texts",
        "_tools",
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
        self._tools: dict[int, dict[str, object]] = {}

    def add(self, choice: dict[str, object]) -> None:
        """Take one chunk's choice; unknown fields are passed over."""
        if choice.get("index", 0) != 0:
            return
        self.any = True
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._delta(delta)
        finish = choice.get("finish_reason")
        if isinstance(finish, str):
            self.finish_reason = finish
        native = choice.get("native_finish_reason")
        if isinstance(native, str):
            self._native_finish = native
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict):
            for name, entries in logprobs.items():
                if isinstance(entries, list):
                    self._logprobs.setdefault(name, []).extend(entries)

    def choice(self) -> dict[str, object]:
        """The choice of a whole answer, in OpenRouter's shape."""
        return {
            "index": 0,
            "logprobs": self._logprobs or None,
            "finish_reason": self.finish_reason,
            "native_finish_reason": self._native_finish,
            "message": self._message(),
        }

    def _message(self) -> dict[str, object]:
        content = self._texts.get("content")
        message: dict[str, object] = {
            "role": "assistant",
            "content": None if content is None and self._tools else _joined(content or []),
            "refusal": self._text_or_none("refusal"),
            "reasoning": self._text_or_none("reasoning"),
        }
        message.update(self._lists)
        if self._tools:
            message["tool_calls"] = [self._tools[index] for index in sorted(self._tools)]
        return message

    def _text_or_none(self, name: str) -> str | None:
        pieces = self._texts.get(name)
        return _joined(pieces) if pieces else None

    def _delta(self, delta: dict[str, object]) -> None:
        for name, value in delta.items():
            if not value:
                continue
            if name in _TEXTS and isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
            elif name in _LISTS and isinstance(value, list):
                self._lists.setdefault(name, []).extend(value)
            elif name == "tool_calls" and isinstance(value, list):
                for call in value:
                    self._tool_call(call)

    def _tool_call(self, piece: object) -> None:
        """Tool calls come in pieces by index: the name once, the arguments bit by bit."""
        index = piece.get("index", 0) if isinstance(piece, dict) else None
        if not isinstance(piece, dict) or not isinstance(index, int):
            return
        call = self._tools.setdefault(
            index, {"index": index, "type": "function", "function": {"name": "", "arguments": ""}}
        )
        if piece.get("id"):
            call["id"] = piece["id"]
        whole, part = call["function"], piece.get("function")
        if isinstance(whole, dict) and isinstance(part, dict):
            for name in ("name", "arguments"):
                text = part.get(name)
                if isinstance(text, str):
                    whole[name] += text


def _joined(pieces: list[str]) -> str:
    """One text; an emoji that was cut in two between chunks (a lone surrogate each) is mended."""
    text = "".join(pieces)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
