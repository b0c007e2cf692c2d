"""Runs of escrows as a test's process has them: tasks that are gone when it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cobot_meter.background.run_feed import RunFeed
from cobot_meter.domain.errors import CobotMeterError, Quarantined
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.flows.sale.drive_escrow import DriveEscrow
from cobot_meter.ports.escrow_runs import Follower, OpensEscrow
from tests.fakes.books import Killed


async def killed_alone(driven: Awaitable[Escrow]) -> Escrow:
    """A kill as itself also where it fell among tasks of one group: the others died with it."""
    try:
        return await driven
    except BaseExceptionGroup as group:
        if group.subgroup(Killed) is None:
            raise
        raise Killed(str(group)) from group


class Runs:
    """The port `EscrowRuns`: one task per escrow, all of them gone with the process."""

    def __init__(self, *, turns_free: Callable[[], bool]) -> None:
        """Without free turns a run waits."""
        self.driver: DriveEscrow | None = None
        self._turns_free = turns_free
        self._tasks: dict[str, asyncio.Task[Escrow]] = {}
        self._feeds: dict[str, RunFeed] = {}

    def by(self, driver: DriveEscrow) -> Runs:
        """These runs, driven by `driver`."""
        self.driver = driver
        return self

    def start(self, escrow_id: str, *, run_id: str = "") -> asyncio.Future[Escrow]:
        name = f"run {run_id}" if run_id else escrow_id
        task = self._tasks.get(name)
        if task is None or task.done():
            assert self.driver is not None
            feed = self._listened(escrow_id)
            driven = self.driver.drive(escrow_id, run_id=run_id, listener=feed)
            task = asyncio.ensure_future(killed_alone(driven))
            task.add_done_callback(lambda _: self._over(escrow_id, feed))
            self._tasks[name] = task
        return task

    def under_way(self, escrow_id: str) -> asyncio.Future[Escrow] | None:
        task = self._tasks.get(escrow_id)
        return None if task is None or task.done() else task

    def begin(self, escrow_id: str, opening: OpensEscrow) -> asyncio.Future[Escrow]:
        feed = self._listened(escrow_id)
        task = asyncio.ensure_future(self._opened_and_driven(escrow_id, opening, feed))
        task.add_done_callback(lambda _: self._over(escrow_id, feed))
        self._tasks[escrow_id] = task
        return task

    async def _opened_and_driven(
        self, escrow_id: str, opening: OpensEscrow, feed: RunFeed
    ) -> Escrow:
        assert self.driver is not None
        try:
            just_opened = await opening(at_once=self._at_once)
        except CobotMeterError:
            del self._tasks[escrow_id]  # its caller hears of it, and nobody else
            raise
        driven = self.driver.drive(escrow_id, just_opened=just_opened, listener=feed)
        return await killed_alone(driven)

    def follow(self, escrow_id: str) -> Follower | None:
        feed = self._feeds.get(escrow_id)
        return None if feed is None else feed.follow()

    def keep(self, escrow_id: str) -> None:
        if escrow_id in self._feeds:
            self._feeds[escrow_id].keep()

    def _over(self, escrow_id: str, feed: RunFeed) -> None:
        """Nothing more is said, and nobody can follow it."""
        feed.end()
        if self._feeds.get(escrow_id) is feed:
            del self._feeds[escrow_id]

    def _listened(self, escrow_id: str) -> RunFeed:
        """A feed until the run has ended."""
        feed = self._feeds[escrow_id] = RunFeed()
        return feed

    def _at_once(self, *, pays: bool, address: str) -> bool:
        del pays, address
        return self._turns_free()

    async def finish(self) -> None:
        """Wait for every run. Raises Killed, and whatever a run should not have raised.

        What cannot be booked is its caller's and the operator's to hear.
        """
        while self._tasks:
            tasks = list(self._tasks.values())
            await asyncio.wait(tasks)
            self._tasks = {name: task for name, task in self._tasks.items() if not task.done()}
            faults = [
                fault
                for task in tasks
                if (fault := task.exception()) and not isinstance(fault, Quarantined)
            ]
            for fault in sorted(faults, key=lambda one: not isinstance(one, Killed)):
                raise fault

    async def stop(self) -> None:
        """The process is gone: so are its tasks."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # retrieved
