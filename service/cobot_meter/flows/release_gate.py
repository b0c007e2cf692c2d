"""Nothing is sold and nothing released while the books contradict themselves.

The gate is what this process goes by. What it says is kept in the books as a numbered word, so that
it outlives a restart and reaches every replica, and only the operator's word opens it again. Must
not know: what a contradiction is, or who asks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from cobot_meter.domain.errors import (
    BooksBusy,
    Broken,
    CobotMeterError,
    ReleasesStopped,
    RequestInvalid,
)
from cobot_meter.domain.outside import shown
from cobot_meter.domain.transitions.operator import releases_transition
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import Books, Releases
from cobot_meter.ports.process import Clock

LOG = logging.getLogger(__name__)
RETRY_S = 60
MESSAGE = (
    "Nothing is sold and releases are stopped until the operator has looked at the books. What is "
    "paid for is kept: repeat the same request later."
)


class ReleaseGate:
    """Open, or closed with the reason."""

    def __init__(self) -> None:
        """Open; `lost` is set when not even the word that closes it could be kept."""
        self.closed_by: str | None = None
        self.kept = True
        self.lost = asyncio.Event()

    def close(self, reason: str, *, kept: bool) -> None:
        """Sell and release nothing; `kept` says whether the books have that word already."""
        if self.closed_by is None:
            LOG.error("releases are stopped, and nothing is sold: %s", reason)
        self.closed_by = reason
        self.kept = kept

    def open(self) -> None:
        """Sell and release again."""
        if self.closed_by is not None:
            LOG.warning("releases are open again")
        self.closed_by, self.kept = None, True

    def check(self) -> None:
        """Return while completions may be sold and released. Raises ReleasesStopped."""
        if self.closed_by is not None:
            raise ReleasesStopped(MESSAGE, retry_after_s=RETRY_S)

    async def ping(self) -> None:
        """Return while the gate is open, for whoever awaits every part. Raises ReleasesStopped."""
        self.check()

    async def end(self) -> None:
        """Wait until the books are lost, which ends the process. Raises Broken."""
        await self.lost.wait()
        message = (
            f"the books contradict themselves and do not take the word that stops releases: "
            f"{self.closed_by}; look at them with `cobot-meter audit` before the next start"
        )
        raise Broken(message)


class KeepReleases:
    """Writes the words, and goes by what others wrote."""

    def __init__(
        self,
        *,
        books: Books,
        clock: Clock,
        release_gate: ReleaseGate,
        observe: Callable[[Transition], None],
    ) -> None:
        """`release_gate` is closed and opened here, and nowhere else."""
        self._books = books
        self._clock = clock
        self._release_gate = release_gate
        self._observe = observe

    async def stop(self, reason: str) -> None:
        """Close the gate at once and keep the word. Raises nothing: `follow` tries again."""
        reason = shown(reason)
        self._release_gate.close(reason, kept=False)
        await self._keep(reason)

    async def follow(self) -> None:
        """Go by the last word in the books. Raises BooksBusy."""
        if not self._release_gate.kept:
            await self._keep(self._release_gate.closed_by or "")
            return
        standing = await self._books.releases()
        if standing.stopped:
            self._release_gate.close(standing.reason, kept=True)
        elif self._release_gate.kept:
            self._release_gate.open()

    async def show(self) -> Releases:
        """The last word that the books have: whether releases are stopped, and why."""
        return await self._books.releases()

    async def open(self, reason: str) -> Releases:
        """The operator has looked: sell and release again. Raises RequestInvalid, BooksBusy."""
        standing = await self._books.releases()
        if not standing.stopped and self._release_gate.closed_by is None:
            message = "Releases are not stopped."
            raise RequestInvalid(message)
        if standing.stopped:
            await self._say(standing, stopped=False, reason=shown(reason))
        self._release_gate.open()
        return await self._books.releases()

    async def _keep(self, reason: str) -> None:
        try:
            standing = await self._books.releases()
            if not standing.stopped:
                await self._say(standing, stopped=True, reason=reason)
        except BooksBusy:
            return  # closed it is all the same, and kept as soon as the books take writes
        except CobotMeterError as fault:
            LOG.critical("the word that stops releases cannot be kept: %s", fault.message)
            self._release_gate.lost.set()
            return
        self._release_gate.kept = True

    async def _say(self, standing: Releases, *, stopped: bool, reason: str) -> None:
        transition = releases_transition(
            sequence=standing.words, stopped=stopped, reason=reason, at_ms=self._clock.now_ms()
        )
        applied = await self._books.apply(transition)
        if not applied.repeated:
            self._observe(transition)
