"""The books belong to one node, and to another when the operator says so."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.domain.errors import NodeUnavailable, SettingInvalid
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import next_adoption
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.node import node_adopted
from cobot_meter.flows.audit.findings import AuditReport
from cobot_meter.flows.audit.ledger import AuditLedger
from tests.flows.rigs.process import RETENTION, Process
from tests.flows.rigs.stories import (
    CALLER,
    Stage,
    adopt,
    after,
    another_node,
    ask,
    ask_another,
    claim,
    completes,
    hear,
    node_loses_every_reply,
    offer_topup,
    pay,
    tick,
    top_up,
)
from tests.flows.sale.test_crash_points import prove_sound, staged

S = Progress


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A started process at the first of two nodes."""
    async with staged(tmp_path / "node") as one:
        await completes()(one)
        yield one


def adoptions(stage: Stage) -> list[str]:
    """The public keys in the journal, in order."""
    entries = stage.books.rows.journal.values()
    return [str(one.facts["pubkey"]) for one in entries if one.kind == "node_adopted"]


async def audited(stage: Stage) -> AuditReport:
    """What an audit beside the node of now says."""
    return await AuditLedger(
        reports=stage.books, node=lambda: stage.node, upstream=None, retention=RETENTION
    ).audit()


async def test_empty_books_belong_to_the_first_node_they_meet(stage: Stage) -> None:
    """It is booked once, and every later start finds it."""
    await stage.process.adopt_node.begin()
    await Process(stage.lasting).start()
    assert adoptions(stage) == [stage.lasting.identity.pubkey]
    adopted = await stage.books.node()
    assert adopted is not None
    assert adopted.is_of(stage.lasting.identity)
    renamed = dataclasses.replace(stage.lasting.identity, alias="another name")
    assert adopted.is_of(renamed)


@pytest.mark.parametrize("differs", ["pubkey", "network"])
async def test_a_start_at_another_node_is_refused(stage: Stage, differs: str) -> None:
    """One sentence says whose books these are and what the operator can do; nothing is booked."""
    before = stage.books.rows
    other = dataclasses.replace(stage.lasting.identity, **{differs: "02" + "ef" * 32})
    stage.lasting.identity = other
    with pytest.raises(SettingInvalid, match="cobot-meter lnd adopt") as refused:
        await Process(stage.lasting).start()
    assert "\n" not in refused.value.message
    assert stage.books.rows is before


async def test_what_was_open_on_the_old_node_is_closed(stage: Stage) -> None:
    """Unpaid completions expire and top-ups lapse as if canceled; no reservation is left."""
    await ask(stage)
    await offer_topup(stage)
    first = stage.lasting.identity.pubkey
    await another_node(stage)
    adoption = await stage.process.adopt_node.adopt()
    assert adoption.left is not None
    assert adoption.left.pubkey == first
    assert (adoption.escrows_closed, adoption.topups_closed, adoption.invoices_anew) == (1, 1, 0)
    assert stage.escrow.progress is S.EXPIRED
    (topup,) = stage.books.rows.topups.values()
    assert topup.state is TopupState.LAPSED
    ledger = stage.books.rows.ledger
    assert ledger.of(chart.receivable(CALLER)).debits_pending == 0
    assert ledger.of(chart.lapsed(CALLER)).net == stage.escrow.price_msat
    assert adoptions(stage) == [first, stage.lasting.identity.pubkey]
    await prove_sound(stage)


async def test_what_is_priced_gets_its_invoice_from_the_new_node(stage: Stage) -> None:
    """Under another payment hash, since the old node may have made one of the first."""
    await node_loses_every_reply(stage)
    await ask(stage)
    before = stage.escrow
    assert before.progress is Progress.COSTED
    await another_node(stage)
    adoption = await stage.process.adopt_node.adopt()
    assert adoption.invoices_anew == 1
    assert stage.escrow.attempt == before.attempt + 1
    assert stage.escrow.payment_hash != before.payment_hash
    for step in (after(1), tick, pay(), claim):
        await step(stage)
    assert stage.escrow.progress is S.RELEASED
    await prove_sound(stage)


async def test_saying_it_again_changes_nothing(stage: Stage) -> None:
    """The same node is adopted once."""
    await ask(stage)
    await another_node(stage)
    await adopt(stage)
    before = stage.books.rows
    again = await stage.process.adopt_node.adopt()
    assert again.left is None
    assert stage.books.rows is before


async def test_nothing_of_another_node_is_heard_before(stage: Stage) -> None:
    """Without the operator's word it makes no invoice, and its silence proves nothing."""
    await ask(stage)
    await another_node(stage)
    await ask_another(stage)
    assert isinstance(stage.fault, NodeUnavailable)
    assert stage.escrow.progress is Progress.COSTED
    with pytest.raises(NodeUnavailable):
        await stage.process.recover.open_invoices()
    await stage.process.adopt_node.follow()
    assert [one.progress for one in stage.books.rows.escrows.values()] == [
        Progress.INVOICED,
        Progress.COSTED,
    ]


async def test_what_the_old_node_settled_is_credit_when_it_comes_back(stage: Stage) -> None:
    """Paid there while nobody listened: booked once it is adopted again, and what it bought."""
    await ask(stage)
    await pay()(stage)
    await another_node(stage)
    await adopt(stage)
    assert stage.escrow.paid_msat == 0
    await another_node(stage)
    await adopt(stage)
    assert len(adoptions(stage)) == 3
    await hear(stage)
    assert stage.escrow.bought_late
    await claim(stage)
    assert stage.escrow.progress is S.RELEASED
    await prove_sound(stage)


async def test_an_audit_asks_the_node_for_its_own_settlements_only(stage: Stage) -> None:
    """Those of a node that was left are counted, and are neither wrong nor unchecked."""
    await top_up(stage)
    await hear(stage)
    await another_node(stage)
    unsaid = await audited(stage)
    assert [one.code for one in unsaid.unchecked] == ["node_differs"]
    await adopt(stage)
    await ask(stage)
    await top_up(stage)
    await hear(stage)
    report = await audited(stage)
    assert (report.findings, report.unchecked) == ((), ())
    figures = report.figures
    assert (figures.settlements, figures.settlements_confirmed) == (1, 1)
    assert figures.settlements_elsewhere == 1


async def test_a_process_goes_along_with_what_another_adopted(stage: Stage) -> None:
    """At its next look it works with the new node; at the old one it says it cannot."""
    stays = Process(stage.lasting)
    first = stage.lasting.identity
    await another_node(stage)
    adopted = next_adoption(await stage.books.node(), stage.lasting.identity)
    await stage.lasting.books.apply(node_adopted(adopted, at_ms=1))
    await stage.process.adopt_node.follow()
    assert stage.process.ours.identity == stage.lasting.identity
    await ask(stage)
    assert stage.escrow.progress is S.INVOICED
    await another_node(stage)
    stays.ours.identity = first
    with pytest.raises(NodeUnavailable, match="lnd adopt"):
        await stays.adopt_node.follow()
