"""Close a task: find out what its runs cost, fix the price with its seller's fee, make the invoice.

The upstream's own records are waited for a while; what has none by then is priced by what the
answer said, and says so. From here on it is a sale like every other. Must not know: HTTP.
"""

from __future__ import annotations

import asyncio

from cobot_meter.domain.errors import (
    BooksBusy,
    Conflict,
    MovedOn,
    RequestInvalid,
)
from cobot_meter.domain.escrow.events import TaskClosed, TaskEnded
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import STATES, EscrowState, Stage
from cobot_meter.domain.escrow.tasks import GIVEN_UP, TaskTerms
from cobot_meter.domain.money import sat_text
from cobot_meter.domain.run.events import CostConfirmed
from cobot_meter.domain.run.record import Cost, CostStanding, Run
from cobot_meter.domain.task_faults import TaskNotOpen, TaskUnanswered
from cobot_meter.flows.escrow_faults import failure_fault, waiting_fault
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.sale.find_cost import FindCost
from cobot_meter.flows.sale.follow_run import FollowRun
from cobot_meter.flows.task.find_task import busy, open_terms
from cobot_meter.flows.vault import Vault

TRIES = 8
# When the records of all runs are asked for, in seconds after the first time.
LOOKUPS_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
# So many at once: the upstream bounds what it is asked for.
AT_ONCE = 16
UNANSWERED = (
    "This task has no answer for its buyer yet: POST it to /v1/tasks/{id}/answer, or send it along "
    'with this as "answer".'
)
NOTHING_TO_PAY = (
    "This task comes to nothing, and nothing is no invoice: name a fee, or hand the answer over "
    "yourself and DELETE the task."
)


class CloseTask:
    """What closes it is its seller's word, told any number of times."""

    def __init__(
        self, *, ledger: Ledger, vault: Vault, find_cost: FindCost, follow_run: FollowRun
    ) -> None:
        """`find_cost` asks for records, `follow_run` has the invoice made."""
        self._ledger = ledger
        self._vault = vault
        self._find_cost = find_cost
        self._follow_run = follow_run

    async def close(self, escrow: Escrow, *, fee_msat: int) -> Escrow:
        """The task with its invoice; closed before, it is as it was, whatever the fee says now.

        Raises TaskNotOpen, TaskBusy, TaskUnanswered, RequestInvalid for a fee that was never named,
        NodeUnavailable (the price is fixed: told again it makes the invoice), InvoiceRefused and
        Quarantined.
        """
        if escrow.closing is None:
            terms = self._refuse(escrow)
            _refuse_fee(terms, fee_msat)
            escrow = await self._confirmed(escrow)
            escrow = await self._closed(escrow, fee_msat)
        return await self._invoiced(escrow)

    async def give_up(self, escrow: Escrow) -> Escrow:
        """The task, ended with nothing sold; ended before, it is as it was.

        Raises TaskNotOpen once it is closed, and TaskBusy.
        """
        for _ in range(TRIES):
            if escrow.state is EscrowState.FAILED and escrow.closing is None:
                return escrow
            self._refuse_closed(escrow)
            try:
                return await self._ledger.record(escrow, TaskEnded(failure=GIVEN_UP))
            except Conflict:
                escrow = await self._ledger.escrow(escrow.escrow_id)
        raise _changing()

    def _refuse(self, escrow: Escrow) -> TaskTerms:
        terms = open_terms(escrow, ending_ms=self._ledger.ending_ms())
        self._refuse_closed(escrow)
        if escrow.answer_sha256 is None:
            raise TaskUnanswered(UNANSWERED)
        return terms

    def _refuse_closed(self, escrow: Escrow) -> None:
        if escrow.state is not EscrowState.RUNNING:
            raise TaskNotOpen("This task is closed already, and cannot be given up any more.")
        if escrow.quarantine is not None:
            raise waiting_fault(escrow)
        if escrow.run.in_flight:
            raise busy()

    async def _confirmed(self, escrow: Escrow) -> Escrow:
        """The task with every cost confirmed that the upstream has a record of by now."""
        waited_s = 0.0
        for at_s in LOOKUPS_S:
            if at_s > waited_s:
                await self._ledger.clock.sleep(at_s - waited_s)
                waited_s = at_s
            open_runs = [run for run in await self._runs(escrow) if _is_provisional(run)]
            if not open_runs:
                break
            for run, cost in await self._looked_up(escrow, open_runs):
                await self._confirm(run, cost)
        return await self._ledger.escrow(escrow.escrow_id)

    async def _runs(self, escrow: Escrow) -> tuple[Run, ...]:
        return await self._ledger.books.runs_of(escrow.escrow_id)

    async def _looked_up(self, escrow: Escrow, runs: list[Run]) -> list[tuple[Run, Cost]]:
        places = asyncio.Semaphore(AT_ONCE)
        every = escrow.with_runs(runs)

        async def look(run: Run) -> Cost | None:
            async with places:
                return await self._find_cost.at_once(every.seen_from(run.run_id))

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(look(run)) for run in runs]
        found = zip(runs, (one.result() for one in asked), strict=True)
        return [(run, cost) for run, cost in found if cost is not None]

    async def _confirm(self, run: Run, cost: Cost) -> None:
        """What the record says, unless a timer was faster."""
        for _ in range(TRIES):
            now = await self._ledger.escrow_of_run(run.run_id)
            if not _is_provisional(now.run):
                return
            try:
                await self._ledger.record(now, CostConfirmed(cost=cost))
            except MovedOn:
                continue
            return
        raise _changing()

    async def _closed(self, escrow: Escrow, fee_msat: int) -> Escrow:
        for _ in range(TRIES):
            if escrow.closing is not None:
                return escrow
            self._refuse(escrow)
            event = await self._closing(escrow, fee_msat)
            try:
                return await self._ledger.record(escrow, event)
            except Conflict:
                escrow = await self._ledger.escrow(escrow.escrow_id)
        raise _changing()

    async def _closing(self, escrow: Escrow, fee_msat: int) -> TaskClosed:
        """What is said of the task as it stands; its own version keeps that from being late."""
        price_msat = escrow.price.price_msat + fee_msat
        if not price_msat:
            raise RequestInvalid(NOTHING_TO_PAY, param="fee_msat")
        runs = await self._runs(escrow)
        return TaskClosed(
            fee_msat=fee_msat,
            price_msat=price_msat,
            payment_hash=self._vault.payment_hash(escrow.escrow_id, escrow.attempt),
            provisional_runs=sum(_is_provisional(run) for run in runs),
        )

    async def _invoiced(self, escrow: Escrow) -> Escrow:
        """The task where its buyer can be told of an invoice, or was long ago."""
        if STATES[escrow.state].stage is Stage.RUNNING:
            escrow = await self._follow_run.joined(escrow.escrow_id)
        match STATES[escrow.state].stage:
            case Stage.RUNNING:
                raise waiting_fault(escrow)
            case Stage.FAILED:
                raise failure_fault(escrow.failure)
            case _:
                return escrow


def _is_provisional(run: Run) -> bool:
    """Whether it is sold, and only its answer has said what it cost."""
    return (
        run.has_answered
        and run.cost is not None
        and (run.cost.standing is CostStanding.PROVISIONAL)
    )


def _refuse_fee(terms: TaskTerms, fee_msat: int) -> None:
    if fee_msat > terms.max_fee_msat:
        message = (
            f"The fee of this task is at most {sat_text(terms.max_fee_msat)} sat, as it was "
            "opened; name a larger max_fee_sat when you open the next one."
        )
        raise RequestInvalid(message, param="fee_msat")


def _changing() -> BooksBusy:
    return BooksBusy("This task is being changed many times over; ask again.", retry_after_s=1)
