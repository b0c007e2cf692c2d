"""What the node is asked for, and what each of its answers makes of a costed escrow."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from cobot_meter.domain.errors import InvoiceRefused, NodeUnavailable
from cobot_meter.domain.escrow.record import Escrow, IssuedInvoice
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import Invoice, InvoiceOrder, InvoiceState
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.sale.ask_completion import AnswerKind
from cobot_meter.flows.sale.issue_invoice import TOO_LATE, IssueInvoice
from cobot_meter.ports.lightning_node import LightningNode
from tests.fakes.upstream_outcomes import FREE_MODEL, Completes
from tests.flows.rigs.process import RETENTION
from tests.flows.rigs.stories import BODY, CALLER, COST, Stage, ask, ask_of
from tests.flows.sale.test_crash_points import staged

S = Progress
EXPIRY_S = 77
PRICE_MSAT = 8_124


class Answering:
    """A node that answers each order with the next of its words."""

    def __init__(self, *words: InvoiceState | Exception) -> None:
        self.words = list(words)
        self.orders: list[InvoiceOrder] = []

    async def add_invoice(self, order: InvoiceOrder) -> Invoice:
        """As the node would: an invoice in some state, or a fault."""
        self.orders.append(order)
        word = self.words.pop(0)
        if isinstance(word, Exception):
            raise word
        return Invoice(
            payment_hash=order.payment_hash,
            payment_request=f"lnbcrt {len(self.orders)}",
            amount_msat=order.amount_msat,
            state=word,
            created_at_s=5,
            expires_at_s=5 + order.expiry_s,
        )


class Desk:
    """The flow, in front of a node whose words are given."""

    def __init__(self, stage: Stage, *words: InvoiceState | Exception) -> None:
        self.node = Answering(*words)
        self.gate = NodeGate(release_gate=ReleaseGate())
        self.invoices = IssueInvoice(
            ledger=stage.process.ledger,
            vault=stage.process.vault,
            node=cast("LightningNode", self.node),
            node_gate=self.gate,
            settle_invoice=stage.process.settle_invoice,
            expiry_s=EXPIRY_S,
        )


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A run whose cost is known, and for which no invoice could be made yet."""
    async with staged(tmp_path / "node") as begun:
        begun.lasting.upstream.usually = Completes(cost=COST)
        begun.node.set_faults(replace(begun.node.faults, down=True))
        await ask(begun)
        assert (begun.escrow.progress, begun.escrow.due_msat) == (Progress.COSTED, PRICE_MSAT)
        yield begun


def preimage(stage: Stage, escrow: Escrow, attempt: int) -> tuple[bytes, str]:
    """What an attempt is always asked for with: the preimage and its hash."""
    secret = stage.lasting.identifiers.preimage(escrow.escrow_id, attempt)
    return secret, hashlib.sha256(secret).hexdigest()


async def test_the_order_is_whole_and_what_the_node_made_is_kept(stage: Stage) -> None:
    """Whole satoshis, the hash that was stored with the cost, and whose it is in the memo."""
    desk, escrow = Desk(stage, InvoiceState.OPEN), stage.escrow
    secret, payment_hash = preimage(stage, escrow, 0)
    invoiced = await desk.invoices.costed(escrow)
    assert desk.node.orders == [
        InvoiceOrder(
            preimage=secret,
            payment_hash=payment_hash,
            amount_msat=9_000,
            memo=f"cobot-meter completion {CALLER}.{payment_hash[:8]}",
            expiry_s=EXPIRY_S,
        )
    ]
    assert escrow.payment_hash == payment_hash
    assert invoiced.progress is S.INVOICED
    assert invoiced.invoice == IssuedInvoice(
        payment_request="lnbcrt 1", amount_msat=9_000, expires_at_s=5 + EXPIRY_S
    )


async def test_an_invoice_that_was_canceled_before_we_stored_it_has_a_next_attempt(
    stage: Stage,
) -> None:
    """Nobody was ever told of it: another hash is stored first, and then asked for."""
    desk = Desk(stage, InvoiceState.CANCELED, InvoiceState.CANCELED, InvoiceState.OPEN)
    escrow = stage.escrow
    for attempt in (1, 2):
        escrow = await desk.invoices.costed(escrow)
        _, payment_hash = preimage(stage, escrow, attempt)
        assert (escrow.progress, escrow.attempt) == (Progress.COSTED, attempt)
        assert escrow.payment_hash == payment_hash
        assert escrow.invoice is None
    escrow = await desk.invoices.costed(escrow)
    assert escrow.progress is S.INVOICED
    asked_for = [(order.preimage, order.payment_hash) for order in desk.node.orders]
    assert asked_for == [preimage(stage, escrow, attempt) for attempt in range(3)]
    kinds = [entry.kind for entry in stage.books.rows.journal.values()]
    assert kinds.count("invoice_lost") == 2


@pytest.mark.parametrize("state", [InvoiceState.ACCEPTED, InvoiceState.SETTLED])
async def test_an_invoice_that_is_paid_already_is_issued_all_the_same(
    stage: Stage, state: InvoiceState
) -> None:
    """An earlier try made it and its caller has paid: the settlement is told by itself."""
    invoiced = await Desk(stage, state).invoices.costed(stage.escrow)
    assert invoiced.progress is S.INVOICED


async def test_a_node_that_is_away_stops_new_sales_and_is_asked_again(stage: Stage) -> None:
    """The escrow waits as it is, and nothing is run meanwhile that could not be sold."""
    desk, escrow = Desk(stage, NodeUnavailable("away"), InvoiceState.OPEN), stage.escrow
    desk.gate.check()
    assert await desk.invoices.costed(escrow) == escrow
    with pytest.raises(NodeUnavailable):
        desk.gate.check()
    assert (await desk.invoices.costed(escrow)).progress is S.INVOICED


async def test_a_node_that_refuses_ends_the_sale_in_its_own_words(stage: Stage) -> None:
    """What it cost is ours, and new sales go on."""
    desk = Desk(stage, InvoiceRefused("the node says no"))
    failed = await desk.invoices.costed(stage.escrow)
    assert failed.progress is S.FAILED
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.message) == (
        InvoiceRefused.code,
        "the node says no",
    )
    desk.gate.check()


@pytest.mark.parametrize(("late_ms", "state"), [(0, S.INVOICED), (1, S.FAILED)])
async def test_a_day_without_an_invoice_ends_the_sale(
    stage: Stage, late_ms: int, state: Progress
) -> None:
    """To the millisecond, and without asking the node any more."""
    desk, escrow = Desk(stage, InvoiceState.OPEN), stage.escrow
    stage.lasting.clock.set_ms(escrow.opened_at_ms + RETENTION.costed_ms + late_ms)
    after = await desk.invoices.costed(escrow)
    assert after.progress is state
    assert after.failure == (TOO_LATE if late_ms else None)
    assert len(desk.node.orders) == (0 if late_ms else 1)


async def test_what_costs_nothing_is_settled_without_the_node(stage: Stage) -> None:
    """An invoice over nothing would be one over any amount."""
    stage.process.node_gate.open()
    asked = ask_of(body=BODY.replace(b"?", b"!"))
    free = replace(asked, request=replace(asked.request, model=FREE_MODEL.model_id))
    answer = await stage.process.ask_completion.answer(free)
    assert answer.kind is AnswerKind.COMPLETION
    assert (stage.escrow.price_msat, stage.escrow.invoice) == (0, None)
    kinds = [entry.kind for entry in stage.books.rows.journal.values()]
    assert "covered_by_credit" in kinds
