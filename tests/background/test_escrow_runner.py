"""The runner: one run per escrow, owned by the service, drained in order."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from service.background.escrow_runner import EscrowRunner
from service.background.supervise import Supervisor
from service.domain.errors import Broken, Draining, NodeUnavailable
from service.domain.escrow_record import Escrow
from service.flows.drive_escrow import EscrowDriver
from service.ports.escrow_runs import JustOpened
from tests.fakes.clock import FakeClock


class ScriptedDriver:
    """Drives by a script: waits on a gate, then answers or raises."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.calls: list[str] = []
        self.fault: Exception | None = None

    async def drive(self, escrow_id: str, *, just_opened: JustOpened | None = None) -> Escrow:
        self.calls.append(escrow_id)
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return cast("Escrow", escrow_id)


def runner_of(driver: ScriptedDriver, tasks: asyncio.TaskGroup, faults: list[str]) -> EscrowRunner:
    """A runner on the scripted driver."""
    return EscrowRunner(
        driver=cast("EscrowDriver", driver),
        tasks=tasks,
        supervisor=Supervisor(clock=FakeClock(), report=faults.append),
        runs_max=4,
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
