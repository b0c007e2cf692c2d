"""Runs of the driver: at most one per escrow at a time, and what is heard of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.upstream.completions import Model, UpstreamCall
from cobot_meter.domain.upstream.deltas import Deltas
from cobot_meter.ports.upstream import AnswerPiece


class FellBehind(Exception):
    """Whoever follows did not read for longer than a run waits; nothing more comes here."""


class AnswerListener(Protocol):
    """Hears what the upstream of one run says, attempt after attempt."""

    @property
    def told(self) -> bool:
        """Whether somebody who follows was handed any of this attempt: it cannot be unsaid."""

    @property
    def deserted(self) -> bool:
        """Whether everybody who followed has gone for a while, and nobody waits for the whole."""

    def begin(self) -> None:
        """An attempt is about to be sent: what an earlier one said is void."""

    def hear(self, piece: AnswerPiece) -> bool:
        """Whether somebody has to read first: then wait for `room` before asking for more."""

    async def room(self) -> None:
        """Return when everybody who follows has read on, or was waited for long enough."""

    def end(self) -> None:
        """Nothing more is said."""


class Unfollowed:
    """An `AnswerListener` for runs that nobody can follow."""

    __slots__ = ()

    told = False
    deserted = False

    def begin(self) -> None:
        """Nobody has heard anything that an attempt could make void."""

    def hear(self, _piece: AnswerPiece) -> bool:
        """Always False: nobody has to read before more is asked for."""
        return False

    async def room(self) -> None:
        """Return at once: nobody is waited for."""

    def end(self) -> None:
        """Nobody has to be told that nothing more is said."""


UNFOLLOWED = Unfollowed()


class Follower(Protocol):
    """One who follows a run: iterated by one task, and closed in the end."""

    def __aiter__(self) -> Follower:
        """Itself."""

    async def __anext__(self) -> Deltas:
        """What was said next. Raises FellBehind."""

    async def aclose(self) -> None:
        """Follow no longer; the run goes on."""


def _to_nobody(_body: bytes) -> None:
    """Where the answer is read from the books, or from memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JustOpened:
    """An escrow as it, or another run of it, was written a moment ago: nobody need read it back.

    `call` is what will be sent, `wrapped_key` what its bodies are sealed with. Without it they are
    not stored, and `unstored` is the request, for as long as it may have to be sent again. `chain`
    is its model and those that may be asked after it, within the time that began at `began_ms`.
    `own_terms` says that the caller chose its providers or their prices, or that nobody knows any
    more: then a failure tells nothing of the model. `listener` hears the answer as it comes.
    `hand_over` is given the whole answer of a run of a task, which is kept nowhere, once it is
    booked.
    """

    escrow: Escrow
    call: UpstreamCall
    wrapped_key: bytes | None
    unstored: bytes = b""
    chain: tuple[Model, ...] = ()
    began_ms: int = 0
    own_terms: bool = True
    listener: AnswerListener = UNFOLLOWED
    hand_over: Callable[[bytes], None] = _to_nobody


class TakeTurn(Protocol):
    """Takes a place for the run of an escrow that is about to be opened."""

    def __call__(self, *, pays: bool, address: str) -> bool:
        """Whether the run begins at once; else it waits for its turn.

        `pays` says that credit covers the run, or that its caller has paid for others before.
        Raises AddressBusy and ServiceBusy when no more may wait.
        """


class OpensEscrow(Protocol):
    """Opens one escrow."""

    async def __call__(self, *, at_once: TakeTurn) -> JustOpened:
        """Take a place for its run, and open it: requested already where that may begin at once.

        Raises what refuses the opening.
        """


class EscrowRuns(Protocol):
    """The service's own runs: they go on when the caller who started them is gone."""

    def start(self, escrow_id: str, *, run_id: str = "") -> asyncio.Future[Escrow]:
        """Drive this escrow, or join the run that is driving it already.

        With `run_id` a run of it is driven that the sale no longer lives by, and not the sale.

        The future holds the escrow where the run stopped, or what stopped it. Await it through
        `asyncio.shield`: it is shared. Raises Draining when no new run may start.
        """

    def under_way(self, escrow_id: str) -> asyncio.Future[Escrow] | None:
        """The run that is driving this escrow now; None where none is."""

    def begin(self, escrow_id: str, opening: OpensEscrow) -> asyncio.Future[Escrow]:
        """Open this escrow and drive it; what refuses the opening is what stopped the run.

        Where it is open already, as a task is, nothing may be under way for it.

        Nobody can come between the opening and the run, nor stop the one before the other.
        Raises Draining.
        """

    def follow(self, escrow_id: str) -> Follower | None:
        """What the run of this escrow hears of its answer, from the start and as it comes.

        None where no run of this process is waiting for an answer: then the books have what there
        is. It ends with the answer, and whether that was a good end is the future's to say; of
        several attempts, `Deltas.anew` parts them. Whoever stops reading is waited for a while,
        which holds up the upstream, and then gets FellBehind; whoever closes it stops nothing.
        Raises ServiceBusy when too many follow already.
        """

    def keep(self, escrow_id: str) -> None:
        """Somebody waits for the whole answer of this escrow: its run is not deserted any more.

        Nothing happens where no run of this process is under way.
        """
