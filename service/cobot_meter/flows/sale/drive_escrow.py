"""The one driver: take an escrow as far as it goes without the outside, whatever brought us here.

A request, a word of the node, a timer, a restart and an operator's command all end in
`drive(escrow_id)`. At most one run per escrow is active in a process (ports/escrow_runs.py);
against other processes the row's version decides, and for what was sent upstream its owner.
"""

from __future__ import annotations

from dataclasses import replace

from cobot_meter.domain.errors import Conflict
from cobot_meter.domain.escrow.asks import was_deserted
from cobot_meter.domain.escrow.events import CompletionDelivered, TaskEnded
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.escrow.tasks import TIME_OVER
from cobot_meter.domain.run.events import CostGivenUp
from cobot_meter.domain.run.record import gives_up_at_ms
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.steady_time import TOLERANCE_MS
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.sale.ask_models import AskModels
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.flows.sale.find_cost import FindCost
from cobot_meter.flows.sale.issue_invoice import IssueInvoice
from cobot_meter.ports.escrow_runs import UNFOLLOWED, AnswerListener, JustOpened

STEPS_MAX = 32


class DriveEscrow:
    """Knows which flow acts in which state, and when a state has to wait."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        ask_models: AskModels,
        find_cost: FindCost,
        issue_invoice: IssueInvoice,
        deliver_completion: DeliverCompletion,
    ) -> None:
        """All by name: each is the flow of one or two states."""
        self._ledger = ledger
        self._ask_models = ask_models
        self._find_cost = find_cost
        self._issue_invoice = issue_invoice
        self._deliver_completion = deliver_completion

    async def drive(
        self,
        escrow_id: str,
        *,
        just_opened: JustOpened | None = None,
        run_id: str = "",
        listener: AnswerListener = UNFOLLOWED,
    ) -> Escrow:
        """The escrow where it waits for the outside or has ended. Raises EscrowNotFound.

        With `run_id` it is a run that the sale no longer lives by which is driven, and nothing
        else: its cost is looked up, or given up. `listener` hears the answer of what is still to be
        sent.
        """
        if run_id:
            return await self._driven(await self._ledger.escrow_of_run(run_id))
        if just_opened is None:
            return await self._driven(await self._ledger.escrow(escrow_id), listener)
        opened = replace(just_opened, listener=listener)
        return await self._driven(await self._ask_models.just_opened(opened))

    async def _driven(self, escrow: Escrow, listener: AnswerListener = UNFOLLOWED) -> Escrow:
        for _ in range(STEPS_MAX):
            try:
                moved = await self._step(escrow, listener)
            except Conflict:
                moved = await self._ledger.again(escrow)
                if moved.versions == escrow.versions:
                    raise
            if moved.versions == escrow.versions:
                return moved
            escrow = moved
        return escrow

    async def _step(self, escrow: Escrow, listener: AnswerListener) -> Escrow:
        """One step, or the same escrow when there is nothing to do now."""
        if escrow.quarantine is not None:
            return escrow
        if escrow.looks_back:
            return await self._timers_of_run(escrow)
        if escrow.state is EscrowState.PRICED:
            return await self._issue_invoice.costed(escrow)
        moved = await self._ask_models.resumed(escrow, listener)
        return await self._timers(escrow) if moved.versions == escrow.versions else moved

    async def _timers(self, escrow: Escrow) -> Escrow:
        """Whatever is due in a state that otherwise waits: at most one thing at a time."""
        moved = await self._timers_of_run(escrow)
        if moved is not escrow:
            return moved
        if self._is_over(escrow):
            return await self._ledger.record(escrow, TaskEnded(failure=TIME_OVER))
        if escrow.state is EscrowState.SETTLED and was_deserted(escrow):
            # Who read it has what there is: nobody comes to claim it.
            return await self._ledger.record(escrow, CompletionDelivered())
        if escrow.state is EscrowState.INVOICED:
            return await self._issue_invoice.expired(escrow)
        keep_until_ms = escrow.keep_until_ms
        if keep_until_ms is not None and keep_until_ms <= self._ledger.ending_ms():
            return await self._no_longer_kept(escrow)
        return escrow

    def _is_over(self, escrow: Escrow) -> bool:
        """Whether it is a task that nobody has closed in time; what runs is waited for."""
        if escrow.task is None or escrow.state is not EscrowState.RUNNING:
            return False
        return not escrow.run.in_flight and escrow.task.ends_at_ms <= self._ledger.ending_ms()

    async def _timers_of_run(self, escrow: Escrow) -> Escrow:
        """What is due of the run alone; the very same escrow where nothing is."""
        run = escrow.run
        if self._looks_up(escrow):
            if run.state is RunState.GENERATED:
                return await self._find_cost.generated(escrow)
            return await self._find_cost.confirm(escrow)
        unexplained = run.state is RunState.FAILED and run.budget_held_pusd > 0
        if (
            not unexplained
            or gives_up_at_ms(run, self._ledger.retention) > self._ledger.ending_ms()
        ):
            return escrow
        return await self._ledger.record(escrow, CostGivenUp())

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
