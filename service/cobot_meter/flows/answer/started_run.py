"""A run while its answer is read: its row as it stands, and the name that is still to be written.

What the upstream calls the generation is written before the answer is read, so that a crash leaves
something to ask for. A request on credit that nobody comes back for does not wait for that: the
capture says the name as well, and only what takes longer than a moment is written along. Must not
know: what is read, or what becomes of it.
"""

from __future__ import annotations

import asyncio

from cobot_meter.domain.errors import BooksBusy
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.run.events import GenerationStarted
from cobot_meter.flows.answer.answer_room import AnswerRoom
from cobot_meter.flows.ledger import Ledger

# A crash within this time loses the name of what was generated in it, and nothing of the caller's.
ALONG_S = 1.0


class StartedRun:
    """`escrow` is the sale as it stands, `unsaid` what is still to be said of it, if anything."""

    def __init__(self, ledger: Ledger, escrow: Escrow, *, along_s: float | None) -> None:
        """With `along_s` the name is written along after so many seconds; else waited for."""
        self.escrow = escrow
        self.unsaid: GenerationStarted | None = None
        self._ledger = ledger
        self._along_s = along_s
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    async def named(self, generation_id: str) -> None:
        """The upstream's headers name the generation. Raises what writing it raises."""
        self.unsaid = GenerationStarted(generation_id=generation_id)
        if self._along_s is None:
            await self._write()
        else:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._along_s, self._write_along)

    async def settle(self, room: AnswerRoom) -> None:
        """Begin to write nothing more, and wait for what is being written; raises what it did.

        What was reserved meanwhile, in `room`, is in the sale afterwards.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        self.escrow = await room.settled(self.escrow)

    async def say(self) -> None:
        """Write what is unsaid, however long the books take."""
        if self.unsaid is not None:
            self.escrow = await self._ledger.record(self.escrow, self.unsaid, lasting=True)
            self.unsaid = None

    def close(self) -> None:
        """Leave nothing behind that would write; what was settled has ended."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            self._writing.cancel()

    def _write_along(self) -> None:
        self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        """Unsaid still where the books are busy: the answer comes all the same, and says it."""
        if self.unsaid is None:
            return
        try:
            self.escrow = await self._ledger.record(self.escrow, self.unsaid)
        except BooksBusy:
            return
        self.unsaid = None
