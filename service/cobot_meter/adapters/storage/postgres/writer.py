"""Batches of transitions, one round trip each.

Theory of operation. `apply` queues a transition with one of a few workers, always the same for one
subject, so that what is said of it arrives in the order of saying. A worker takes what waits, up to
GROUP_MAX, and sends it as one call, which the database commits as a whole before it answers. While
that is under way the next batch grows. Where the connection breaks under a call nobody knows
whether it was written: the caller is told BooksBusy and says the same again, and the key decides.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson

from cobot_meter.adapters.storage.outage import StorageOutage
from cobot_meter.adapters.storage.postgres.batches import Batch, Document, refused
from cobot_meter.adapters.storage.postgres.connections import UNDONE, Pool
from cobot_meter.adapters.storage.postgres.faults import CAUGHT, fault_of, is_about_values
from cobot_meter.domain.errors import (
    BooksBusy,
    Broken,
    CobotMeterError,
    DependencyFault,
    LedgerUnbalanced,
)
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import Applied, applied_as_told

LOG = logging.getLogger(__name__)
APPLY = "SELECT apply_transitions($1::JSONB, $2::BYTEA[])"
ROLL_UP = "SELECT roll_up_legs()"
GROUP_MAX = 64
WAITING_MAX = 1_024  # with each worker
WORKERS = 4
TRIES = 4
ROLL_UP_S = 1.0

StandsNow = Callable[[Transition], Awaitable[Applied]]


@dataclass(frozen=True, slots=True, eq=False)
class Queued:
    """A transition and whoever waits for it."""

    transition: Transition
    told: asyncio.Future[Applied]


class PostgresWriter:
    """Applies transitions, many to a round trip."""

    def __init__(
        self, pool: Pool, *, retention: Retention, stands: StandsNow, outage: StorageOutage
    ) -> None:
        """`stands` reads the rows of a transition that the journal has already."""
        self._pool = pool
        self._retention = retention
        self._stands = stands
        self._outage = outage
        self._not_rolled_up = ""
        self._queues = tuple(asyncio.Queue[Queued](WAITING_MAX) for _ in range(WORKERS))
        self._unheard: set[asyncio.Future[Applied]] = set()
        self._written = asyncio.Event()
        self._closing = False

    async def apply(self, transition: Transition) -> Applied:
        """What the books say once this is committed; waits for the worker of its subject.

        Raises BooksBusy at once when it stops or too many wait, and whatever writing it raises.
        """
        if self._closing:
            raise BooksBusy("The service is stopping: ask the same again in a moment.")
        self._outage.spare()
        waiting = Queued(transition, asyncio.get_running_loop().create_future())
        try:
            self._queues[hash(transition.subject_id) % WORKERS].put_nowait(waiting)
        except asyncio.QueueFull:
            message = "The service has more to write than it can: ask the same again in a moment."
            raise BooksBusy(message, retry_after_s=1) from None
        self._unheard.add(waiting.told)
        waiting.told.add_done_callback(self._unheard.discard)
        return await waiting.told

    async def work(self, number: int) -> None:
        """One worker of WORKERS, counted from 0."""
        queue = self._queues[number]
        while True:
            group = [await queue.get()]
            while len(group) < GROUP_MAX and not queue.empty():
                group.append(queue.get_nowait())
            await self._write(group)
            for _ in group:
                queue.task_done()

    async def roll_up(self) -> None:
        """Fold operator legs into their accounts, a while after something was written."""
        while True:
            await self._written.wait()
            await asyncio.sleep(ROLL_UP_S)
            self._written.clear()
            try:
                left = str(await self._pool.fetchval(ROLL_UP) or "")
            except CAUGHT as error:
                self._written.set()  # the legs stay, and count until they are rolled up
                left = (
                    ""
                    if isinstance(fault_of(error, outage=self._outage), DependencyFault)
                    else str(error)
                )
            if left and left != self._not_rolled_up:
                LOG.error("accounts that could not be rolled up: %s", left)
            self._not_rolled_up = left

    async def finish(self) -> None:
        """Take nothing more, and wait until what waits is written or told that it was not."""
        self._closing = True
        for queue in self._queues:
            await queue.join()

    def let_go(self) -> None:
        """Nobody is left waiting, whatever the database does."""
        for told in tuple(self._unheard):
            _fail(told, BooksBusy("The service has stopped: ask the same again in a moment."))

    async def _write(self, group: list[Queued]) -> None:
        batch = Batch(self._retention)
        group = [waiting for waiting in group if self._fits(batch, waiting)]
        try:
            outcomes: list[Document] = orjson.loads(await self._sent(batch))
        except CAUGHT as error:
            if len(group) > 1 and is_about_values(error):
                for waiting in group:  # whose values they are shows when each is sent by itself
                    await self._write([waiting])
                return
            self._tell_all(group, fault_of(error, outage=self._outage))
        else:
            self._outage.over()
            self._written.set()
            for place, outcome in zip(batch.order(), outcomes, strict=True):
                await self._tell(group[place], outcome)

    def _fits(self, batch: Batch, waiting: Queued) -> bool:
        """Whether it could be added; who holds values that no row may hold is told so alone."""
        try:
            batch.add(waiting.transition)
        except (TypeError, ValueError, Broken) as fault:
            message = f"{waiting.transition.key} cannot be booked: {fault}"
            _fail(waiting.told, LedgerUnbalanced(message))
            return False
        return True

    async def _sent(self, batch: Batch) -> str:
        """The answer. What was undone as a whole is sent once more. Raises what the call does."""
        for _ in range(TRIES - 1):
            try:
                return await self._send(batch)
            except UNDONE:
                continue
        return await self._send(batch)

    async def _send(self, batch: Batch) -> str:
        return str(await self._pool.fetchval(APPLY, batch.text(), batch.blobs))

    async def _tell(self, waiting: Queued, outcome: Document) -> None:
        transition, told = waiting.transition, waiting.told
        try:
            if "refused" in outcome:
                raise refused(transition, outcome)
            applied = (
                applied_as_told(transition) if outcome["new"] else await self._stands(transition)
            )
        except CobotMeterError as fault:
            _fail(told, fault)
        else:
            if not told.done():
                told.set_result(applied)

    def _tell_all(self, group: list[Queued], fault: CobotMeterError) -> None:
        for waiting in group:
            _fail(waiting.told, copy.copy(fault))


def _fail(told: asyncio.Future[Applied], fault: Exception) -> None:
    if not told.done():
        told.set_exception(fault)
