"""Read an answer to its end, and let whoever follows the run hear it on the way."""

from __future__ import annotations

from typing import Protocol

from cobot_meter.domain.errors import Broken
from cobot_meter.domain.upstream.completions import UpstreamCompletion
from cobot_meter.ports.escrow_runs import AnswerListener
from cobot_meter.ports.upstream import AnswerFeed, AnswerPiece


class Room(Protocol):
    """How much of an answer is paid for."""

    async def ends(self, piece: AnswerPiece) -> bool:
        """Whether the answer has to end with this piece. It waits for more room where there is."""


class Unbounded:
    """A `Room` for an answer that is paid for whatever it says."""

    __slots__ = ()

    async def ends(self, _piece: AnswerPiece) -> bool:
        """Never."""
        return False


UNBOUNDED = Unbounded()


async def read_answer(
    answer: AnswerFeed, listener: AnswerListener, room: Room = UNBOUNDED
) -> UpstreamCompletion:
    """The summary, which is the feed's last item. Raises the faults of the upstream.

    Where `room` ends it, it is what was said until then. The feed is closed in any case, which ends
    the connection upstream.
    """
    listener.begin()
    try:  # `aclosing` would keep 0.2 KiB more for each run that waits
        async for said in answer:
            if isinstance(said, UpstreamCompletion):
                listener.end()
                return said
            if listener.hear(said):
                await listener.room()
            if await room.ends(said):
                listener.end()
                return said.cut()
    finally:
        await answer.aclose()
    raise Broken("an answer ended without its summary")
