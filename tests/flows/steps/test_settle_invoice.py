"""The node's word, to the millisecond and the msat, however often and by whomever it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from cobot_meter.domain.errors import Conflict
from cobot_meter.domain.escrow.events import EscrowEvent
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import Invoice, InvoiceState, NodeIdentity
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.flows.record_event import RecordEvent
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.ports.lightning_node import LightningNode
from tests.fakes.upstream_outcomes import Completes
from tests.flows.rigs.process import EXPIRY_S
from tests.flows.rigs.stories import (
    CALLER,
    LAPSE_S,
    Stage,
    after,
    ask,
    hear,
    offer_topup,
    pay,
    tick,
    top_up,
    upstream,
)
from tests.flows.sale.test_crash_points import staged

S = Progress
# With the usual fee and markup this costs eight satoshis, to the msat.
EIGHT_SAT = Completes(cost="0.0000689358")
DUE_MSAT = 8_000
TEN_MINUTES_MS = 600_000


class Saying:
    """A node that knows one invoice, or none."""

    def __init__(self, invoice: Invoice | None, identity: NodeIdentity) -> None:
        self.invoice = invoice
        self.who = identity
        self.canceled: list[str] = []

    async def look_up(self, payment_hash: str) -> Invoice | None:
        """As it is."""
        del payment_hash
        return self.invoice

    async def cancel_invoice(self, payment_hash: str) -> Invoice:
        """From now on canceled."""
        assert self.invoice is not None
        self.canceled.append(payment_hash)
        self.invoice = replace(self.invoice, state=InvoiceState.CANCELED)
        return self.invoice

    async def identity(self) -> NodeIdentity:
        """Who it is."""
        return self.who


class Contested(RecordEvent):
    """Somebody else writes first, so many times."""

    def __init__(self, record_event: RecordEvent, times: int) -> None:
        self.record_event = record_event
        self.times = times
        self.tried = 0

    async def record(
        self,
        escrow: Escrow,
        event: EscrowEvent,
        *,
        bodies: StoredBodies | None = None,
        lasting: bool = False,
    ) -> Escrow:
        """Stale at first."""
        self.tried += 1
        if self.tried <= self.times:
            raise Conflict("somebody was first")
        return await self.record_event.record(escrow, event, bodies=bodies, lasting=lasting)


def asking(
    stage: Stage, node: Saying | None = None, recorder: RecordEvent | None = None
) -> SettleInvoice:
    """The flow, with another node or recorder."""
    process = stage.process
    return SettleInvoice(
        ledger=process.ledger_on(record_event=recorder),
        node=cast("LightningNode", node or stage.node),
        ours=process.ours,
    )


def word(stage: Stage, state: InvoiceState, paid_msat: int = 0, *, index: int = 9) -> Invoice:
    """What a node may say of the newest escrow's invoice."""
    made = stage.escrow.invoice
    assert made is not None
    return Invoice(
        payment_hash=str(stage.escrow.payment_hash),
        payment_request=made.payment_request,
        amount_msat=made.amount_msat,
        state=state,
        created_at_s=made.expires_at_s - EXPIRY_S,
        expires_at_s=made.expires_at_s,
        amount_paid_msat=paid_msat,
        settle_index=index if paid_msat else 0,
    )


def credit_of(stage: Stage) -> int:
    """The caller's credit in msat."""
    return -stage.books.rows.ledger.of(chart.available(CALLER)).net


def topup_of(stage: Stage) -> Topup:
    """The only one."""
    (topup,) = stage.books.rows.topups.values()
    return topup


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An open invoice over eight satoshis."""
    async with staged(tmp_path / "node") as begun:
        await upstream(EIGHT_SAT)(begun)
        await ask(begun)
        assert (begun.escrow.progress, begun.escrow.due_msat) == (S.INVOICED, DUE_MSAT)
        yield begun


@pytest.mark.parametrize(("times", "settled"), [(0, True), (1, True), (2, True), (3, False)])
async def test_a_word_is_read_again_where_somebody_wrote_first(
    stage: Stage, times: int, *, settled: bool
) -> None:
    """Two readers of one fact meet: three tries, and then it is left to be told again."""
    recorder = Contested(stage.process.record_event, times)
    paid = word(stage, InvoiceState.SETTLED, DUE_MSAT)
    if settled:
        await asking(stage, recorder=recorder).told(paid)
    else:
        with pytest.raises(Conflict):
            await asking(stage, recorder=recorder).told(paid)
    assert stage.escrow.progress is (S.SETTLED if settled else S.INVOICED)
    assert recorder.tried == min(times + 1, 3)


@pytest.mark.parametrize(("early_ms", "canceled"), [(1, False), (0, True)])
async def test_an_open_invoice_is_canceled_a_second_after_its_expiry(
    stage: Stage, early_ms: int, *, canceled: bool
) -> None:
    """To the millisecond by our clock; what is booked is what the node then says."""
    node = Saying(word(stage, InvoiceState.OPEN), stage.lasting.identity)
    assert stage.escrow.invoice is not None
    expires_ms = stage.escrow.invoice.expires_at_s * 1_000
    stage.lasting.clock.set_ms(expires_ms + 1_000 - early_ms)
    said = await asking(stage, node).ask_node(str(stage.escrow.payment_hash))
    assert said == node.invoice
    assert node.canceled == ([stage.escrow.payment_hash] if canceled else [])
    assert stage.escrow.progress is (S.EXPIRED if canceled else S.INVOICED)


@pytest.mark.parametrize("state", [InvoiceState.ACCEPTED, InvoiceState.SETTLED])
async def test_what_is_being_paid_is_never_canceled(stage: Stage, state: InvoiceState) -> None:
    """However long past its expiry it is."""
    paid_msat = DUE_MSAT if state is InvoiceState.SETTLED else 0
    node = Saying(word(stage, state, paid_msat), stage.lasting.identity)
    stage.lasting.clock.advance(2 * LAPSE_S)
    assert await asking(stage, node).ask_node(str(stage.escrow.payment_hash)) == node.invoice
    assert node.canceled == []
    assert stage.escrow.progress is (S.SETTLED if paid_msat else S.INVOICED)


@pytest.mark.parametrize(("early_ms", "forgotten"), [(1, False), (0, True)])
async def test_an_unknown_invoice_counts_as_canceled_ten_minutes_after_its_expiry(
    stage: Stage, early_ms: int, *, forgotten: bool
) -> None:
    """To the millisecond, for escrows and top-ups alike."""
    await offer_topup(stage)
    assert stage.escrow.invoice is not None
    node = Saying(None, stage.lasting.identity)
    asked = (
        (str(stage.escrow.payment_hash), stage.escrow.invoice.expires_at_s, 8_000),
        (topup_of(stage).payment_hash, topup_of(stage).expires_at_s, topup_of(stage).amount_msat),
    )
    for payment_hash, expires_at_s, amount_msat in asked:
        stage.lasting.clock.set_ms(expires_at_s * 1_000 + TEN_MINUTES_MS - early_ms)
        said = await asking(stage, node).ask_node(payment_hash)
        expected = Invoice(
            payment_hash=payment_hash,
            payment_request="",
            amount_msat=amount_msat,
            state=InvoiceState.CANCELED,
            created_at_s=0,
            expires_at_s=expires_at_s,
        )
        assert said == (expected if forgotten else None)
    assert stage.escrow.progress is (S.EXPIRED if forgotten else S.INVOICED)
    assert topup_of(stage).state is (TopupState.LAPSED if forgotten else TopupState.INVOICED)


async def test_an_invoice_that_nobody_has_business_with_is_not_forgotten(stage: Stage) -> None:
    """Neither one that the books do not know, nor one whose sale has ended."""
    await pay()(stage)
    await hear(stage)
    stage.lasting.clock.advance(10 * LAPSE_S)
    flow = asking(stage, Saying(None, stage.lasting.identity))
    assert await flow.ask_node(str(stage.escrow.payment_hash)) is None
    assert await flow.ask_node("00" * 32) is None
    assert stage.escrow.progress is S.SETTLED


async def lapsed(stage: Stage) -> None:
    """Nobody paid in time."""
    for step in (after(LAPSE_S), tick):
        await step(stage)
    assert stage.escrow.progress is S.EXPIRED


async def test_late_money_to_the_msat_buys_what_is_kept(stage: Stage) -> None:
    """What was due is enough."""
    await lapsed(stage)
    await asking(stage).told(word(stage, InvoiceState.SETTLED, DUE_MSAT))
    assert stage.escrow.progress is S.SETTLED
    assert credit_of(stage) == 0


async def test_late_money_short_of_what_was_due_is_only_credit(stage: Stage) -> None:
    """Even where other credit would do: nobody asked to spend that on it."""
    await lapsed(stage)
    for step in (top_up, hear):
        await step(stage)
    before = credit_of(stage)
    await asking(stage).told(word(stage, InvoiceState.SETTLED, DUE_MSAT - 1))
    assert stage.escrow.progress is S.EXPIRED
    assert credit_of(stage) == before + DUE_MSAT - 1


async def test_late_money_for_what_is_no_longer_kept_is_credit(stage: Stage) -> None:
    """A day after the lapse there is nothing left to buy, and nothing to park either."""
    await lapsed(stage)
    for step in (after(86_401), tick):
        await step(stage)
    assert stage.escrow.keep_until_ms is None
    await asking(stage).told(word(stage, InvoiceState.SETTLED, DUE_MSAT))
    assert (stage.escrow.progress, stage.escrow.quarantine) == (S.EXPIRED, None)
    assert credit_of(stage) == DUE_MSAT


async def test_a_payment_in_time_spends_no_credit(stage: Stage) -> None:
    """Credit that came after the ask stays the caller's; told again it changes nothing."""
    for step in (top_up, hear):
        await step(stage)
    before = credit_of(stage)
    for _ in range(2):
        await asking(stage).told(word(stage, InvoiceState.SETTLED, DUE_MSAT + 5))
        assert (stage.escrow.progress, stage.escrow.quarantine) == (S.SETTLED, None)
        assert credit_of(stage) == before + 5
    await asking(stage).told(word(stage, InvoiceState.CANCELED))
    assert stage.escrow.progress is S.SETTLED


@pytest.mark.parametrize("state", [InvoiceState.OPEN, InvoiceState.ACCEPTED])
async def test_what_is_not_decided_yet_books_nothing(stage: Stage, state: InvoiceState) -> None:
    """Seen by the node is not settled."""
    version = stage.escrow.version
    await asking(stage).told(word(stage, state, DUE_MSAT))
    assert stage.escrow.version == version


def of_topup(stage: Stage, state: InvoiceState, paid_msat: int = 0) -> Invoice:
    """What a node may say of the top-up's invoice."""
    topup = topup_of(stage)
    return Invoice(
        payment_hash=topup.payment_hash,
        payment_request=topup.payment_request,
        amount_msat=topup.amount_msat,
        state=state,
        created_at_s=0,
        expires_at_s=topup.expires_at_s,
        amount_paid_msat=paid_msat,
        settle_index=4 if paid_msat else 0,
    )


async def test_a_topup_is_credited_once_late_or_in_time(stage: Stage) -> None:
    """Lapsed first, then paid, then told of twice, and canceled by nobody after that."""
    await offer_topup(stage)
    flow, version = asking(stage), topup_of(stage).version
    await flow.told(of_topup(stage, InvoiceState.OPEN))
    assert (topup_of(stage).state, topup_of(stage).version) == (TopupState.INVOICED, version)
    stage.lasting.clock.advance(3)
    for _ in range(2):
        await flow.told(of_topup(stage, InvoiceState.CANCELED))
        assert (topup_of(stage).state, topup_of(stage).version) == (TopupState.LAPSED, version + 1)
    entry = list(stage.books.rows.journal.values())[-1]
    assert (entry.kind, entry.at_ms) == ("topup_lapsed", stage.lasting.clock.now_ms())
    for _ in range(2):
        await flow.told(of_topup(stage, InvoiceState.SETTLED, 7_777))
        credited = topup_of(stage)
        assert (credited.state, credited.version) == (TopupState.CREDITED, version + 2)
        assert (credited.paid_msat, credited.settle_index) == (7_777, 4)
        assert credit_of(stage) == 7_777
    entry = list(stage.books.rows.journal.values())[-1]
    assert (entry.kind, entry.at_ms) == ("topup_credited", stage.lasting.clock.now_ms())
    await flow.told(of_topup(stage, InvoiceState.CANCELED))
    assert topup_of(stage).version == version + 2


async def test_a_settlement_names_the_node_whose_word_it_is(stage: Stage) -> None:
    """With its own figures, as they go into the books."""
    paid = word(stage, InvoiceState.SETTLED, DUE_MSAT + 1, index=12)
    event = asking(stage).settled(paid)
    assert (event.payment_hash, event.paid_msat, event.settle_index) == (
        stage.escrow.payment_hash,
        DUE_MSAT + 1,
        12,
    )
    assert event.node_alias == stage.lasting.identity.alias
    assert event.node_pubkey == stage.lasting.identity.pubkey
