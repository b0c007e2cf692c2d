"""The one driver: take an escrow as far as it goes without the outside, whatever brought us here.

A request, a word of the node, a timer, a restart and an operator's command all end in
`drive(escrow_id)`. At most one run per escrow is active in a process (ports/escrow_runs.py);
against other processes the row's version decides, and for what was sent upstream its owner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cobot_meter.domain.errors import (
    CallerFault,
    Conflict,
    DependencyFault,
)
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.run.events import CostGivenUp
from cobot_meter.domain.run.record import gives_up_at_ms
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.steady_time import TOLERANCE_MS
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.flows.sale.find_cost import FindCost
from cobot_meter.flows.sale.issue_invoice import IssueInvoice
from cobot_meter.flows.sale.open_escrow import OpenEscrow
from cobot_meter.flows.sale.run_completion import Attempted, RunCompletion
from cobot_meter.ports.escrow_runs import UNFOLLOWED, AnswerListener, JustOpened

STEPS_MAX = 32
Continued = Callable[[str], None]


def _nobody_follows(_escrow_id: str) -> None:
    """For runs that nobody joins by id."""


class DriveEscrow:
    """Knows which flow acts in which state, and when a state has to wait."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        open_escrow: OpenEscrow,
        run_completion: RunCompletion,
        find_cost: FindCost,
        issue_invoice: IssueInvoice,
        deliver_completion: DeliverCompletion,
    ) -> None:
        """All by name: each is the flow of one or two states."""
        self._ledger = ledger
        self._open_escrow = open_escrow
        self._run_completion = run_completion
        self._find_cost = find_cost
        self._issue_invoice = issue_invoice
        self._deliver_completion = deliver_completion

    async def drive(
        self,
        escrow_id: str,
        *,
        just_opened: JustOpened | None = None,
        continued: Continued = _nobody_follows,
        listener: AnswerListener = UNFOLLOWED,
    ) -> Escrow:
        """The escrow where it waits for the outside or has ended. Raises EscrowNotFound.

        What failed and has somebody left to ask goes on in another escrow, which is then the
        answer; `continued` is told its id before anybody can find it in the books. `listener`
        hears the answer of what is still to be sent.
        """
        if just_opened is None:
            return await self._driven(await self._ledger.escrow(escrow_id), listener)
        just_opened = replace(just_opened, listener=listener)
        begun = [just_opened.escrow.run.run_id]
        try:
            return await self._begun(just_opened, begun, continued)
        finally:
            for one in begun:
                self._open_escrow.over(one)

    async def _begun(
        self, just_opened: JustOpened, begun: list[str], continued: Continued
    ) -> Escrow:
        """`begun` gains the run of every attempt that is made."""
        while True:
            attempted = await self._first_step(just_opened)
            next_id = attempted.escrow.continued_as
            if attempted.left is None or next_id is None:
                return await self._driven(attempted.escrow)
            continued(next_id)
            try:
                just_opened = await self._open_escrow.next(attempted.left, attempted.escrow)
            except (CallerFault, DependencyFault, Conflict):
                return attempted.escrow  # no room for another attempt: the failure stands
            begun.append(just_opened.escrow.run.run_id)

    async def _driven(self, escrow: Escrow, listener: AnswerListener = UNFOLLOWED) -> Escrow:
        escrow_id = escrow.escrow_id
        for _ in range(STEPS_MAX):
            try:
                moved = await self._step(escrow, listener)
            except Conflict:
                moved = await self._ledger.escrow(escrow_id)
                if moved.versions == escrow.versions:
                    raise
            if moved.versions == escrow.versions:
                return moved
            escrow = moved
        return escrow

    async def _first_step(self, just_opened: JustOpened) -> Attempted:
        try:
            return await self._run_completion.just_opened(just_opened)
        except Conflict:
            return Attempted(await self._ledger.escrow(just_opened.escrow.escrow_id))

    async def _step(self, escrow: Escrow, listener: AnswerListener) -> Escrow:
        """One step, or the same escrow when there is nothing to do now."""
        if escrow.quarantine is not None:
            return escrow
        if escrow.state is EscrowState.PRICED:
            return await self._issue_invoice.costed(escrow)
        match escrow.run.state:
            case RunState.OPENED:
                return await self._run_completion.opened(escrow, listener)
            case RunState.REQUESTED:
                return await self._run_completion.orphaned(escrow)
            case _:
                return await self._timers(escrow)

    async def _timers(self, escrow: Escrow) -> Escrow:
        """Whatever is due in a state that otherwise waits: at most one thing at a time."""
        if self._looks_up(escrow):
            if escrow.run.state is RunState.GENERATED:
                return await self._find_cost.generated(escrow)
            return await self._find_cost.confirm(escrow)
        now_ms = self._ledger.ending_ms()
        if escrow.state is EscrowState.INVOICED:
            return await self._issue_invoice.expired(escrow)
        run = escrow.run
        if run.state is RunState.FAILED and run.budget_held_pusd:
            if gives_up_at_ms(run, self._ledger.retention) <= now_ms:
                return await self._ledger.record(escrow, CostGivenUp())
        elif escrow.keep_until_ms is not None and escrow.keep_until_ms <= now_ms:
            return await self._no_longer_kept(escrow)
        return escrow

    def _looks_up(self, escrow: Escrow) -> bool:
        """A row that was written later than now has timers of a clock that went back since."""
        run, now_ms = escrow.run, self._ledger.now_ms()
        return run.lookup_at_ms is not None and (
            run.lookup_at_ms <= now_ms or run.changed_at_ms > now_ms + TOLERANCE_MS
        )

    async def _no_longer_kept(self, escrow: Escrow) -> Escrow:
        if escrow.state is EscrowState.SETTLED:
            return await self._deliver_completion.claim_lapsed(escrow)
        return await self._deliver_completion.shred(escrow)
