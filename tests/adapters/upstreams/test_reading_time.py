"""One timer for all reads of an answer, which counts only while somebody reads."""

from __future__ import annotations

import asyncio

import pytest

from cobot_meter.adapters.upstreams.reading_time import ReadingTime

SHORT_S, LONG_S = 0.2, 0.4


def time_of(seconds: float) -> ReadingTime:
    """One that is up so many seconds from now."""
    return ReadingTime(asyncio.get_running_loop().time() + seconds)


async def test_a_read_that_takes_too_long_is_timed_out() -> None:
    """After reads that did not, and the task is not left cancelled."""
    time = time_of(SHORT_S)
    for _ in range(3):
        with time:
            await asyncio.sleep(0)
    with pytest.raises(TimeoutError), time:
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError), time:
        raise AssertionError("nothing is read once the time is up")
    time.close()


async def test_it_stands_still_while_nobody_reads() -> None:
    """However long whoever reads holds up, the upstream has its time; reads themselves count."""
    time = time_of(SHORT_S)
    with time:
        await asyncio.sleep(0)
    await asyncio.sleep(LONG_S)
    with time:
        await asyncio.sleep(0)
    await asyncio.sleep(LONG_S)
    with pytest.raises(TimeoutError), time:
        await asyncio.sleep(LONG_S)


async def test_a_cancellation_from_outside_stays_one() -> None:
    """Whoever cancels a reader is not told of a time-out, even beside one."""
    time = time_of(SHORT_S)

    async def read() -> None:
        with time:
            await asyncio.Event().wait()

    reader = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    time.close()


async def test_a_closed_one_cancels_nobody() -> None:
    """Its timer is gone with it."""
    time = time_of(SHORT_S)
    with time:
        await asyncio.sleep(0)
    time.close()
    await asyncio.sleep(LONG_S)
