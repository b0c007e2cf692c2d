"""What cannot be booked is one sale's own trouble: parked, shown, let go on or written off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.background.wake_hub import WakeHub
from cobot_meter.domain.errors import Conflict, EscrowNotFound, Quarantined, RequestInvalid
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import EscrowState, Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Cost, CostStanding
from cobot_meter.domain.topup.events import TopupQuarantined
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.flows.operate.quarantine import Quarantine
from cobot_meter.flows.sale.follow_run import FollowRun, Waits
from tests.fakes.books import Crash, Killed, Moment
from tests.fakes.twin_books import file_twins
from tests.flows.rigs.process import RETENTION
from tests.flows.rigs.stories import (
    ADDRESS,
    CALLER,
    Stage,
    ask,
    ask_another,
    ask_of,
    claim,
    hear,
    pay,
)
from tests.flows.sale.test_crash_points import staged

S = Progress


def choosy(stage: Stage, kind: str | None) -> None:
    """From now on the books of this stage take no such entry."""
    file_twins(stage.lasting.books).unbookable = kind


def desk(stage: Stage) -> Quarantine:
    """The operator's hand on the stage's process."""
    process = stage.process
    return process.quarantine


async def findings(stage: Stage) -> list[str]:
    """The codes of everything that the audit holds against the books."""
    report = await AuditLedger(
        reports=stage.books,
        node=lambda: stage.lasting.node,
        upstream=None,
        retention=RETENTION,
    ).audit()
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("completion_received", Progress.REQUESTED),
        ("cost_known", Progress.GENERATED),
        ("invoice_issued", Progress.COSTED),
    ],
)
async def test_a_sale_that_cannot_be_booked_is_parked_and_told_so(
    tmp_path: Path, kind: str, state: Progress
) -> None:
    """503 with a true sentence at every repeat, nothing runs again, and others are sold."""
    async with staged(tmp_path / "node") as stage:
        choosy(stage, kind)
        await ask(stage)
        for _ in range(3):
            await ask(stage)
            assert isinstance(stage.fault, Quarantined)
            assert "waits for the operator" in stage.fault.message
        assert (stage.escrow.progress, stage.lasting.upstream.posts) == (state, 1)
        assert stage.escrow.quarantine == (
            f"{kind}: {stage.escrow.escrow_id}/{kind}"
            f"{'/0' if kind == 'invoice_issued' else ''} cannot be booked: out of range"
        )
        assert await findings(stage) == ["quarantined"]
        await stage.process.tick()
        assert stage.lasting.upstream.posts == 1
        choosy(stage, None)
        await ask_another(stage)
        assert stage.fault is None


async def test_retried_it_goes_on_where_it_was(tmp_path: Path) -> None:
    """The cause mended, it is invoiced, paid and delivered, and the books are right."""
    async with staged(tmp_path / "node") as stage:
        choosy(stage, "cost_known")
        await ask(stage)
        escrow_id = stage.escrow.escrow_id
        again = await desk(stage).retry(escrow_id)
        assert again.again is not None
        assert "out of range" in again.again
        choosy(stage, None)
        retried = await desk(stage).retry(escrow_id)
        assert retried.again is None
        await stage.process.tick()
        for step in (ask, pay(), hear, claim):
            await step(stage)
        assert stage.answer is not None
        assert stage.escrow.progress is S.RELEASED
        assert stage.lasting.upstream.posts == 1
        assert await findings(stage) == []


async def test_a_payment_that_cannot_be_booked_is_credit_when_written_off(tmp_path: Path) -> None:
    """The node is asked what was paid; the cost stays an expense, nothing is released."""
    async with staged(tmp_path / "node") as stage:
        await ask(stage)
        choosy(stage, "invoice_settled")
        await pay()(stage)
        with pytest.raises(Quarantined):
            await hear(stage)
        assert (stage.escrow.progress, stage.escrow.paid_msat) == (S.INVOICED, 0)
        paid = stage.escrow.invoice
        assert paid is not None
        ended = await desk(stage).write_off(stage.escrow.escrow_id, "the figure is too large")
        assert ended.progress is S.EXPIRED
        standing = await stage.process.books.standing(stage.escrow.caller_id)
        assert standing.available_msat == paid.amount_msat
        assert stage.books.rows.ledger.of(chart.COST_UNPAID).net == stage.escrow.cost_pusd > 0
        assert stage.books.rows.ledger.open_reservations() == {}
        entry = list(stage.books.rows.journal.values())[-1]
        assert (entry.kind, entry.facts["reason"]) == ("written_off", "the figure is too large")
        choosy(stage, None)
        await hear(stage)
        assert await findings(stage) == []
        assert (await stage.process.books.standing(stage.escrow.caller_id)) == standing


@pytest.mark.parametrize("kind", ["completion_received", "cost_known", "invoice_issued"])
async def test_unpaid_it_ends_without_a_charge(tmp_path: Path, kind: str) -> None:
    """Nothing is reserved any more, and the same ask opens anew after the failure was told."""
    async with staged(tmp_path / "node") as stage:
        choosy(stage, kind)
        await ask(stage)
        ended = await desk(stage).write_off(stage.escrow.escrow_id, "looked at")
        assert ended.progress is S.FAILED
        assert stage.books.rows.ledger.open_reservations() == {}
        assert await findings(stage) == []
        choosy(stage, None)
        await ask(stage)
        assert stage.fault is not None
        assert "the operator has closed it" in stage.fault.message
        stage.lasting.clock.advance(61)
        await ask(stage)
        assert stage.fault is None


async def test_paid_work_is_delivered_whatever_else_cannot_be_booked(tmp_path: Path) -> None:
    """A late figure of the upstream that no column holds does not stand between buyer and work."""
    async with staged(tmp_path / "node") as stage:
        for step in (ask, pay(), hear):
            await step(stage)
        choosy(stage, "cost_confirmed")
        said = Cost(cost_pusd=10, text="1e-11", standing=CostStanding.CONFIRMED)
        with pytest.raises(Quarantined):
            await stage.process.record_event.record(stage.escrow, ran.CostConfirmed(cost=said))
        assert stage.escrow.quarantine is not None
        await claim(stage)
        assert stage.answer is not None
        assert stage.escrow.progress is S.RELEASED


async def test_what_was_decided_on_an_old_row_parks_nothing(tmp_path: Path) -> None:
    """An event that cannot follow what stands now is for whoever reads the row again."""
    async with staged(tmp_path / "node") as stage:
        await ask(stage)
        before = stage.escrow
        for step in (pay(), hear):
            await step(stage)
        stale = replace(before, state=EscrowState.RUNNING)
        with pytest.raises(Conflict):
            await stage.process.record_event.record(stale, on.InvoiceCanceled(payment_hash="00"))
        assert stage.escrow.quarantine is None


async def test_a_top_up_that_cannot_be_credited_is_parked_too(tmp_path: Path) -> None:
    """Its payer is told so, and it is credited when the operator lets it go on."""
    async with staged(tmp_path / "node") as stage:
        topup = await stage.process.top_up.offer(address_key="a", caller_id=CALLER)
        await stage.node.pay(topup.payment_request, amount_msat=topup.amount_msat)
        choosy(stage, "topup_credited")
        with pytest.raises(Quarantined):
            await hear(stage)
        with pytest.raises(Quarantined):
            await stage.process.top_up.offer(address_key="a", caller_id=CALLER)
        assert await findings(stage) == ["quarantined"]
        assert (await desk(stage).listed()) == (await stage.process.books.topup(topup.topup_id),)
        again = await desk(stage).retry(topup.topup_id)
        assert again.again is not None
        choosy(stage, None)
        retried = await desk(stage).retry(topup.topup_id)
        assert retried.subject.state is TopupState.CREDITED
        assert await findings(stage) == []


@pytest.mark.parametrize("paid", [True, False])
async def test_a_top_up_is_written_off_with_what_was_paid(tmp_path: Path, paid: bool) -> None:  # noqa: FBT001 - a case
    """Paid, it is credited after all; unpaid, its invoice is canceled and it lapses."""
    async with staged(tmp_path / "node") as stage:
        topup = await stage.process.top_up.offer(address_key="a", caller_id=CALLER)
        parked = TopupQuarantined(reason="topup_credited: out of range")
        await stage.process.record_event.record_topup(topup, parked)
        if paid:
            await stage.node.pay(topup.payment_request, amount_msat=topup.amount_msat)
        ended = await desk(stage).write_off(topup.topup_id, "looked at")
        assert isinstance(ended, Topup)
        assert ended.state is (TopupState.CREDITED if paid else TopupState.LAPSED)
        standing = await stage.process.books.standing(CALLER)
        assert standing.available_msat == (topup.amount_msat if paid else 0)
        assert await findings(stage) == []


async def test_only_what_is_in_quarantine_is_touched(tmp_path: Path) -> None:
    """A name that is not there, and one that is well, are told apart."""
    async with staged(tmp_path / "node") as stage:
        await ask(stage)
        with pytest.raises(EscrowNotFound):
            await desk(stage).show("esc_nowhere")
        with pytest.raises(RequestInvalid, match="it is invoiced"):
            await desk(stage).write_off(stage.escrow.escrow_id, "a mistake")
        assert stage.escrow.progress is S.INVOICED
        assert stage.escrow.ask.address == ADDRESS


class NobodyTells(WakeHub):
    """Where a wait would be for nothing."""

    async def wait(self, subject_id: str, *, timeout_s: float) -> bool:
        message = f"{subject_id} waits for {timeout_s} s, and nobody will say anything"
        raise AssertionError(message)


async def test_nobody_waits_for_a_run_that_is_parked(tmp_path: Path) -> None:
    """Requested and in quarantine: whoever asks hears so at once, and not when patience ends."""
    async with staged(tmp_path / "node") as stage:
        stage.process.mortal.crash = Crash(moment=Moment.AFTER)
        with pytest.raises(Killed):
            await stage.process.ask_completion.answer(ask_of())
        parked = on.QuarantineBegun(event="anything", reason="out of range")
        stage.process.mortal.dead, stage.process.mortal.crash = False, None
        await stage.process.record_event.record(stage.escrow, parked)
        follow = FollowRun(
            books=stage.books,
            runs=stage.process.runs,
            wakes=NobodyTells(),
            waits=Waits(identical_s=60),
        )
        escrow = await follow.joined(stage.escrow.escrow_id)
        assert (escrow.progress, escrow.quarantine is None) == (Progress.REQUESTED, False)
