"""The fake clock itself: what every other test's notion of time rests on."""

from __future__ import annotations

import asyncio

from tests.fakes.clock import START_MS, FakeClock


async def test_sleep_ends_when_time_reaches_it() -> None:
    """A sleeper wakes at its own moment, not before."""
    clock = FakeClock()
    woken_at: list[int] = []

    async def sleep_twice() -> None:
        for _ in range(2):
            await clock.sleep(1.5)
            woken_at.append(clock.now_ms() - START_MS)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleep_twice())
        await clock.pass_time(1)
        assert woken_at == []
        await clock.pass_time(10)
    assert woken_at == [1500, 3000]


async def test_a_jump_wakes_everybody_it_passed() -> None:
    """`advance` wakes all whose time has come, and they read the time after the jump."""
    clock = FakeClock()
    async with asyncio.TaskGroup() as tasks:
        for seconds in (1, 2, 3):
            tasks.create_task(clock.sleep(seconds))
        await asyncio.sleep(0)
        assert clock.sleepers == 3
        clock.advance(2)
        assert clock.sleepers == 1
        clock.advance(1)


async def test_a_leaping_clock_never_waits() -> None:
    """With `leaping` the sleep returns at once and the time has passed."""
    clock = FakeClock(leaping=True)
    await clock.sleep(0.1)
    await clock.sleep(3600)
    assert clock.now_ms() == START_MS + 3_600_100


async def test_a_canceled_sleeper_is_forgotten() -> None:
    """Cancelling a sleeping task leaves nothing that a later jump could trip over."""
    clock = FakeClock()
    async with asyncio.TaskGroup() as tasks:
        sleeping = tasks.create_task(clock.sleep(5))
        await asyncio.sleep(0)
        sleeping.cancel()
    assert clock.sleepers == 0
    clock.advance(10)
