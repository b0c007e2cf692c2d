"""`demo`: all parts in one process, three purchases, and books that balance.

Needs no settings, keeps its data in a temporary directory, and leaves nothing behind. Must not
know: how anything looks (`story.py`), or how an agent pays (`agent.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
import time
from pathlib import Path

import httpx
import typer
from rich.console import Console

from cobot_meter.cli.demo.agent import NS_PER_MS, TIMEOUT_S, Agent, Order, Purchase
from cobot_meter.cli.demo.story import BooksShown, tell_begin, tell_books, tell_lapse, tell_purchase
from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.cli.lookup import find_caller
from cobot_meter.cli.terminal import run, terminal_of
from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.wiring.app import Running, running_service
from cobot_meter.wiring.logs import set_up_logs
from cobot_meter.wiring.operator_offline import build_audit
from cobot_meter.wiring.settings.addresses import Address
from cobot_meter.wiring.settings.settings import Settings, read_settings
from cobot_pay.dev_wallet import DevWallet

HOST = "127.0.0.1"
PORTS = {"LISTEN": 8402, "SIMULATOR_LISTEN": 8403, "NODE_LISTEN": 8404}
PACE = {
    "INVOICE_EXPIRY_S": "3",
    "DUE_INTERVAL_S": "0.2",
    "SWEEP_INTERVAL_S": "0.5",
    "COMPARE_INTERVAL_S": "0.5",
    "SIMULATOR_LAG_S": "0.3",
    "LOG_LEVEL": "error",
    "METRICS_LISTEN": "off",
}
LAPSES_WITHIN = 3
TERMINATED = 143
ENTRIES = 100
ORDERS = (
    Order(
        title="A small completion",
        model="mistralai/mistral-small-2603",
        prompt="Two sentences, please, on preimages, payment hashes and invoices.",
        max_tokens=120,
    ),
    Order(
        title="A large one, from a dearer model",
        model="anthropic/claude-sonnet-5",
        prompt="Write a detailed report of 500 words on metering the work of AI agents.",
        max_tokens=1_200,
    ),
)
UNPAID = Order(
    title="One that is never paid",
    model="anthropic/claude-haiku-4.5",
    prompt="Write 300 words on invoices that expire before anybody pays them.",
    max_tokens=700,
)


def demo(context: typer.Context) -> None:
    """Watch an agent buy two completions and let a third lapse; exit 0 when the books balance."""
    out = terminal_of(context).told_narrow()
    books: BooksShown | None = None
    try:
        books = _played(out)
    except* SettingInvalid:
        pass  # somebody listens where a service does by default
    if books is None:
        books = _played(out, anywhere=True)
    tell_books(out, books)
    if not books.balanced:
        raise typer.Exit(ExitCode.FINDING)


def _played(out: Console, *, anywhere: bool = False) -> BooksShown:
    with tempfile.TemporaryDirectory(prefix="cobot-meter-") as folder:
        settings = demo_settings(Path(folder), anywhere)
        set_up_logs(settings.run.log_level)
        try:
            return run(_play(out, settings))
        except asyncio.CancelledError:
            raise typer.Exit(TERMINATED) from None


async def _play(out: Console, settings: Settings) -> BooksShown:
    end_in_order_when_terminated()
    with out.status("starting the simulated OpenRouter, the node and the service"):
        async with contextlib.AsyncExitStack() as stack:
            running = await stack.enter_async_context(running_service(settings))
            agent = Agent(service_url=running.face.url, wallet=DevWallet(running.play_wallet_url))
            stack.push_async_callback(agent.aclose)
            await until_ready(running)
            opened = stack.pop_all()
    async with opened:
        simulator = running.simulator or settings.upstream.simulator_listen
        tell_begin(
            out, face=running.face.url, simulator=simulator.url, node=running.play_wallet_url
        )
        await trade(out, agent)
        with out.status("reading the books"):
            return await read_books(running, await agent.caller_id(), simulator)


def end_in_order_when_terminated() -> None:
    """SIGTERM cancels the story, so that every part is stopped and the directory removed."""
    story = asyncio.current_task()
    if story is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, story.cancel)


async def until_ready(running: Running) -> None:
    """The price list and the first reading of the upstream's usage come before the first ask."""
    await running.service.flows.catalogue.refresh()
    await running.service.flows.operating.compare_costs.baseline()


async def trade(out: Console, agent: Agent) -> list[Purchase]:
    """Buy what there is to buy, let the last one lapse, and tell each step; returns the bought."""
    bought = []
    for number, order in enumerate(ORDERS, start=1):
        with out.status(f"asking {order.model}"):
            bought.append(await agent.buy(order))
        tell_purchase(out, number, bought[-1])
    await _let_lapse(out, agent)
    return bought


async def _let_lapse(out: Console, agent: Agent) -> None:
    with out.status(f"asking {UNPAID.model}"):
        asked = await agent.only_ask(UNPAID)
    tell_purchase(out, len(ORDERS) + 1, asked)
    began = time.perf_counter_ns()
    with out.status("waiting until the invoice expires"):
        state = await _end_of(agent, asked)
    tell_lapse(out, state=state, waited_ms=(time.perf_counter_ns() - began) // NS_PER_MS)


async def _end_of(agent: Agent, asked: Purchase) -> str:
    state = "invoiced"
    for _ in range(LAPSES_WITHIN):
        state = await agent.state_of(asked.escrow["id"])
        if state != "invoiced":
            break
    return state


async def read_books(running: Running, caller_id: str, simulator: Address) -> BooksShown:
    """What the service's own reports say, and what the simulator charged."""
    parts = running.service.parts
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
        charged = (await http.get(f"{simulator.url}/control/book")).json()["spent_usd"]
    audit = build_audit(parts.reports, node=lambda: parts.node, upstream=parts.upstream)
    async with parts.reports.snapshot() as reports:
        return BooksShown(
            caller=await find_caller(reports, caller_id),
            entries=await reports.statement(caller_id, before=None, limit=ENTRIES),
            balances=await reports.trial_balance(),
            report=await audit.audit(),
            credit_drop_pusd=pusd_from_text(charged),
        )


def demo_settings(folder: Path, anywhere: bool = False, /, **more: str) -> Settings:
    """Settings of the demonstration's own, whatever the environment says, `more` without prefix.

    It listens where a service does by default, or `anywhere`.
    """
    listening = {name: f"{HOST}:{0 if anywhere else port}" for name, port in PORTS.items()}
    chosen = {"DATA_DIR": str(folder), **listening, **PACE, **more}
    return read_settings({f"COBOT_METER_{name}": value for name, value in chosen.items()})
