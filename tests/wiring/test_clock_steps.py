"""The whole service on a clock that is set while it runs and while it does not."""

from __future__ import annotations

from pathlib import Path

from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.cli.demo.agent import Agent
from cobot_meter.wiring.app import Running, running_service
from cobot_meter.wiring.settings.settings import read_settings
from cobot_pay import DevWallet
from tests.cli.shop import CommandLine, command_line_in, order
from tests.wiring.patience import answered

HOUR_MS = 3_600_000
MONTH_MS = 31 * 24 * HOUR_MS


class SetClock(SystemClock):
    """The machine's clock, and somebody who sets it."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


async def sold(running: Running, prompt: str) -> str:
    """Ask, pay and receive over HTTP; the escrow."""
    agent = Agent(service_url=running.face.url, wallet=DevWallet(running.play_wallet_url))
    try:
        purchase = await agent.buy(order(prompt))
    finally:
        await agent.aclose()
    escrow_id: str = purchase.escrow["id"]
    return escrow_id


async def test_a_clock_that_is_set_while_it_runs_stops_no_sale(tmp_path: Path) -> None:
    """Two hours forward, an hour back, a month forward: the next ask is sold each time."""
    commands, clock = command_line_in(tmp_path / "data"), SetClock()
    async with running_service(read_settings(commands.environ), clock=clock) as running:
        await answered(running.service.flows.catalogue.refresh)
        await sold(running, "Write 200 words on clocks.")
        for number, step_ms in enumerate((2 * HOUR_MS, -HOUR_MS, MONTH_MS, -MONTH_MS)):
            clock.ahead_ms += step_ms
            escrow_id = await sold(running, f"Write 20{number} words on clocks.")
            row = await running.service.parts.books.escrow(escrow_id)
            assert row is not None
            assert row.state.value == "released"
    assert commands_audit(commands) == 0


async def test_a_month_forward_over_a_restart_takes_no_answer_away(tmp_path: Path) -> None:
    """What was bought before is still kept after it: the same bytes for the same token."""
    commands, clock = command_line_in(tmp_path / "data"), SetClock()
    async with running_service(read_settings(commands.environ), clock=clock) as running:
        await answered(running.service.flows.catalogue.refresh)
        escrow_id = await sold(running, "Write 200 words on calendars.")
    clock.ahead_ms = MONTH_MS
    async with running_service(read_settings(commands.environ), clock=clock) as running:
        books, recover = running.service.parts.books, running.service.flows.recover
        await recover.due(running.service.flows.steady_clock.timers_ms())
        await running.service.flows.runs.drain(10.0)
        row = await books.escrow(escrow_id)
        assert row is not None
        assert row.keep_until_ms is not None
        assert await books.bodies(escrow_id) is not None
        assert running.service.flows.steady_clock.parted


def commands_audit(commands: CommandLine) -> int:
    """The exit code of an audit of these books."""
    return commands.spawn("audit").returncode
