"""Wait for a run to come to where a caller can be answered, whichever process it is in.

A run of this process is a future; one of another process is heard of through wake-ups, and looked
at on a timer because those may be lost.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from cobot_meter.domain.errors import EscrowNotFound
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.run.states import RunState
from cobot_meter.ports.books import Books
from cobot_meter.ports.escrow_runs import EscrowRuns, Follower, OpensEscrow
from cobot_meter.ports.process import Wakes

# How long a lost wake-up can cost a caller.
LOOK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long an ask waits for its own run, and an identical one for somebody's."""

    first_s: float = 600.0
    identical_s: float = 20.0


class FollowRun:
    """Whoever stops waiting does not stop the run."""

    def __init__(self, *, books: Books, runs: EscrowRuns, wakes: Wakes, waits: Waits) -> None:
        """Holds nothing of its own."""
        self._books = books
        self._runs = runs
        self._wakes = wakes
        self._waits = waits

    def begin(self, escrow_id: str, opening: OpensEscrow) -> asyncio.Future[Escrow]:
        """Open this escrow and drive it. Raises Draining."""
        return self._runs.begin(escrow_id, opening)

    def under_way(self, escrow_id: str) -> asyncio.Future[Escrow] | None:
        """The run that is driving this escrow now; None where none is."""
        return self._runs.under_way(escrow_id)

    def follow(self, escrow_id: str) -> Follower | None:
        """What the run of this escrow hears of its answer, from the start and as it comes.

        None where no run of this process waits for an answer. Whoever stops reading is waited for a
        while, and then gets FellBehind. Raises ServiceBusy when too many follow already.
        """
        return self._runs.follow(escrow_id)

    def join(self, escrow_id: str) -> asyncio.Future[Escrow]:
        """The run of this escrow that is under way, or a new one. Raises Draining."""
        return self._runs.start(escrow_id)

    async def joined(self, escrow_id: str) -> Escrow:
        """The escrow where the run that is under way, or a new one, stopped.

        After `Waits.identical_s` it is the escrow as it stands. Raises Draining, what stopped the
        run, and EscrowNotFound.
        """
        run = self._runs.start(escrow_id)
        return await self._followed(run, escrow_id, wait_s=self._waits.identical_s)

    async def finished(self, run: asyncio.Future[Escrow], escrow_id: str) -> Escrow:
        """The escrow where the run that was begun stopped, or as it stands after `Waits.first_s`.

        Raises what stopped the run, and EscrowNotFound.
        """
        return await self._followed(run, escrow_id, wait_s=self._waits.first_s)

    def keep(self, escrow_id: str) -> None:
        """Somebody will want the whole answer of this escrow, whoever stops reading it."""
        self._runs.keep(escrow_id)

    async def _followed(
        self, run: asyncio.Future[Escrow], escrow_id: str, *, wait_s: float
    ) -> Escrow:
        self.keep(escrow_id)
        time = asyncio.get_running_loop().time
        deadline = time() + wait_s
        while await _done(run, wait_s):
            escrow = run.result()
            wait_s = max(deadline - time(), 0.0)
            elsewhere = escrow.run.state is RunState.REQUESTED and escrow.quarantine is None
            if not elsewhere or wait_s <= 0:
                return escrow
            await self._wakes.wait(escrow_id, timeout_s=min(wait_s, LOOK_S))
            wait_s = max(deadline - time(), 0.0)
            run = self._runs.start(escrow_id)
        found = await self._books.escrow(escrow_id)
        if found is None:
            message = f"there is no escrow {escrow_id[:80]}"
            raise EscrowNotFound(message)
        return found


async def _done(run: asyncio.Future[Escrow], wait_s: float) -> bool:
    finished, _ = await asyncio.wait((run,), timeout=wait_s)
    return bool(finished)
