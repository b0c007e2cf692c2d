"""What an answer is made of: steps that `completions` plays to its reader.

Must not know: sockets, or which answer it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from openrouter_simulator.answers.runs import RunEnd


@dataclass(frozen=True, slots=True)
class Head:
    """Send status and headers; `length` is the body's, when it is known and told."""

    content_type: bytes
    length: int | None = None


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
