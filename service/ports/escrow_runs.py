"""Runs of the driver: at most one per escrow at a time. Must not know: what a run does."""

from __future__ import annotations

import asyncio
from typing import Protocol

from service.domain.escrow_record import Escrow


class EscrowRuns(Protocol):
    """The service's own runs: they go on when the caller who started them is gone."""

    def start(self, escrow_id: str, *, known: Escrow | None = None) -> asyncio.Future[Escrow]:
        """Drive this escrow, or join the run that is driving it already.

        `known` is its row as just written, which saves reading it.

        The future holds the escrow where the run stopped, or what stopped it. Await it through
        `asyncio.shield`: it is shared. Raises Draining when no new run may start.
        """
