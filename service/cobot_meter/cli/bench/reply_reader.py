"""An answer of the service as it comes, event by event, made into one reply.

The service may be anybody's: everything it says passes the gate. Must not know: HTTP, or clocks.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from cobot_meter.domain import outside
from cobot_meter.domain.benchmarks.record import Reply
from cobot_meter.domain.money import pusd_from_text

TEXT_CHARS_MAX = 262_144
_DATA = b"data:"
_DONE = b"[DONE]"
_NO_CODE = "unnamed_error"


class ReplyReader:
    """Takes bytes as they are read; says when the first text was there."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self.has_text = False
        self._buffer = b""
        self._texts: list[str] = []
        self._chars = 0
        self._said: dict[str, Any] = {}
        self._ended = False

    @property
    def too_long(self) -> bool:
        """Whether more was said than any item asks for."""
        return self._chars > TEXT_CHARS_MAX or len(self._buffer) > TEXT_CHARS_MAX

    def take(self, read: bytes) -> None:
        """What was read next."""
        *events, self._buffer = (self._buffer + read).split(b"\n\n")
        for event in events:
            self._event(event.strip())

    def reply(self, *, ttft_ms: int | None, total_ms: int) -> Reply:
        """All of it."""
        error = str(self._said.get("error", ""))
        if not error and not (self._ended and self._said.get("finish_reason")):
            error = "broke_off"
        kept = {name: value for name, value in self._said.items() if name != "error"}
        text = "".join(self._texts)
        return Reply(text=text, ttft_ms=ttft_ms, total_ms=total_ms, error=error, **kept)

    def _event(self, event: bytes) -> None:
        data = event.removeprefix(_DATA).strip() if event.startswith(_DATA) else b""
        if data == _DONE:
            self._ended = True
            return
        chunk = read_object(data)
        if chunk is not None:
            self._chunk(chunk)

    def _chunk(self, chunk: dict[str, Any]) -> None:
        if isinstance(chunk.get("error"), dict):
            self._said["error"] = error_code(chunk)
        for name, key in (("generation_id", "id"), ("provider", "provider")):
            said = outside.maybe_text(chunk.get(key))
            if said:
                self._said[name] = said
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if isinstance(choice, dict):
            self._choice(choice)
        self._said |= _amounts(chunk)

    def _choice(self, choice: dict[str, Any]) -> None:
        reason = outside.maybe_text(choice.get("finish_reason"))
        if reason:
            self._said["finish_reason"] = reason
        delta = choice.get("delta")
        said = delta.get("content") if isinstance(delta, dict) else None
        if isinstance(said, str) and said:
            self.has_text = True
            self._chars += len(said)
            self._texts.append(outside.text(said))


def read_object(data: bytes) -> dict[str, Any] | None:
    """A JSON object with its numbers exact; None for anything else."""
    try:
        said = json.loads(data, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def error_code(document: dict[str, Any]) -> str:
    """The code of an error as the service says it."""
    error = document.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return outside.shown(str(code), most=80) if code else _NO_CODE


def _amounts(chunk: dict[str, Any]) -> dict[str, int | None]:
    """Tokens and money, of the event that has them."""
    found: dict[str, int | None] = {}
    usage, cobot = chunk.get("usage"), chunk.get("cobot")
    if isinstance(usage, dict):
        for name in ("prompt_tokens", "completion_tokens"):
            found[name] = outside.count(usage.get(name))
    cost = cobot.get("cost") if isinstance(cobot, dict) else None
    if isinstance(cost, dict):
        found["cost_pusd"] = _pusd(cost.get("upstream_usd"))
        found["price_msat"] = outside.count(cost.get("price_msat"))
    return found


def _pusd(said: object) -> int | None:
    try:
        return pusd_from_text(str(said))
    except ValueError:
        return None
