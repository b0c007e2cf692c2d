"""Examples that are played at a service under test, with all that callers were told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cobot_meter.domain.escrow.record import Escrow
from deploy.scenarios.stage import Stage
from deploy.scenarios.tour import SCENARIOS, Scenario
from examples.caller import Caller
from tests.cli.shop import CommandLine

PREFIX = "COBOT_METER_"


class WatchedCaller(Caller):
    """Remembers the `cobot` of each answer, and every line that was said."""

    def watch(self) -> WatchedCaller:
        """From now on."""
        self.cobots: list[Mapping[str, Any]] = []
        self.lines: list[tuple[str, str]] = []
        self.say = lambda step, words: self.lines.append((step, words))
        return self

    def keep(self, cobot: Mapping[str, Any]) -> None:
        self.cobots.append(cobot)
        super().keep(cobot)

    def said(self, step: str) -> list[str]:
        """All lines of this step."""
        return [words for name, words in self.lines if name == step]


def scenario_of(name: str) -> Scenario:
    """The one whose example has this name."""
    return next(one for one in SCENARIOS if one.play.__name__ == name)


@dataclass
class Played:
    """A stage on which one caller plays whatever is asked for."""

    stage: Stage
    folder: Path
    caller: WatchedCaller = field(init=False)

    def __post_init__(self) -> None:
        wallet = self.stage.running.play_wallet_url
        self.caller = WatchedCaller(self.stage.face, wallet=wallet, say=print).watch()

    async def play(self, name: str) -> WatchedCaller:
        """The example of this name, under the faults that the tour gives it."""
        scenario = scenario_of(name)
        caller = self.caller.watch()
        async with scenario.prepared(self.stage):
            await asyncio.to_thread(scenario.play, caller)
        return caller

    async def caller_id(self) -> str:
        """Who the service says that it is."""
        credit = await asyncio.to_thread(self.caller.http.get, "/v1/credits")
        return str(credit.json()["cobot"]["caller_id"])

    async def sale(self, generation_id: str) -> Escrow:
        """The row of the sale that sold this generation."""
        books = self.stage.running.service.parts.books
        escrow = await books.escrow_of_generation(await self.caller_id(), generation_id)
        assert escrow is not None
        return escrow

    async def explained(self, body: Mapping[str, object]) -> Any:  # noqa: ANN401 - any JSON
        """What `explain-route` says of this request, with the settings of the stage."""
        path = self.folder / "request.json"
        path.write_text(json.dumps(body))
        settings = {f"{PREFIX}{name}": value for name, value in self.stage.chosen.items()}
        line = CommandLine({**settings, f"{PREFIX}DATA_DIR": str(self.folder)})
        return await asyncio.to_thread(line.read, "explain-route", str(path))
