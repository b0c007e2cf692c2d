"""An upstream under test and the other side of it, and the few moves its suite is made of.

The bench keeps the *other side's* book, so that what the port says about charges can be compared
with what was really charged.
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import Protocol

import orjson

from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import CostNotYetKnown
from cobot_meter.domain.upstream.completions import (
    GenerationCost,
    Model,
    UpstreamCall,
    UpstreamCompletion,
)
from cobot_meter.ports.upstream import AnswerFeed, Upstream
from tests.contracts.upstream.answer_feeds import whole

PROMPT = "Say in one sentence why Lightning invoices expire."
LOOKUPS_MAX = 30


class Ending(StrEnum):
    """How a run can be told to end."""

    REFUSED = auto()  # answered with an error before anything ran
    FAILS_FREE = auto()  # begins, fails, is not charged
    FAILS_CHARGED = auto()  # begins, fails, says what it cost
    LOST_NAMED = auto()  # runs and is charged; the answer breaks off after its id came through
    LOST_NAMELESS = auto()  # runs and is charged; nothing comes back at all
    LATE_RECORD = auto()  # completes, and its record appears only after `time_passes`


class UpstreamBench(Protocol):
    """An upstream, and the other side of it."""

    @property
    def upstream(self) -> Upstream:
        """The one under test."""

    @property
    def model(self) -> Model:
        """A priced model of its list."""

    async def time_passes(self) -> None:
        """Let a late record come nearer."""


class ScriptedBench(UpstreamBench, Protocol):
    """A bench whose upstream does as it is told, and whose book can be read."""

    @property
    def dead(self) -> Upstream:
        """One that nobody answers for."""

    @property
    def locked_out(self) -> Upstream:
        """One whose key is not accepted."""

    async def next_ends(self, ending: Ending) -> None:
        """Tell how the next run ends."""

    async def next_is_cut(self, *, after: int) -> None:
        """The next answer breaks off after so many of its events, or not if it has fewer."""

    async def next_dawdles(self) -> None:
        """The next answer goes on for longer than anybody waits, event by event."""

    async def left(self) -> int:
        """How many dawdling answers the other side has given up, since nobody read on."""

    async def spent_pusd(self) -> int:
        """What the other side's book says it has charged."""

    async def posts(self) -> int:
        """How many runs were asked for."""


class Heard:
    """An `on_started` that remembers."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.ids: list[str] = []
        self._fault = fault

    async def __call__(self, generation_id: str) -> None:
        self.ids.append(generation_id)
        if self._fault:
            raise self._fault


def ask(model: Model, *, prompt: str = PROMPT, max_tokens: int = 64) -> UpstreamCall:
    """A request as the validation hands it on."""
    messages = [{"role": "user", "content": prompt}]
    return UpstreamCall(
        body=Body(orjson.dumps({"model": model.model_id, "messages": messages})),
        model=model.model_id,
        max_tokens=max_tokens,
        caller_tag="c_0123",
    )


async def run(bench: UpstreamBench, heard: Heard | None = None) -> UpstreamCompletion:
    """One run at the model's own price."""
    return await whole(feed(bench, heard))


def feed(bench: UpstreamBench, heard: Heard | None = None) -> AnswerFeed:
    """The same, of which nothing is sent before it is read."""
    return bench.upstream.complete(
        ask(bench.model), price_cap=bench.model.price, on_started=heard or Heard()
    )


async def confirmed(bench: UpstreamBench, generation_id: str) -> GenerationCost:
    """The record, asked for until it is there."""
    for _ in range(LOOKUPS_MAX):
        try:
            return await bench.upstream.generation_cost(
                generation_id, upstream=bench.model.upstream
            )
        except CostNotYetKnown:
            await bench.time_passes()
    raise AssertionError(f"no record of {generation_id} after {LOOKUPS_MAX} look-ups")
