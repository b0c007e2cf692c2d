"""Locks and wake-ups between processes, on a real server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from cobot_meter.adapters.storage.postgres.session import (
    GONE_AFTER_MS,
    PostgresSession,
    open_postgres_session,
    refuse_another_secret,
)
from cobot_meter.adapters.storage.postgres.wakes import BATCH, PostgresWakes
from cobot_meter.adapters.storage.secret_marks import SecretProof
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.background.wake_hub import WakeHub
from cobot_meter.domain.errors import BooksBusy, SettingInvalid
from tests.fakes.clock import FakeClock
from tests.postgres.cluster import Cluster

WAIT_S = 20.0
LISTENING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"


@contextlib.asynccontextmanager
async def two(url: str, clock: FakeClock) -> AsyncIterator[tuple[PostgresSession, PostgresSession]]:
    """Two processes on one database."""
    async with (
        open_postgres_session(url, own_id="r_one", clock=clock) as one,
        open_postgres_session(url, own_id="r_two", clock=clock) as other,
    ):
        yield one, other


async def test_who_has_its_lock_is_alive(database: str) -> None:
    """Others are alive as long as their connections last, and for a while after that."""
    clock = FakeClock()
    async with two(database, clock) as (one, other):
        assert await one.alive("r_two")
        assert await other.alive("r_one")
        assert await one.alive("r_one")
        other.let_go()
        async with asyncio.timeout(WAIT_S):  # the server learns of it in its own time
            while not one._suspects:
                assert await one.alive("r_two"), "suspected only"
        clock.advance(GONE_AFTER_MS / 1_000 - 1)
        assert await one.alive("r_two")
        clock.advance(2)
        assert not await one.alive("r_two")
        await other.keep()
        assert await one.alive("r_two"), "it came back"


async def test_who_is_known_to_be_gone_is_gone_at_once(database: str) -> None:
    """Who ran in our directory before us needs no ten seconds to be given up."""
    gone = frozenset({"r_before"})
    async with open_postgres_session(
        database, own_id="r_one", clock=FakeClock(), gone=gone
    ) as session:
        assert not await session.alive("r_before")
        assert await session.alive("r_elsewhere"), "suspected only"


async def test_names_of_every_kind_are_found(database: str) -> None:
    """Whatever number a name becomes, negative ones too, its lock is seen."""
    clock = FakeClock()
    async with open_postgres_session(database, own_id="r_one", clock=clock) as one:
        for number in range(8):
            name = f"r_{number}"
            async with open_postgres_session(database, own_id=name, clock=clock):
                assert await one.alive(name)
                assert not one._suspects


async def test_a_duty_is_one_processs_until_it_dies(database: str) -> None:
    """Of two that ask, one has it; when its connection ends the other takes it."""
    async with two(database, FakeClock()) as (one, other):
        assert await one.mine("timers")
        assert await one.mine("timers")
        assert not await other.mine("timers")
        assert await other.mine("costs")
        one.let_go()
        assert not await one.mine("timers"), "not while it is away"
        async with asyncio.timeout(WAIT_S):
            while not await other.mine("timers"):  # noqa: ASYNC110 - the server closes it
                await asyncio.sleep(0.01)
        await one.keep()
        assert not await one.mine("timers")


async def test_a_server_that_restarts_makes_nobody_dead(cluster: Cluster) -> None:
    """All connections break at once; each comes back by its name, and duties are taken anew."""
    clock = FakeClock()
    async with two(cluster.new_database(), clock) as (one, other):
        assert await one.mine("timers")
        cluster.kill()
        with pytest.raises(BooksBusy):
            await one.alive("r_two")
        await other.keep()
        assert not await other.mine("timers")
        cluster.start()
        clock.advance(GONE_AFTER_MS / 1_000 + 1)
        await one.keep()
        assert await one.alive("r_two"), "an outage is nobody's death"
        await other.keep()
        assert await one.alive("r_two")
        assert await other.mine("timers")


async def test_wake_ups_reach_other_processes(database: str) -> None:
    """What changes in one process wakes who waits in another, and a crowd of them too."""
    clock = SystemClock()
    here, there = (PostgresWakes(database, inside=WakeHub(), clock=clock) for _ in range(2))
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
        talks = [tasks.create_task(wakes.talk()) for wakes in (here, there)]
        names = [f"esc_{number}" for number in range(2 * BATCH + 1)]
        waits = [tasks.create_task(there.wait(name, timeout_s=WAIT_S)) for name in names]
        while not all(wait.done() for wait in waits):
            for name in names:
                here.wake(name)
            await asyncio.sleep(0.05)
        assert all(wait.result() for wait in waits)
        for talk in talks:
            talk.cancel()


async def test_a_cut_connection_ends_the_talk(cluster: Cluster) -> None:
    """It ends without an error, and the next talk works again."""
    url = cluster.new_database()
    here, there = (PostgresWakes(url, inside=WakeHub(), clock=SystemClock()) for _ in range(2))
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
        talk = tasks.create_task(here.talk())
        while not cluster.sql(LISTENING):  # noqa: ASYNC110 - the server knows
            await asyncio.sleep(0.02)
        cluster.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        )
        here.wake("esc_1")
        await talk
        talks = [tasks.create_task(wakes.talk()) for wakes in (here, there)]
        woken = tasks.create_task(there.wait("esc_2", timeout_s=WAIT_S))
        while not woken.done():
            here.wake("esc_2")
            await asyncio.sleep(0.05)
        assert woken.result()
        for again in talks:
            again.cancel()


def secret(mark: str) -> SecretProof:
    """A secret of this mark."""
    return SecretProof(mark=mark, payment_hash=lambda subject_id, attempt: f"{subject_id}{attempt}")


async def test_books_know_the_secret_they_were_begun_with(database: str) -> None:
    """The first secret is theirs; another one is refused with what to do."""
    await refuse_another_secret(database, secret("a mark"))
    await refuse_another_secret(database, secret("a mark"))
    with pytest.raises(SettingInvalid, match="copy secret"):
        await refuse_another_secret(database, secret("another mark"))
