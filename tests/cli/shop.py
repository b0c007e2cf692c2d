"""A service that has sold something, in a data directory, and the command line to look at it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from cobot_meter.cli.demo.agent import Agent, Order, Purchase
from cobot_meter.cli.main import command_line
from cobot_meter.wiring.app import Running, running_service
from cobot_meter.wiring.settings.settings import read_settings
from cobot_pay import DevWallet
from tests.architecture.source_tree import ROOT
from tests.end_to_end.live import free_port
from tests.wiring.patience import answered

MODEL = "anthropic/claude-haiku-4.5"
OPEN_S = 24 * 3_600  # a shop is made once for a worker, and looked at until its last test


@dataclass(frozen=True, slots=True)
class CommandLine:
    """`cobot-meter` with settings of its own."""

    environ: Mapping[str, str]

    def run(self, *words: str, **more: str) -> Result:
        """One command in this process; anything but an exit is raised."""
        environ = {**dict.fromkeys(_foreign(), None), **self.environ, **more}
        result = CliRunner().invoke(command_line(), list(words), env=environ)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def read(self, *words: str) -> Any:  # noqa: ANN401 - any JSON
        """What one command prints with --json."""
        return json.loads(self.run(*words, "--json").stdout)

    def spawn(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """One command in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "cobot_meter", *words],
            env={**_plain_environ(), **self.environ, **more},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def command_line_in(folder: Path) -> CommandLine:
    """With the data in `folder`, on ports that nobody has."""
    ports = ("LISTEN", "SIMULATOR_LISTEN", "NODE_LISTEN")
    settings = {
        "DATA_DIR": str(folder),
        "METRICS_LISTEN": "off",
        "INVOICE_EXPIRY_S": str(OPEN_S),
        "SIMULATOR_LAG_S": "0",
        "SIMULATOR_LATENCY_S": "0",
        "LOG_LEVEL": "error",
        **{port: f"127.0.0.1:{free_port()}" for port in ports},
    }
    return CommandLine({f"COBOT_METER_{name}": value for name, value in settings.items()})


@contextlib.asynccontextmanager
async def selling(commands: CommandLine) -> AsyncIterator[tuple[Running, Agent]]:
    """The service of these settings, ready, and an agent that buys from it."""
    async with running_service(read_settings(commands.environ)) as running:
        await answered(running.service.flows.catalogue.refresh)
        await answered(running.service.flows.operating.compare_costs.baseline)
        agent = Agent(service_url=running.face.url, wallet=DevWallet(running.play_wallet_url))
        try:
            yield running, agent
        finally:
            await agent.aclose()


def order(prompt: str) -> Order:
    """An ask that costs more than a satoshi."""
    return Order(title="", model=MODEL, prompt=prompt, max_tokens=600)


async def one_sold_one_open(agent: Agent) -> tuple[Purchase, Purchase]:
    """One completion bought, one left unpaid."""
    sold = await agent.buy(order("Write 200 words on ledgers."))
    return sold, await agent.only_ask(order("Write 300 words on invoices."))


def closed_shop(folder: Path) -> CommandLine:
    """A data directory that a service has sold from; the service is gone."""

    async def sell() -> None:
        async with selling(commands) as (_, agent):
            await one_sold_one_open(agent)

    commands = command_line_in(folder)
    asyncio.run(sell())
    return commands


def _foreign() -> list[str]:
    return [name for name in os.environ if name.startswith("COBOT_METER_")]


def _plain_environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _foreign()}
