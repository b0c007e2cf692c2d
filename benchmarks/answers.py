"""What an event of a streamed answer costs: read bare, by a run that nobody follows, and followed.

No sockets: the adapter reads chunks that are there already, an event in each as a slow model sends
them, or all in one as a fast one does. The bare side looks for the ends of events, reads their JSON
and joins their texts; it knows of no cut, no error, no tool call and no gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from statistics import median
from typing import cast

import httpx
import orjson
import uvloop

from benchmarks.rig.mock_upstream import stream_events
from benchmarks.rig.sizes import Size
from benchmarks.rig.tables import Bar, bars, ratios, spread, table
from cobot_meter.adapters.upstreams.chat_posts import AnswerReading
from cobot_meter.adapters.upstreams.openrouter.wire import DIALECT
from cobot_meter.background.run_feed import RunFeed
from cobot_meter.flows.answer.read_answer import read_answer
from cobot_meter.ports.upstream import AnswerFeed

NAME = "answers"
UNFOLLOWED_BAR, FOLLOWED_BAR = 5.0, 2.5
GENERATION = "gen-000000000001"
BYTES_MAX, WITHIN_S = 8 * 1_024 * 1_024, 300.0

Side = Callable[[list[bytes]], Awaitable[None]]


class Chunks:
    """A response of these chunks, as far as the adapter looks at it."""

    def __init__(self, chunks: list[bytes]) -> None:
        """They are all there."""
        self._chunks = chunks

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        """One after the other."""
        for chunk in self._chunks:
            yield chunk


def measure(size: Size) -> str:
    """The table of this benchmark."""
    return uvloop.run(_measured(size))


async def _measured(size: Size) -> str:
    events = [event.replace(b"#" * len(GENERATION), GENERATION.encode()) for event in _events()]
    rows: list[tuple[str, str]] = []
    found: list[Bar] = []
    for how, chunks in (("an event a read", events), ("all in one read", [b"".join(events)])):
        took: dict[str, list[float]] = {name: [] for name in SIDES}
        for _ in range(size.rounds):
            for name, side in SIDES.items():
                took[name].append(await _event_us(side, chunks, len(events), size.service_cycles))
        rows += [(f"{how}: {name}", spread(values, 2)) for name, values in took.items()]
        unfollowed = ratios(took[UNFOLLOWED], took[BARE])
        followed = ratios(took[FOLLOWED], took[UNFOLLOWED])
        found += [
            Bar(
                what=f"{how}: {UNFOLLOWED} / {BARE}", value=median(unfollowed), limit=UNFOLLOWED_BAR
            ),
            Bar(
                what=f"{how}: {FOLLOWED} / {UNFOLLOWED}", value=median(followed), limit=FOLLOWED_BAR
            ),
        ]
    return "\n\n".join((table(("reading an answer", "CPU µs an event"), rows), bars(found)))


def _events() -> list[bytes]:
    return [b"data: %b\n\n" % frame for frame in stream_events()]


async def _event_us(side: Side, chunks: list[bytes], events: int, count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        await side(chunks)
    return (time.process_time() - began) / count / events * 1e6


async def _bare(chunks: list[bytes]) -> None:
    texts: list[str] = []
    rest = b""
    async for chunk in Chunks(chunks).aiter_raw():
        *events, rest = (rest + chunk).split(b"\n\n")
        for event in events:
            if event != b"data: [DONE]":
                choices = orjson.loads(event[6:])["choices"]
                texts.append(choices[0]["delta"]["content"])
    orjson.dumps({"id": GENERATION, "content": "".join(texts)})


async def _unfollowed(chunks: list[bytes]) -> None:
    await read_answer(_answer(chunks), RunFeed())


async def _followed(chunks: list[bytes]) -> None:
    feed = RunFeed()
    follower = feed.follow()
    if follower is None:
        raise RuntimeError("a feed that has not begun is over")
    async with contextlib.aclosing(follower):
        run = asyncio.ensure_future(read_answer(_answer(chunks), feed))
        async for _ in follower:
            pass
        await run


async def _answer(chunks: list[bytes]) -> AnswerFeed:
    reading = AnswerReading(
        cast("httpx.Response", Chunks(chunks)),
        generation_id=GENERATION,
        deadline=asyncio.get_running_loop().time() + WITHIN_S,
        bytes_max=BYTES_MAX,
        dialect=DIALECT,
    )
    with contextlib.closing(reading):
        await reading.begin(_named)
        while (piece := await reading.next()) is not None:
            yield piece
        completion = await reading.completion()
    yield completion


async def _named(_generation_id: str) -> None:
    """It was known."""


BARE, UNFOLLOWED, FOLLOWED = "bare", "nobody follows", "one follows"
SIDES: dict[str, Side] = {BARE: _bare, UNFOLLOWED: _unfollowed, FOLLOWED: _followed}
