"""The runner: one run per escrow, owned by the service, drained in order."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from cobot_meter.background.escrow_runner import EscrowRunner
from cobot_meter.background.run_turns import RunBounds
from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.errors import Broken, CallerBlocked, Draining, NodeUnavailable
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.flows.sale.drive_escrow import DriveEscrow
from cobot_meter.ports.escrow_runs import JustOpened, TakeTurn
from tests.fakes.clock import FakeClock


class ScriptedDriver:
    """Drives by a script: waits on a gate, then answers or raises."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.calls: list[str] = []
        self.fault: Exception | None = None

    async def drive(
        self, escrow_id: str, *, just_opened: JustOpened | None = None, run_id: str = ""
    ) -> Escrow:
        self.calls.append(run_id or escrow_id)
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return cast("Escrow", escrow_id)


def runner_of(driver: ScriptedDriver, tasks: asyncio.TaskGroup, faults: list[str]) -> EscrowRunner:
    """A runner on the scripted driver."""
    return EscrowRunner(
        drive_escrow=cast("DriveEscrow", driver),
        tasks=tasks,
        supervisor=Supervisor(clock=FakeClock(), report=faults.append),
        bounds=RunBounds(runs_max=4),
    )


async def test_two_starts_of_one_escrow_are_one_run() -> None:
    """Starting what is already being driven joins that run."""
    driver = ScriptedDriver()
    async with asyncio.TaskGroup() as tasks:
        runner = runner_of(driver, tasks, [])
        first, second = runner.start("esc_1"), runner.start("esc_1")
        await asyncio.sleep(0)
        driver.gate.set()
        assert await first is await second
    assert driver.calls == ["esc_1"]
    assert runner.active == 0


async def test_a_caller_who_stops_waiting_does_not_stop_the_run() -> None:
    """Cancelling a shielded wait leaves the run alone (disconnect)."""
    driver = ScriptedDriver()
    async with asyncio.TaskGroup() as tasks:
        runner = runner_of(driver, tasks, [])
        run = runner.start("esc_1")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.shield(run)
        driver.gate.set()
        assert str(await run) == "esc_1"


async def test_a_fault_reaches_every_waiter_and_ends_nothing_else() -> None:
    """A dependency fault is the run's result; other runs go on."""
    driver = ScriptedDriver()
    faults: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        runner = runner_of(driver, tasks, faults)
        run = runner.start("esc_1")
        driver.fault = NodeUnavailable("down")
        driver.gate.set()
        with pytest.raises(NodeUnavailable):
            await run
        driver.fault = None
        assert str(await runner.start("esc_2")) == "esc_2"
    assert faults == ["escrow run"]


async def test_a_bug_in_one_run_is_broken_for_its_waiters_only() -> None:
    """An unforeseen exception does not end the task group."""
    driver = ScriptedDriver()
    driver.fault = ZeroDivisionError("bug")
    driver.gate.set()
    async with asyncio.TaskGroup() as tasks:
        runner = runner_of(driver, tasks, [])
        with pytest.raises(Broken):
            await runner.start("esc_1")
        driver.fault = None
        assert str(await runner.start("esc_2")) == "esc_2"


async def test_a_run_that_its_sale_left_is_driven_beside_it() -> None:
    """Even the first, which is called as the sale is: neither waits for the other."""
    driver = ScriptedDriver()
    async with asyncio.TaskGroup() as tasks:
        runner = runner_of(driver, tasks, [])
        sale, run = runner.start("esc_1"), runner.start("esc_1", run_id="esc_1")
        assert runner.start("esc_1", run_id="esc_1") is run
        assert runner.start("esc_1") is sale
        assert sale is not run
        await asyncio.sleep(0)
        driver.gate.set()
        await asyncio.gather(sale, run)
    assert driver.calls == ["esc_1", "esc_1"]
    assert runner.active == 0


def just_opened(escrow_id: str) -> JustOpened:
    """What an opening gives; the scripted driver looks at none of it."""
    return cast("JustOpened", f"opened {escrow_id}")


async def test_what_is_opened_is_driven_by_the_same_run() -> None:
    """Joined while it opens, it is one run; with a turn free it is told to begin at once."""
    driver, gate = ScriptedDriver(), asyncio.Event()
    told: list[bool] = []
    driver.gate.set()

    async def opening(*, at_once: TakeTurn) -> JustOpened:
        told.append(at_once(pays=True, address="a"))
        await gate.wait()
        return just_opened("esc_1")

    async with asyncio.TaskGroup() as tasks:
        runner = runner_of(driver, tasks, [])
        run = runner.begin("esc_1", opening)
        await asyncio.sleep(0)
        assert runner.start("esc_1") is run
        gate.set()
        assert str(await run) == "esc_1"
    assert told == [True]
    assert driver.calls == ["esc_1"]


async def test_without_a_free_turn_it_is_opened_and_waits() -> None:
    """Busy runs delay the driving, never the opening, which is told so."""
    driver = ScriptedDriver()
    told: list[bool] = []

    async def opening(*, at_once: TakeTurn) -> JustOpened:
        told.append(at_once(pays=True, address="a"))
        return just_opened("esc_x")

    async with asyncio.TaskGroup() as tasks:
        runner = runner_of(driver, tasks, [])
        busy = [runner.start(f"esc_{number}") for number in range(4)]
        run = runner.begin("esc_x", opening)
        for _ in range(5):
            await asyncio.sleep(0)
        assert told == [False]
        assert "esc_x" not in driver.calls
        driver.gate.set()
        assert str(await run) == "esc_x"
        assert [str(await one) for one in busy] == [f"esc_{number}" for number in range(4)]


@pytest.mark.parametrize("busy", [0, 4])
async def test_a_refused_opening_is_its_callers_to_hear(busy: int) -> None:
    """Whoever asked gets the refusal; nothing is driven, and it is no fault of ours."""
    driver = ScriptedDriver()
    faults: list[str] = []

    async def opening(*, at_once: TakeTurn) -> JustOpened:
        assert at_once(pays=True, address="a") is (busy == 0)
        raise CallerBlocked("blocked")

    async with asyncio.TaskGroup() as tasks:
        runner = runner_of(driver, tasks, faults)
        for number in range(busy):
            runner.start(f"esc_{number}")
        with pytest.raises(CallerBlocked):
            await runner.begin("esc_x", opening)
        driver.gate.set()
    assert "esc_x" not in driver.calls
    assert faults == []


async def test_draining_starts_nothing_new_and_stops_what_is_too_slow() -> None:
    """After the grace the rest is cancelled, told so, and left to recovery."""
    driver = ScriptedDriver()
    async with asyncio.TaskGroup() as tasks:
        runner = runner_of(driver, tasks, [])
        slow = runner.start("esc_1")
        await asyncio.sleep(0)
        assert await runner.drain(0.01) == 1
        with pytest.raises(Draining):
            await slow
        with pytest.raises(Draining):
            runner.start("esc_2")
