"""Ask everybody on a panel at once, put their answers together, and price what has answered.

All runs were requested in the commit that opened the sale. Each is asked, recorded and looked up as
the run of any other sale, beside the others; the report is stored as soon as nobody is awaited any
more, and its price is that of the sum of what those have cost who answered. What was interrupted
before there was a report ends: the answers were in memory alone. Must not know: HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import replace
from functools import partial

from cobot_meter.domain.body import Body
from cobot_meter.domain.consensus.panel import read_panel
from cobot_meter.domain.consensus.report import QUORUM
from cobot_meter.domain.errors import (
    BooksBusy,
    CobotMeterError,
    Conflict,
    OutcomeUnknown,
    UpstreamFailed,
)
from cobot_meter.domain.escrow.events import PanelAnswered, PanelEnded, PanelPriced
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.run.events import Abandoned
from cobot_meter.domain.run.record import Failure
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.flows.answer.panel_answer import (
    Said,
    answer_text,
    panel_completion,
    verified_completion,
    why_not_this,
)
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.sale.find_cost import FindCost
from cobot_meter.flows.sale.run_completion import RunCompletion, upstream_call
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.escrow_runs import UNFOLLOWED, JustOpened

TRIES = 8
UNREPORTED = Failure(
    code=OutcomeUnknown.code,
    message=(
        "The service was interrupted before there was a report of this panel, so its answers are "
        "lost. You are not charged. Ask again if you want another run."
    ),
)


class RunPanel:
    """Drives a panel until it is priced or has failed; from there on it is a sale like others."""

    def __init__(
        self, *, ledger: Ledger, vault: Vault, run_completion: RunCompletion, find_cost: FindCost
    ) -> None:
        """`run_completion` asks one member, `find_cost` asks what its answer cost."""
        self._ledger = ledger
        self._vault = vault
        self._run_completion = run_completion
        self._find_cost = find_cost

    async def just_opened(self, opened: JustOpened) -> Escrow:
        """The sale once every member has answered or failed, priced or ended where that is known.

        The cost of an answer is looked up while others are still awaited.
        """
        escrow, request = opened.escrow, opened.call.body.take()
        answers: dict[str, bytes] = {}
        if read_panel(escrow.route).in_turn:
            return await self._in_turn(opened, request, answers)
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._ask(opened, escrow.seen_from(run.run_id), request, answers))
                for run in escrow.runs
            ]
            for one in asked:
                one.add_done_callback(partial(self._then_look_up, group))
            await asyncio.wait(asked)
            # Without a report it ends below, and nothing of it is sold.
            with contextlib.suppress(CobotMeterError):
                await self._report(escrow.escrow_id, opened, request, answers)
        return await self._settled(escrow.escrow_id)

    async def _in_turn(
        self, opened: JustOpened, request: bytes, answers: dict[str, bytes]
    ) -> Escrow:
        """Ask until an answer passes its checks; whoever is left is never asked.

        What answered is billed, the last of it is sold: where none passes, that says so.
        """
        escrow_id, checked = opened.escrow.escrow_id, list[tuple[str, str]]()
        body = b""
        async with asyncio.TaskGroup() as group:
            for run in opened.escrow.runs:
                view = await self._ledger.escrow_of_run(run.run_id)
                group.create_task(self._look_up(await self._ask(opened, view, request, answers)))
                if run.run_id in answers:
                    body = answers[run.run_id]
                    checked.append((view.model, why_not_this(body, request)))
                    if not checked[-1][1]:
                        break
        await self._abandon(escrow_id)
        with contextlib.suppress(CobotMeterError):
            escrow = await self._whole(escrow_id)
            if checked:
                await self._store(escrow, opened, verified_completion(escrow, body, checked))
        return await self._settled(escrow_id)

    async def _abandon(self, escrow_id: str) -> None:
        """Nobody who is still only opened is asked any more."""
        for run in await self._ledger.books.runs_of(escrow_id):
            if run.state is RunState.OPENED:
                view = await self._ledger.escrow_of_run(run.run_id)
                with contextlib.suppress(Conflict):
                    await self._ledger.record(view, Abandoned(), lasting=True)

    async def resumed(self, escrow: Escrow) -> Escrow:
        """A sale whose members nobody asks any more: what was under way is unknown now.

        It stays as it is while the process that asked may still be at work on it, and while a cost
        is not known that may yet come.
        """
        runs = await self._ledger.books.runs_of(escrow.escrow_id)
        unreported = escrow.answer_sha256 is None
        if unreported and await self._run_completion.is_asked_elsewhere(runs[0]):
            return escrow
        for run in runs:
            if run.state is RunState.REQUESTED:
                view = await self._ledger.escrow_of_run(run.run_id)
                with contextlib.suppress(Conflict):
                    await self._run_completion.orphaned(view)
        runs = await self._ledger.books.runs_of(escrow.escrow_id)
        if any(run.state is RunState.REQUESTED for run in runs):
            return escrow
        await self._abandon(escrow.escrow_id)
        now_ms = self._ledger.now_ms()
        async with asyncio.TaskGroup() as group:
            for run in runs:
                if run.state is RunState.GENERATED and (run.lookup_at_ms or 0) <= now_ms:
                    group.create_task(self._look_up(run.run_id))
        return await self._settled(escrow.escrow_id)

    async def _ask(
        self, opened: JustOpened, view: Escrow, request: bytes, answers: dict[str, bytes]
    ) -> str:
        """One member, asked once; the id of its run, whatever has come of it.

        What cannot be recorded of one is that one's trouble: the others are asked all the same.
        """
        run_id = view.run.run_id
        own = replace(
            opened,
            escrow=view,
            call=upstream_call(view, Body(request)),
            chain=(),
            listener=UNFOLLOWED,
            hand_over=partial(answers.__setitem__, run_id),
        )
        with contextlib.suppress(CobotMeterError):
            await self._run_completion.just_opened(own)
        return run_id

    def _then_look_up(self, group: asyncio.TaskGroup, asked: asyncio.Task[str]) -> None:
        if not asked.cancelled() and asked.exception() is None:
            group.create_task(self._look_up(asked.result()))

    async def _look_up(self, run_id: str) -> None:
        """What its answer cost, if it has one; somebody else may have found out meanwhile."""
        with contextlib.suppress(CobotMeterError):
            view = await self._ledger.escrow_of_run(run_id)
            if view.run.state is RunState.GENERATED and view.quarantine is None:
                await self._find_cost.generated(view)

    async def _report(
        self, escrow_id: str, opened: JustOpened, request: bytes, answers: dict[str, bytes]
    ) -> None:
        """Store the report where enough have answered; else nothing is worth storing."""
        escrow = await self._whole(escrow_id)
        said = [
            Said(escrow.seen_from(run.run_id).model, answer_text(answers[run.run_id]))
            for run in escrow.runs
            if run.summary is not None and run.run_id in answers
        ]
        if len(said) >= QUORUM:
            body = panel_completion(escrow, said, request, at_ms=self._ledger.now_ms())
            await self._store(escrow, opened, body)

    async def _store(self, escrow: Escrow, opened: JustOpened, body: bytes) -> None:
        """Sealed, unless somebody is awaited still, or the operator is."""
        awaited = any(run.may_charge for run in escrow.runs)
        if awaited or opened.wrapped_key is None or escrow.quarantine is not None:
            return
        escrow_id = escrow.escrow_id
        sealed = await self._vault.seal_completion(escrow_id, body, wrapped_key=opened.wrapped_key)
        await self._ledger.record(
            escrow,
            PanelAnswered(answer_sha256=hashlib.sha256(body).hexdigest()),
            bodies=StoredBodies(completion=sealed, drop_request=True),
            lasting=True,
        )

    async def _settled(self, escrow_id: str) -> Escrow:
        """The sale, priced or ended if that can be said by now."""
        for _ in range(TRIES):
            escrow = await self._whole(escrow_id)
            over = escrow.state is not EscrowState.RUNNING or escrow.quarantine is not None
            if over or any(run.in_flight for run in escrow.runs):
                return replace(escrow, others=())
            quorum = read_panel(escrow.route).quorum
            enough = escrow.answer_sha256 is not None and len(escrow.sold_runs) >= quorum
            event = self._priced(escrow) if enough else PanelEnded(failure=_failure(escrow))
            try:
                return await self._ledger.record(escrow, event, lasting=True)
            except Conflict:
                continue  # a cost was confirmed in between: add up again
        message = "This panel is being changed many times over; repeat the request in a moment."
        raise BooksBusy(message, retry_after_s=1)

    def _priced(self, escrow: Escrow) -> PanelPriced:
        """One rounding of the sum; credit is used first."""
        sold = escrow.sold_runs
        priced_pusd = sum(run.billed_pusd(run.cost_pusd) for run in sold)
        price_msat = escrow.price_of(priced_pusd).price_msat
        return PanelPriced(
            priced_pusd=priced_pusd,
            price_msat=price_msat,
            credit_used_msat=min(escrow.reserved_msat, price_msat),
            payment_hash=self._vault.payment_hash(escrow.escrow_id, escrow.attempt),
            provisional_runs=sum(run.is_provisional for run in sold),
        )

    async def _whole(self, escrow_id: str) -> Escrow:
        """The sale with every run at hand, all read anew."""
        escrow = await self._ledger.escrow(escrow_id)
        runs = await self._ledger.books.runs_of(escrow_id)
        by_id = {run.run_id: run for run in runs}
        return replace(escrow, run=by_id[escrow.run_id]).with_runs(runs)


def _failure(escrow: Escrow) -> Failure:
    """Why there is no consensus: as one failed where all failed alike, else as a whole."""
    failed = [run.failure for run in escrow.runs if run.failure is not None]
    quorum = read_panel(escrow.route).quorum
    if escrow.answer_sha256 is None and len(escrow.sold_runs) >= quorum:
        return UNREPORTED
    whys = [
        f"{escrow.seen_from(run.run_id).model}: {run.failure.message.rstrip('.')}"
        for run in escrow.runs
        if run.failure is not None
    ]
    message = (
        f"Of the {len(escrow.runs)} models on the panel {len(escrow.sold_runs)} answered, and it "
        f"takes {quorum}. You are not charged. {'; '.join(whys)}."
    )
    alike = {(one.code, one.status) for one in failed}
    code, status = alike.pop() if len(alike) == 1 else (UpstreamFailed.code, 0)
    waits = [one.retry_after_s for one in failed if one.retry_after_s is not None]
    failure = Failure(code=code, message=message, status=status)
    return failure.asking_to_wait(max(waits) if waits and len(failed) == len(escrow.runs) else None)
