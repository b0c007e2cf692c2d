"""Each scenario once from a real cobot, unmodified, with our plugin: its own process and home.

All buy from one service, whose books say what became of each line that a cobot was told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.routing.stored import read_stored
from cobot_meter.wiring.settings.panel import DEFAULT as DEFAULT_PANEL
from deploy.cobots.real_cobot import COBOT
from deploy.scenarios.bench_answers import known_answers
from deploy.scenarios.review_answers import reviews
from deploy.scenarios.stage import Stage, open_stage
from examples.caller import Caller
from examples.graceful_degradation import CHAIN
from examples.multi_model_consensus import CHANGE
from tests.cli.shop import CommandLine
from tests.end_to_end.agents.buying_cobots import BuyingCobot, Said
from tests.end_to_end.agents.foreign_agents import needed

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.foreign_clients,
    pytest.mark.slow,
    pytest.mark.xdist_group("real_cobot"),
]
AT_ONCE = {"SIMULATOR_LAG_S": "0", "SIMULATOR_LATENCY_S": "0"}
CHEAP, DEAR = "mistralai/mistral-small-2603", "openai/gpt-5-mini"
POLL_S, TRIES = 0.05, 1_200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One service for all cobots."""
    needed(COBOT)
    async with open_stage(tmp_path_factory.mktemp("stage"), **AT_ONCE) as stage:
        yield stage


@dataclass(frozen=True, slots=True)
class Bought:
    """What a cobot said, and the sales since it was started, oldest first."""

    said: Said
    sales: list[Escrow]


def cobot_at(stage: Stage, folder: Path, **meter: object) -> BuyingCobot:
    """A cobot with these lines in the plugin's block of its `cobot.yml`."""
    ours = {"url": f"{stage.face}/v1", "wallet": "development"}
    node = {"node": stage.running.play_wallet_url}
    # A simulated model takes the first tool whose name it hears.
    return BuyingCobot(folder / "cobot", {**ours, **node, **meter}, without=("tools",))


async def key_at(stage: Stage, sat: int) -> str:
    """A prepaid key with so much credit."""
    caller = stage.caller()
    try:
        key, _ = await asyncio.to_thread(caller.buy_key, "cobot", sat)
    finally:
        caller.close()
    return key


async def sales_at(stage: Stage) -> list[Escrow]:
    """Every sale, oldest first."""
    async with stage.running.service.parts.reports.snapshot() as reports:
        return [escrow async for escrow in reports.escrows()][::-1]


async def bought(stage: Stage, cobot: BuyingCobot, *lines: str) -> Bought:
    """Say these lines to it, one after the other."""
    before = len(await sales_at(stage))
    said = await cobot.hears(*lines)
    assert said.code == 0, said.log
    return Bought(said, (await sales_at(stage))[before:])


async def test_a_cobot_leaves_the_choice_to_the_service(stage: Stage, tmp_path: Path) -> None:
    """`model: cobot/auto` and `task: code` in its cobot.yml: the task's model answers."""
    cobot = cobot_at(stage, tmp_path, model="cobot/auto", task="code")
    done = await bought(stage, cobot, "About harbours.")
    assert "harbours" in done.said.text, done.said.log
    (sale,) = done.sales
    decision = read_stored(str(sale.route)).decision
    assert (decision.task, decision.task_source) == ("code", "declared")
    assert decision.model == sale.quote.model == "deepseek/deepseek-chat"


async def test_a_cobots_chain_degrades(stage: Stage, tmp_path: Path) -> None:
    """A list under `model`: two are broken, the third answers, and there is one sale."""
    cobot = cobot_at(stage, tmp_path, model=list(CHAIN), api_key=await key_at(stage, 100))
    await stage.set_faults({"by_model": {CHAIN[0]: "status_503", CHAIN[1]: "reset_mid_stream"}})
    try:
        done = await bought(stage, cobot, "About harbours.")
    finally:
        await stage.set_faults({"clear": True})
    assert "harbours" in done.said.text, done.said.log
    (sale,) = done.sales
    assert sale.fallback is None or sale.fallback.asked_model == CHAIN[0]
    runs = await stage.running.service.parts.books.runs_of(sale.escrow_id)
    assert [run.state.value for run in runs] == ["failed", "failed", "costed"]


async def test_a_cobot_hears_a_panel(stage: Stage, tmp_path: Path) -> None:
    """`model: cobot/consensus:review`: what all say, what one says, and one sale of three runs."""
    cobot = cobot_at(
        stage, tmp_path, model="cobot/consensus:review", api_key=await key_at(stage, 300)
    )
    given = reviews(DEFAULT_PANEL)
    await stage.give_answers(given)
    try:
        done = await bought(stage, cobot, CHANGE.replace("\n", " "))
    finally:
        await stage.give_answers({model: {} for model in given})
    assert "Agreed by all" in done.said.text, done.said.log
    assert "allowed all the same" in done.said.text
    (sale,) = done.sales
    assert sale.mode is Mode.PANEL
    runs = await stage.running.service.parts.books.runs_of(sale.escrow_id)
    assert [run.state.value for run in runs] == ["costed"] * 3


async def test_a_private_cobot_asks_nobody_outside(stage: Stage, tmp_path: Path) -> None:
    """`privacy: local`: the machine's own model answers, and the simulator has no run of it."""
    cobot = cobot_at(stage, tmp_path, model="cobot/auto", privacy="local")
    asked_here = stage.ollama.posts
    done = await bought(stage, cobot, "What did my doctor write?")
    assert "hold a price" in done.said.text, done.said.log
    assert [sale.run.upstream for sale in done.sales] == ["ollama"]
    assert stage.ollama.posts == asked_here + 1


async def test_a_cobots_key_has_a_day(stage: Stage, tmp_path: Path) -> None:
    """Premium, then middle as its owner's budget empties; when that is spent it says so."""
    caller = stage.caller()
    key, key_id = await asyncio.to_thread(caller.buy_key, "cobot", 300)
    await asyncio.to_thread(set_day, caller, key_id, 100)
    cobot = cobot_at(stage, tmp_path, model="cobot/auto", task="reasoning", api_key=key)
    before = len(await sales_at(stage))
    process = cobot.start()
    assert process.stdin is not None
    for number in (1, 2):
        process.stdin.write("Write a report of 1900 words on tides.\n")
        process.stdin.flush()
        await until_sold(stage, before + number)
    await asyncio.to_thread(set_day, caller, key_id, 10)
    last = "And one word on wind.\n"
    text, log = await asyncio.to_thread(process.communicate, last, timeout=60)
    tiers = [
        read_stored(str(one.route)).decision.choice.tier.word
        for one in (await sales_at(stage))[before:]
    ]
    assert tiers == ["premium", "middle"], log
    assert "a budget at the service is spent" in text, text + log
    assert "it begins anew at" in text
    caller.close()


async def until_sold(stage: Stage, count: int) -> None:
    """Until there are so many sales with a price."""
    for _ in range(TRIES):
        if sum(one.price_msat > 0 for one in await sales_at(stage)) >= count:
            return
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"there are no {count} sales")


def set_day(caller: Caller, key_id: str, sat: int) -> None:
    """The owner's budget for the key, a day."""
    day = {"scope": "key", "key": key_id, "period": "day", "amount_sat": sat}
    caller.http.put("/v1/budgets", json={"budgets": [day]}).raise_for_status()


async def test_a_cobot_buys_by_what_was_measured(stage: Stage, tmp_path: Path) -> None:
    """A benchmark run through the till makes the table by which a cobot's model is chosen."""
    items = 20
    key = await key_at(stage, 500)
    await stage.give_answers(known_answers({DEAR: items}, items=items))
    settings = {"PUBLIC_URL": stage.face, "BENCH_KEY": key, "DATA_DIR": str(tmp_path / "bench")}
    line = CommandLine({f"COBOT_METER_{name}": value for name, value in settings.items()})
    words = ("--models", f"{CHEAP},{DEAR}", "--items", str(items))
    done = await asyncio.to_thread(line.run, "bench", "run", *words)
    assert done.exit_code == 0, done.output
    await stage.give_answers({DEAR: {}})
    table = tmp_path / "table.json"
    made = await asyncio.to_thread(
        line.run, "bench", "table", "--only-measured", "--out", str(table)
    )
    assert made.exit_code == 0, made.output
    more = {**AT_ONCE, "ROUTING_TABLE": str(table)}
    async with open_stage(tmp_path / "measured", **more) as measured:
        cobot = cobot_at(measured, tmp_path, model="cobot/auto", task="maths")
        bought_there = await bought(measured, cobot, "About harbours.")
    assert "harbours" in bought_there.said.text, bought_there.said.log
    (sale,) = bought_there.sales
    decision = read_stored(str(sale.route)).decision
    assert decision.model == DEAR
    assert {one.model_id for one in decision.considered} == {CHEAP, DEAR}
