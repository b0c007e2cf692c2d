"""`make demo-scenarios`: the seven scenarios of `examples/` on one embedded service, and its books.

Each is the example's own code; the tour breaks what has to be broken, and lays out what it says.
`RECORD=1` makes a picture of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cobot_meter.cli.demo.agent import NS_PER_MS
from cobot_meter.cli.demo.demo import TERMINATED, end_in_order_when_terminated
from cobot_meter.cli.demo.story import steps
from cobot_meter.cli.terminal import open_terminal, run
from cobot_pay import L402Error
from deploy.scenarios.bench_answers import known_answers
from deploy.scenarios.books import ScenarioBooks, read_scenario_books
from deploy.scenarios.review_answers import reviews
from deploy.scenarios.stage import Stage, open_stage
from examples.budget_aware import budget_aware
from examples.caller import Caller
from examples.cobot_pays_cobot import cobot_pays_cobot
from examples.graceful_degradation import CHAIN, graceful_degradation
from examples.model_benchmarks import ITEMS, MODELS, model_benchmarks
from examples.multi_model_consensus import PANEL, multi_model_consensus
from examples.private_requests import private_requests
from examples.smart_routing import smart_routing

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "scenarios.svg"
WIDTH = 100
# A picture in a README loads nothing, least of all fonts from elsewhere.
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One of the seven, how models of the simulator fail meanwhile, and what they know."""

    title: str
    play: Callable[[Caller], None]
    failing: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def prepared(self, stage: Stage) -> AsyncIterator[None]:
        """The simulator is as it has to be, and afterwards as it was."""
        await stage.set_faults({"by_model": dict(self.failing)})
        await stage.give_answers(self.answers)
        try:
            yield
        finally:
            await stage.set_faults({"clear": True})
            await stage.give_answers({model: {} for model in self.answers})


SCENARIOS = (
    Scenario(title="1. Cobot pays cobot", play=cobot_pays_cobot),
    Scenario(title="2. Smart task routing", play=smart_routing),
    Scenario(
        title="3. Graceful degradation: Claude is down, Gemini breaks off",
        play=graceful_degradation,
        failing={CHAIN[0]: "status_503", CHAIN[1]: "reset_mid_stream"},
    ),
    Scenario(
        title="4. Multi-model consensus: three review one change",
        play=multi_model_consensus,
        answers=reviews(PANEL),
    ),
    Scenario(title="5. Budget-aware operation", play=budget_aware),
    Scenario(title="6. Privacy-tiered routing", play=private_requests),
    Scenario(
        title="7. Model benchmarking: of ten answers one model knows six, the other nine",
        play=model_benchmarks,
        answers=known_answers({MODELS[0]: 6, MODELS[1]: 9}, items=ITEMS),
    ),
)


async def tour(out: Console, stage: Stage) -> ScenarioBooks:
    """All of them, by one caller, and the books behind them. Raises what goes wrong."""
    _tell_begin(out, stage)
    caller = stage.caller()
    try:
        for scenario in SCENARIOS:
            out.print()
            out.print(Text(scenario.title, style="bold"))
            with out.status("asking"):
                told = await played(stage, caller, scenario)
            out.print(told)
        with out.status("reading the books"):
            books = await read_scenario_books(stage, caller)
    finally:
        caller.close()
    out.print()
    out.print(
        Text("The books, a minute later: the upstream has confirmed every cost", style="bold")
    )
    books.tell(out)
    return books


async def played(stage: Stage, caller: Caller, scenario: Scenario) -> Table:
    """One scenario, and what it said, with the time since what it had said before."""
    table, began = steps(), time.perf_counter_ns()

    def say(step: str, words: str) -> None:
        nonlocal began
        now = time.perf_counter_ns()
        table.add_row(step, words, f"{(now - began) // NS_PER_MS:,} ms")
        began = now

    caller.say = say
    async with scenario.prepared(stage):
        await asyncio.to_thread(scenario.play, caller)
    return table


def _tell_begin(out: Console, stage: Stage) -> None:
    out.print(Text("cobot-meter: seven scenarios, each with its receipt", style="bold"))
    table = steps()
    table.add_row("service", f"{stage.face}/v1/chat/completions", "")
    table.add_row("upstream", f"{stage.simulator.url}/api/v1 (a simulated OpenRouter)", "")
    table.add_row("here", f"{stage.ollama.url} (a simulated Ollama)", "")
    table.add_row("wallet", f"{stage.running.play_wallet_url}/pay (play money on regtest)", "")
    out.print(table)


async def _played_all(out: Console) -> ScenarioBooks:
    end_in_order_when_terminated()
    with tempfile.TemporaryDirectory(prefix="cobot-meter-") as folder:
        async with open_stage(Path(folder)) as stage:
            return await tour(out, stage)


def main(words: Sequence[str]) -> int:
    """0 when all of it happened and the books balance."""
    recording = "--record" in words
    out = open_terminal(os.environ).told_narrow()
    if recording:
        out = Console(record=True, width=WIDTH, highlight=False, markup=False)
    try:
        books = run(_played_all(out))
    except asyncio.CancelledError:
        return TERMINATED
    except (L402Error, httpx.HTTPError) as failed:
        out.print(Text(str(failed), style="bold red"))
        return 1
    if recording:
        picture = out.export_svg(title="make demo-scenarios")
        PICTURE.write_text(_FONTS.sub("", picture), encoding="utf-8")
    return 0 if books.balanced else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
