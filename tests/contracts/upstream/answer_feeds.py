"""Answers as feeds: reading one to its end, and the pieces of one that is written in a test."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

import orjson

from cobot_meter.domain.upstream.completions import UpstreamCompletion
from cobot_meter.domain.upstream.deltas import Delta, Deltas
from cobot_meter.ports.upstream import AnswerFeed

TEXTS = ("content", "reasoning", "reasoning_content", "refusal")


async def whole(answer: AnswerFeed) -> UpstreamCompletion:
    """Its summary, which must be its last item."""
    found: UpstreamCompletion | None = None
    async with contextlib.aclosing(answer):
        async for said in answer:
            assert found is None
            found = said if isinstance(said, UpstreamCompletion) else None
    assert found is not None
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FakePiece:
    """One piece: the delta at this place of them all."""

    head: Mapping[str, object]
    every: tuple[Delta, ...]
    at: int
    size: int = 64
    said_bytes: int = 0
    stops: bool = False

    @property
    def ended(self) -> bool:
        return self.every[self.at].finish_reason is not None

    def cut(self) -> UpstreamCompletion:
        message = {"role": "assistant", **self.so_far().deltas[0].said}
        choice = {"index": 0, "logprobs": None, "finish_reason": "length", "message": message}
        document = {"object": "chat.completion", **self.head, "choices": [choice]}
        return UpstreamCompletion(
            generation_id=str(self.head["id"]),
            body=orjson.dumps(document),
            inline_cost=None,
            finish_reason="length",
            prompt_tokens=0,
            completion_tokens=0,
        )

    def deltas(self) -> Deltas:
        return Deltas(self.head, (self.every[self.at],))

    def so_far(self) -> Deltas:
        return Deltas(self.head, (joined(self.every[: self.at + 1]),))


def spoken(
    text: str,
    *,
    head: Mapping[str, object],
    finish_reason: str | None = None,
    usage: Mapping[str, object] | None = None,
    stops: bool = False,
) -> Iterator[FakePiece]:
    """A text word by word, and then why it ended, if it did."""
    *words, last = text.split(" ")
    deltas = [Delta({"content": f"{word} "}) for word in words] + [Delta({"content": last})]
    if finish_reason is not None:
        deltas.append(Delta(finish_reason=finish_reason, usage=usage))
    every = tuple(deltas)
    sizes = itertools.accumulate(len(str(one.said.get("content", "")).encode()) for one in every)
    for at, size in enumerate(sizes):
        yield FakePiece(head=head, every=every, at=at, said_bytes=size, stops=stops)


def joined(deltas: Iterable[Delta]) -> Delta:
    """As whoever reads a stream puts it together: texts and calls grow, of all else the last."""
    return reduce(_join, deltas, Delta())


def _join(known: Delta, more: Delta) -> Delta:
    said = dict(known.said)
    for name, value in more.said.items():
        if name == "tool_calls":
            said[name] = _calls(said.get(name, []), value)
        else:
            said[name] = said[name] + value if name in said else value  # type: ignore[operator]
    return Delta(
        said,
        more.finish_reason or known.finish_reason,
        more.native_finish_reason or known.native_finish_reason,
        more.logprobs or known.logprobs,
        more.usage or known.usage,
    )


def _calls(known: object, more: object) -> list[dict[str, object]]:
    """By their index, their id and type once, name and arguments joined: as OpenAI's SDK does."""
    assert isinstance(known, list)
    assert isinstance(more, list)
    calls: list[dict[str, object]] = [dict(call) for call in known]
    for piece in more:
        while len(calls) <= piece["index"]:
            calls.append({"index": len(calls), "function": {"name": "", "arguments": ""}})
        call = calls[piece["index"]]
        function: dict[str, str] = dict(call["function"])
        for name, text in piece["function"].items():
            function[name] = function.get(name, "") + text
        assert not ("id" in call and "id" in piece), "an id is said once"
        calls[piece["index"]] = {**call, **piece, "function": function}
    return calls
