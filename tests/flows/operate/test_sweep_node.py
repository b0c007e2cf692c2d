"""Node → books: what the node was paid and no book knows is found, credited and said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.domain.errors import NodeUnavailable, RequestInvalid
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import COMPLETION, InvoiceOrder, tagged
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.operate.sweep_node import INTERVAL_MS, STEP_S, SweepNode
from tests.contracts.lightning_node_rig import new_order
from tests.fakes.twin_books import Backup, file_twins
from tests.fakes.upstream_outcomes import NEVER, Completes
from tests.flows.rigs.process import RETENTION, Process
from tests.flows.rigs.stories import (
    CALLER,
    COST,
    Stage,
    adopt,
    another_node,
    ask,
    hear,
    pay,
    records_appear,
    tick,
    top_up,
    upstream,
    written_off,
)
from tests.flows.sale.test_crash_points import staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A started process over empty books, which have begun to sweep."""
    async with staged(tmp_path / "node") as ready:
        await upstream(Completes(cost=COST))(ready)
        await sweep_of(ready).begin()
        yield ready


def sweep_of(stage: Stage, gate: NodeGate | None = None) -> SweepNode:
    """The flow over the process of now."""
    process, lasting = stage.process, stage.lasting
    return SweepNode(
        ledger=process.ledger,
        vault=process.vault,
        settle_invoice=process.settle_invoice,
        node=lasting.node,
        ours=process.ours,
        node_gate=gate or NodeGate(),
    )


async def restored(stage: Stage, backup: Backup) -> None:
    """The process dies, and starts again over the books of the backup."""
    await stage.process.kill()
    file_twins(stage.lasting.books).restore(backup)
    stage.process = Process(stage.lasting)


def backup_of(stage: Stage) -> Backup:
    """The books as they are now."""
    return file_twins(stage.lasting.books).backup()


async def findings(stage: Stage) -> set[tuple[str, str]]:
    """What an audit that knows our tags holds against the books."""
    audit = AuditLedger(
        reports=stage.books,
        node=lambda: stage.node,
        upstream=None,
        retention=RETENTION,
        caller_of_tag=stage.lasting.identifiers.caller_of_tag,
    )
    return {(one.code, one.subject) for one in (await audit.audit()).findings}


async def sold(stage: Stage) -> str:
    """One completion asked for and paid; its payment hash."""
    await ask(stage)
    await pay()(stage)
    await hear(stage)
    return str(stage.escrow.payment_hash)


async def test_books_that_know_everything_are_clean(stage: Stage) -> None:
    """A sweep of honest books books nothing and lets go of the gate."""
    await sold(stage)
    await top_up(stage)
    await hear(stage)
    gate, entries = NodeGate(), len(stage.books.rows.journal)
    sweep = sweep_of(stage, gate)
    gate.hold()
    swept = await sweep.sweep()
    assert swept.clean
    assert (swept.found, swept.late) == (0, 0)
    assert len(stage.books.rows.journal) == entries
    assert not gate.held


async def test_older_books_credit_what_was_paid_since(stage: Stage) -> None:
    """K3.3: an escrow and a top-up of the lost past become their caller's credit, once."""
    backup = backup_of(stage)
    payment_hash = await sold(stage)
    escrow = stage.escrow
    await top_up(stage)
    await hear(stage)
    await restored(stage, backup)
    assert ("settlement_missing", payment_hash) in await findings(stage)
    swept = await sweep_of(stage).sweep()
    assert (swept.found, swept.clean) == (2, True)
    assert swept.found_msat == escrow.paid_msat + 40_000
    standing = await stage.books.standing(CALLER)
    assert standing.available_msat == swept.found_msat
    assert await findings(stage) == set()
    assert (await sweep_of(stage).sweep()).found == 0
    said = stage.books.rows.journal["node/node_swept/1"].facts
    assert (said["found"], said["found_msat"]) == (2, swept.found_msat)


async def test_an_escrow_that_the_backup_knows_is_settled_not_credited(stage: Stage) -> None:
    """What was open in the backup, and paid since, is sold as if nothing had happened."""
    await ask(stage)
    backup = backup_of(stage)
    await pay()(stage)
    await hear(stage)
    await restored(stage, backup)
    swept = await sweep_of(stage).sweep()
    assert (swept.late, swept.found) == (1, 0)
    assert stage.escrow.progress is Progress.SETTLED


def state_of(stage: Stage) -> Progress:
    """Of the newest escrow, now."""
    return stage.escrow.progress


async def _generated_in_the_backup(stage: Stage) -> Backup:
    """A run whose cost is not known yet; then it was, and was invoiced and paid."""
    await upstream(Completes(cost=COST, says_cost=False, lookups_before_record=NEVER))(stage)
    await ask(stage)
    assert state_of(stage) is Progress.GENERATED
    backup = backup_of(stage)
    await records_appear(stage)
    stage.lasting.clock.advance(60)
    await tick(stage)
    assert state_of(stage) is Progress.INVOICED
    await pay()(stage)
    await hear(stage)
    return backup


async def test_what_may_still_come_is_waited_for(stage: Stage) -> None:
    """An escrow of the backup that has yet to be costed will have the very invoice again."""
    await restored(stage, await _generated_in_the_backup(stage))
    gate = NodeGate()
    sweep = sweep_of(stage, gate)
    await sweep.begin()
    swept = await sweep.sweep()
    assert (swept.pending, swept.found) == (1, 0)
    assert gate.held
    await tick(stage)
    await tick(stage)
    assert (await sweep.sweep()).clean
    assert not sweep.holds
    assert stage.escrow.progress is Progress.SETTLED
    assert await findings(stage) == set()


async def test_a_payment_for_what_failed_in_the_restored_books_is_credit(stage: Stage) -> None:
    """Here its cost was never found, so nothing was sold: what was paid for it is its caller's."""
    await restored(stage, await _generated_in_the_backup(stage))
    stage.lasting.upstream.reachable = False
    for _ in range(3):
        stage.lasting.clock.advance(25 * STEP_S)
        await tick(stage)
    assert stage.escrow.progress is Progress.FAILED
    swept = await sweep_of(stage).sweep()
    assert (swept.found, swept.clean) == (1, True)
    standing = await stage.books.standing(CALLER)
    assert standing.available_msat == swept.found_msat > 0
    assert await findings(stage) == set()


async def test_a_payment_that_names_nobody_stops_the_sale_until_the_operator_says(
    stage: Stage,
) -> None:
    """An invoice from before memos had tags: not guessed, shown, and set aside with a reason."""
    order = await _foreign_invoice(stage, COMPLETION)
    gate = NodeGate()
    sweep = sweep_of(stage, gate)
    swept = await sweep.sweep()
    assert list(swept.unnamed) == [order.payment_hash]
    assert gate.held
    with pytest.raises(NodeUnavailable, match="nothing was run"):
        gate.check()
    with pytest.raises(NodeUnavailable, match="set-aside"):
        await sweep.ping()
    with pytest.raises(RequestInvalid, match="names no caller"):
        await sweep.set_aside("mistyped", "00" * 32)
    with pytest.raises(RequestInvalid, match="reason"):
        await sweep.set_aside(" ")
    assert await sweep.set_aside("our test shop of May") == (order.payment_hash,)
    gate.check()
    assert await findings(stage) == set()


async def test_another_services_payments_are_its_own(stage: Stage) -> None:
    """A second service on the same node: its tags are not ours, and say so."""
    await _foreign_invoice(stage, tagged(COMPLETION, "somebody-elses-tag"))
    await _foreign_invoice(stage, "coffee")
    swept = await sweep_of(stage).sweep()
    assert (swept.foreign, swept.clean) == (1, True)
    assert await findings(stage) == set()


async def _foreign_invoice(stage: Stage, memo: str) -> InvoiceOrder:
    """An invoice that these books never made, paid."""
    plain = new_order()
    order = InvoiceOrder(
        preimage=plain.preimage,
        payment_hash=plain.payment_hash,
        amount_msat=plain.amount_msat,
        memo=memo,
        expiry_s=600,
    )
    invoice = await stage.node.add_invoice(order)
    await stage.node.pay(invoice.payment_request)
    return order


async def test_the_mark_waits_for_whatever_is_open(stage: Stage) -> None:
    """An invoice that can still be paid is listed again, however old it is; then the mark moves."""
    stage.lasting.clock.advance(3 * STEP_S)
    await stage.process.catalogue.refresh()
    await ask(stage)
    made_s = stage.lasting.clock.now_ms() // 1_000
    stage.node.set_faults(replace(stage.node.faults, holds_expiry=True))
    stage.lasting.clock.advance(9 * STEP_S)
    await sweep_of(stage).sweep()
    assert _through_s(stage) <= made_s
    await pay()(stage)
    backup = backup_of(stage)
    await hear(stage)
    await restored(stage, backup)
    assert (await sweep_of(stage).sweep()).late == 1
    stage.lasting.clock.advance(9 * STEP_S)
    await sweep_of(stage).sweep()
    assert _through_s(stage) > made_s


def _through_s(stage: Stage) -> int:
    marks = [
        entry.facts["through_s"]
        for entry in stage.books.rows.journal.values()
        if entry.kind == "node_swept"
    ]
    assert isinstance(marks[-1], int)
    return marks[-1]


async def test_another_node_has_a_mark_of_its_own(stage: Stage) -> None:
    """What is made at an adopted node is listed from its adoption on, however long ago that is."""
    await another_node(stage)
    await adopt(stage)
    await upstream(Completes(cost=COST))(stage)
    await sweep_of(stage).sweep()
    mark_s = _through_s(stage)
    backup = backup_of(stage)
    payment_hash = await sold(stage)
    stage.lasting.clock.advance(50 * STEP_S)
    await restored(stage, backup)
    assert ("settlement_missing", payment_hash) in await findings(stage)
    assert (await sweep_of(stage).sweep()).found == 1
    assert _through_s(stage) > mark_s


async def test_a_payment_that_cannot_be_booked_stops_nobody_else(stage: Stage) -> None:
    """What the books do not hold of it is its escrow's own trouble; the gate is let go."""
    await ask(stage)
    await pay()(stage)
    file_twins(stage.lasting.books).unbookable = "invoice_settled"
    gate = NodeGate()
    sweep = sweep_of(stage, gate)
    await sweep.begin()
    swept = await sweep.sweep()
    assert (swept.late, swept.found, swept.clean) == (0, 0, True)
    assert stage.escrow.quarantine is not None
    assert not gate.held


async def test_what_was_written_off_as_credit_is_not_credited_again(stage: Stage) -> None:
    """The word that wrote it off is the booking of its payment: a sweep finds nothing in it."""
    await ask(stage)
    await pay()(stage)
    books = file_twins(stage.lasting.books)
    books.unbookable = "invoice_settled"
    assert (await sweep_of(stage).sweep()).found == 0
    await written_off(stage)
    books.unbookable = None
    credit_msat = (await stage.books.standing(CALLER)).available_msat
    assert credit_msat == stage.escrow.paid_msat > 0
    swept = await sweep_of(stage).sweep()
    assert (swept.late, swept.found, swept.clean) == (0, 0, True)
    assert (await stage.books.standing(CALLER)).available_msat == credit_msat
    assert await findings(stage) == set()


async def test_a_silent_node_leaves_the_gate_held(stage: Stage) -> None:
    """Nothing is sold before the node has been asked, and it is asked again."""
    gate = NodeGate()
    sweep = sweep_of(stage, gate)
    await sweep.begin()
    stage.node.set_faults(replace(stage.node.faults, down=True))
    with pytest.raises(NodeUnavailable):
        await sweep.sweep()
    assert gate.held
    assert sweep.is_due()


async def test_a_clean_sweep_is_due_again_after_a_while(stage: Stage) -> None:
    """On a timer, not at every look; a clock that was set back does not put it off."""
    sweep = sweep_of(stage)
    assert sweep.is_due()
    await sweep.sweep()
    assert not sweep.is_due()
    stage.lasting.clock.advance(INTERVAL_MS / 1_000)
    assert sweep.is_due()
