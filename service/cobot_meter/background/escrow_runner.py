"""Runs the driver: one run per escrow at a time, all in the service's own task group.

A run belongs to the service, not to the connection that asked for it.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from cobot_meter.background.run_feed import RunFeed
from cobot_meter.background.run_turns import Lane, RunBounds, RunTurns, Turn
from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.errors import Broken, CobotMeterError, Draining
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.flows.sale.drive_escrow import DriveEscrow
from cobot_meter.ports.escrow_runs import Follower, JustOpened, OpensEscrow


class _Driven(NamedTuple):
    """A sale, or a run that it no longer lives by: both may be driven at once."""

    escrow_id: str
    run_id: str = ""


class EscrowRunner:
    """Implements `ports.escrow_runs.EscrowRuns`."""

    def __init__(
        self,
        *,
        drive_escrow: DriveEscrow,
        tasks: asyncio.TaskGroup,
        supervisor: Supervisor,
        bounds: RunBounds,
    ) -> None:
        """`bounds` says how many runs act at once; the others wait their turn, or are refused."""
        self._drive_escrow = drive_escrow
        self._tasks = tasks
        self._supervisor = supervisor
        self._turns = RunTurns(bounds)
        self._runs: dict[_Driven, asyncio.Future[Escrow]] = {}
        self._feeds: dict[asyncio.Future[Escrow], RunFeed] = {}
        self._openings: dict[str, OpensEscrow] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._draining = False

    @property
    def active(self) -> int:
        """How many runs are under way."""
        return len(self._runs)

    def start(self, escrow_id: str, *, run_id: str = "") -> asyncio.Future[Escrow]:
        """Drive this escrow, or join the run that does. Raises Draining.

        A run that its sale no longer lives by is driven under a name of its own.
        """
        name = _Driven(escrow_id, run_id)
        run = self._runs.get(name)
        return run if run is not None else self._begin(name, None)

    def under_way(self, escrow_id: str) -> asyncio.Future[Escrow] | None:
        """The run that is driving this escrow now; None where none is."""
        return self._runs.get(_Driven(escrow_id))

    def begin(self, escrow_id: str, opening: OpensEscrow) -> asyncio.Future[Escrow]:
        """Open it and drive it. Raises Draining."""
        return self._begin(_Driven(escrow_id), opening)

    def follow(self, escrow_id: str) -> Follower | None:
        """What the run that the sale lives by hears of its answer, from the start and as it comes.

        None where that run is not under way in this process, or its answer is at its end. Raises
        ServiceBusy when too many follow already.
        """
        run = self._runs.get(_Driven(escrow_id))
        return None if run is None else self._feeds[run].follow()

    def keep(self, escrow_id: str) -> None:
        """Somebody waits for the whole answer of this escrow, if its run is under way."""
        run = self._runs.get(_Driven(escrow_id))
        if run is not None:
            self._feeds[run].keep()

    def _begin(self, name: _Driven, opening: OpensEscrow | None) -> asyncio.Future[Escrow]:
        if self._draining:
            message = "This service is restarting; repeat the same request in a moment."
            raise Draining(message, retry_after_s=5)
        run: asyncio.Future[Escrow] = asyncio.get_running_loop().create_future()
        self._runs[name] = run
        self._feeds[run] = RunFeed()
        if opening is not None:
            self._openings[name.escrow_id] = opening
        task = self._tasks.create_task(self._run(name, run), name=f"escrow {name.escrow_id[:12]}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return run

    async def drain(self, grace_s: float) -> int:
        """Start nothing new, let the runs finish, stop the rest; how many were stopped.

        What is stopped stays in the books as it was, and the next start recovers it.
        """
        self._draining = True
        if not self._running:
            return 0
        _, unfinished = await asyncio.wait(self._running, timeout=grace_s)
        for task in unfinished:
            task.cancel()
        return len(unfinished)

    async def _run(self, name: _Driven, run: asyncio.Future[Escrow]) -> None:
        """Supervised, so that one escrow's bug does not end the process and with it all others."""
        try:
            await self._supervisor.once("escrow run", lambda: self._take_turn(name, run))
        except asyncio.CancelledError:
            run.set_exception(Draining("This service is restarting; repeat the same request."))
            raise
        finally:
            del self._runs[name]
            self._feeds.pop(run).end()
            self._openings.pop(name.escrow_id, None)
            if not run.done():
                run.set_exception(
                    Broken("The run of this escrow failed; the books have its state.")
                )
            fault = run.exception()  # retrieved: a run that nobody waits for is no warning
            if fault is not None:
                fault.__traceback__ = None  # its frames hold the run, and so would never go

    async def _take_turn(self, name: _Driven, run: asyncio.Future[Escrow]) -> None:
        turn = self._turns.turn()
        try:
            just_opened = await self._opened(name, turn)
            await turn.wait()
            escrow = await self._drive_escrow.drive(
                name.escrow_id,
                just_opened=just_opened,
                run_id=name.run_id,
                listener=self._feeds[run],
            )
            run.set_result(escrow)
        except _OpeningRefused as refused:
            run.set_exception(refused.why)
        except CobotMeterError as error:
            run.set_exception(error)
            raise
        finally:
            turn.give_back()

    async def _opened(self, name: _Driven, turn: Turn) -> JustOpened | None:
        """What was opened now; None where it was opened before. Raises _OpeningRefused."""
        opening = None if name.run_id else self._openings.pop(name.escrow_id, None)
        if opening is None:
            turn.take(Lane.OURS)
            return None

        def at_once(*, pays: bool, address: str) -> bool:
            return turn.take(Lane.PAYING if pays else Lane.UNPAID, address)

        try:
            return await opening(at_once=at_once)
        except CobotMeterError as error:
            raise _OpeningRefused(error) from error


class _OpeningRefused(Exception):
    """Its caller's to hear, and no fault of a run."""

    def __init__(self, why: CobotMeterError) -> None:
        super().__init__(str(why))
        self.why = why
