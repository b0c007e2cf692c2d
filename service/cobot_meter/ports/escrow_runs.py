"""Runs of the driver: at most one per escrow at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.upstream.completions import Model, UpstreamCall


@dataclass(frozen=True, slots=True, kw_only=True)
class JustOpened:
    """An escrow as it, or another run of it, was written a moment ago: nobody need read it back.

    `call` is what will be sent, `wrapped_key` what its bodies are sealed with. `chain` is its
    model and those that may be asked after it, within the time that began at `began_ms`.
    `own_terms` says that the caller chose its providers or their prices, or that nobody knows any
    more: then a failure tells nothing of the model.
    """

    escrow: Escrow
    call: UpstreamCall
    wrapped_key: bytes
    chain: tuple[Model, ...] = ()
    began_ms: int = 0
    own_terms: bool = True


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
        """Takes a place for its run, and opens it accordingly. Raises what refuses it."""


class EscrowRuns(Protocol):
    """The service's own runs: they go on when the caller who started them is gone."""

    def start(self, escrow_id: str, *, run_id: str = "") -> asyncio.Future[Escrow]:
        """Drive this escrow, or join the run that is driving it already.

        With `run_id` a run of it is driven that the sale no longer lives by, and not the sale.

        The future holds the escrow where the run stopped, or what stopped it. Await it through
        `asyncio.shield`: it is shared. Raises Draining when no new run may start.
        """

    def begin(self, escrow_id: str, opening: OpensEscrow) -> asyncio.Future[Escrow]:
        """Open this escrow and drive it; what refuses the opening is what stopped the run.

        Nobody can come between the opening and the run, nor stop the one before the other.
        Raises Draining.
        """
