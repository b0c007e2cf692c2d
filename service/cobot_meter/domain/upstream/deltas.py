"""An answer as it comes: what each event adds to it, as plain values that have passed the gate.

They are enough to write a `chat.completion.chunk` for whoever reads a stream. What is billed is
not among them: that is the summary's (`completions.UpstreamCompletion`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

Document = Mapping[str, object]

NOTHING: Document = MappingProxyType({})


class Delta(NamedTuple):
    """What one event adds.

    `said` is the `delta` object of OpenAI's chunk without the role, which is always `assistant`:
    texts (`content`, `reasoning`, `reasoning_content`, `refusal`) are pieces to be joined; of
    `tool_calls` each piece names the place of its call as `index`, and its id and the pieces of its
    name once. The others are None where the event says nothing of them; `usage` is as the upstream
    says it, for reading and not for billing.
    """

    said: Document = NOTHING
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    logprobs: Document | None = None
    usage: Document | None = None


class Deltas(NamedTuple):
    """What came at once, in order. `head` is what every chunk repeats: id, model and the like.

    `anew` says that all that came before is void, because another attempt answers.
    """

    head: Document = NOTHING
    deltas: tuple[Delta, ...] = ()
    anew: bool = False
