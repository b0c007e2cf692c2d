"""Wake-ups: every waiter of a subject is woken, and idle ones leave nothing behind."""

from __future__ import annotations

import asyncio

from cobot_meter.background.wake_hub import WakeHub


async def test_a_wake_up_reaches_every_waiter_of_its_subject_only() -> None:
    """Waiters of another subject go on waiting until their time runs out."""
    hub = WakeHub()
    async with asyncio.TaskGroup() as tasks:
        waits = [tasks.create_task(hub.wait("a", timeout_s=5)) for _ in range(3)]
        other = tasks.create_task(hub.wait("b", timeout_s=0.02))
        await asyncio.sleep(0)
        hub.wake("a")
    assert [wait.result() for wait in waits] == [True] * 3
    assert other.result() is False


async def test_waiting_leaves_nothing_behind() -> None:
    """After time-outs and cancellations the hub holds no future."""
    hub = WakeHub()
    assert not await hub.wait("a", timeout_s=0.001)
    hub.wake("a")
    assert hub._waiters == {}
