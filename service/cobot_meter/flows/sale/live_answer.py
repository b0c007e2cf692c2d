"""An answer that is handed over as it comes, to whoever has paid for it beforehand.

It follows the run and is not the run: whoever stops reading stops nothing, and what came is
captured as that of any other sale on credit. Must not know: HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from cobot_meter.domain.errors import Broken, OutcomeUnknown
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import STATES, Stage
from cobot_meter.domain.upstream.deltas import Deltas
from cobot_meter.flows.escrow_faults import failure_fault, waiting_fault
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.ports.escrow_runs import FellBehind, Follower

FELL_BEHIND = (
    "The rest of this answer was not read in time; repeat the same request, and it is handed over "
    "whole."
)
SPOILED = "The model failed in the middle of its answer; you are not charged for it."


class LiveAnswer:
    """Read `deltas` to their end, then ask what was `sold`; close the deltas in any case."""

    def __init__(
        self,
        *,
        first: Deltas,
        follower: Follower,
        run: asyncio.Future[Escrow],
        deliver_completion: DeliverCompletion,
    ) -> None:
        """`first` was said already, and `follower` has what comes after it."""
        self._first = first
        self._follower = follower
        self._run = run
        self._deliver_completion = deliver_completion

    async def deltas(self) -> AsyncGenerator[Deltas, None]:
        """What is said, as it comes.

        Raises OutcomeUnknown when another attempt would begin anew what was partly handed over, or
        when its reader fell behind.
        """
        async with contextlib.aclosing(self._follower) as said_next:
            yield self._first
            try:
                async for said in said_next:
                    if said.anew:
                        raise OutcomeUnknown(SPOILED)
                    yield said
            except FellBehind:
                raise OutcomeUnknown(FELL_BEHIND) from None

    async def sold(self) -> tuple[Escrow, bytes | None]:
        """The sale that is paid for, and the whole of what was said.

        It waits for the run to end. None of a sale whose answer was handed over whole, and whose
        cost is still being found: it is paid for later, of what is reserved. Raises the failure of
        the run, and what `DeliverCompletion.deliver` raises.
        """
        escrow = await asyncio.shield(self._run)
        match STATES[escrow.state].stage:
            case Stage.PAID:
                return await self._deliver_completion.deliver(escrow)
            case Stage.FAILED:
                raise failure_fault(escrow.failure)
            case Stage.RUNNING if escrow.run.summary is not None and escrow.quarantine is None:
                return escrow, None
            case Stage.RUNNING:
                raise waiting_fault(escrow)
            case _:
                message = f"{escrow.escrow_id} was handed over before it was paid for"
                raise Broken(message)


async def first_of(follower: Follower) -> Deltas | None:
    """The first thing that is said; None, with `follower` closed, where it ends without a word.

    What one attempt said before another began is passed over: nobody has seen it. Whoever waits for
    this and hangs up follows no longer either: the run would wait for somebody to read.
    """
    async with contextlib.AsyncExitStack() as closing:
        closing.push_async_callback(follower.aclose)
        with contextlib.suppress(FellBehind):
            async for said in follower:
                if said.deltas and not said.anew:
                    closing.pop_all()
                    return said
    return None
