"""Books with one of everything in them, the node's word on them, and ways to do damage."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.invoices import (
    COMPLETION,
    Invoice,
    InvoiceOrder,
    InvoiceState,
    ListedInvoice,
    NodeIdentity,
)
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.topup import events as of_topup
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.escrows import escrow_transition
from cobot_meter.domain.transitions.operator import caller_transition
from cobot_meter.domain.transitions.topups import open_topup, topup_transition
from cobot_meter.domain.transitions.transition import CallerChange
from cobot_meter.domain.transitions.upstream import upstream_baseline, usage_compared
from cobot_meter.flows.audit.findings import AuditReport
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.domain.samples import (
    FAILURE,
    NODE,
    NOW_MS,
    PUBKEY,
    RETENTION,
    Shape,
    canceled,
    cost_known,
    cost_of,
    invoice_issued,
    invoice_lost,
    opened,
    opening_of,
    payment_hash_of,
    received,
    settled,
    used,
)
from tests.fakes.books import FakeBooks
from tests.fakes.twin_books import twin_books

BASELINE_PUSD = 5_000
Next = Callable[[Escrow], on.EscrowEvent]


class Teller:
    """Opens escrows in the books and tells them events."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self._settle_index = 0

    async def open(self, escrow_id: str, **shape: int | str) -> Escrow:
        escrow = opened(Shape(escrow_id=escrow_id, **shape))  # type: ignore[arg-type]
        await self.books.apply(opening_of(escrow, cap_msat=10**9))
        return escrow

    async def tell(self, escrow: Escrow, *events: on.EscrowEvent | Next) -> Escrow:
        """Each event in turn; one that depends on the row is told as a function of it."""
        for told in events:
            event = told(escrow) if callable(told) else told
            transition = escrow_transition(escrow, event, at_ms=NOW_MS + 1, retention=RETENTION)
            applied = await self.books.apply(transition)
            assert applied.escrow is not None
            escrow = applied.escrow
        return escrow

    async def invoiced(self, escrow_id: str, cost: int = 7_000, **shape: int | str) -> Escrow:
        escrow = await self.open(escrow_id, **shape)
        return await self.tell(
            escrow,
            ran.UpstreamRequested(),
            ran.GenerationStarted(generation_id="gen-1"),
            received(),
            lambda now: cost_known(now, cost),
            invoice_issued,
        )

    def paid(self, extra_msat: int = 0) -> Next:
        """The node says paid, `extra_msat` above the invoice."""
        self._settle_index += 1
        index = self._settle_index

        def event(now: Escrow) -> on.EscrowEvent:
            amount = (now.invoice.amount_msat if now.invoice else 0) + extra_msat
            return settled(now, amount, settle_index=index)

        return event

    def offered(self, topup_id: str, amount_msat: int, caller_id: str) -> Topup:
        """A top-up that is only opened, and in no books yet."""
        return Topup(
            topup_id=topup_id,
            caller_id=caller_id,
            address_key=f"address of {topup_id}",
            amount_msat=amount_msat,
            opened_at_ms=NOW_MS,
            state=TopupState.OPENED,
            version=1,
            attempt=0,
            payment_hash=payment_hash_of(opened(Shape(escrow_id=topup_id))),
        )

    async def topped_up(self, topup_id: str, amount_msat: int, caller_id: str) -> Topup:
        """A top-up, from its offer to its credit."""
        topup = self.offered(topup_id, amount_msat, caller_id)
        self._settle_index += 1
        await self.books.apply(open_topup(topup))
        return await tell_topup(
            self.books,
            topup,
            of_topup.TopupInvoiced(payment_request="lnbcrt1", expires_at_s=NOW_MS // 1_000),
            of_topup.TopupCredited(
                payment_hash=topup.payment_hash,
                paid_msat=amount_msat,
                settle_index=self._settle_index,
                node_alias=NODE,
                node_pubkey=PUBKEY,
            ),
        )


async def tell_topup(books: Books, topup: Topup, *events: of_topup.TopupEvent) -> Topup:
    """The top-up after these events, one entry each."""
    for event in events:
        applied = await books.apply(topup_transition(topup, event, at_ms=NOW_MS))
        assert applied.topup is not None
        topup = applied.topup
    return topup


async def full_books() -> FakeBooks:
    """Every way an escrow can end or wait, top-ups, an operator's word and A13.

    A file took all of it too, and an audit says the same of it.
    """
    async with opened_books() as opened_twice:
        await fill(opened_twice.books)
        assert (await opened_twice.audited()).sound
        return opened_twice.fake


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedBooks:
    """Books in memory and in a file; `fake` are those in memory, where damage can be done."""

    fake: FakeBooks
    books: Books
    reports: LedgerReports

    async def audited(self, node: ToldNode | None = None) -> AuditReport:
        """What an audit says of both, which is the same."""
        return await audited_twice(self.fake, self.reports, node)


@asynccontextmanager
async def opened_books() -> AsyncIterator[AuditedBooks]:
    """Empty ones."""
    fake = FakeBooks(retention=RETENTION)
    with tempfile.TemporaryDirectory() as folder:
        async with twin_books(fake, Path(folder), retention=RETENTION) as (books, reports):
            yield AuditedBooks(fake=fake, books=books, reports=reports)


async def fill(books: Books) -> Teller:
    """The same in any books; who told it can tell more."""
    teller = Teller(books)
    await books.apply(upstream_baseline(used(BASELINE_PUSD), at_ms=NOW_MS))
    await teller.topped_up("top_1", 1_000, "c_carol")
    await _bought(teller)
    await _unpaid(teller)
    await _failed(teller)
    await _on_credit(teller)
    word = CallerChange(blocked=True, cap_msat=5_000)
    await books.apply(caller_transition("c_mallory", word, sequence=0, at_ms=NOW_MS))
    await books.apply(usage_compared(used(5_099), sequence=0, cost_pusd=77, at_ms=NOW_MS))
    return teller


async def _bought(teller: Teller) -> None:
    released = await teller.invoiced("esc_released", cost=6_500)
    released = await teller.tell(released, teller.paid(2_000), on.CompletionDelivered())
    confirmed = ran.CostConfirmed(cost=cost_of(6_400))
    await teller.tell(released, confirmed, on.BodiesShredded())
    claimed_not = await teller.invoiced("esc_lapsed_claim")
    await teller.tell(claimed_not, teller.paid(), on.ClaimLapsed(kept_msat=7_000))
    lost = await teller.invoiced("esc_lost")
    await teller.tell(lost, teller.paid(), on.CompletionLost())
    await teller.tell(await teller.invoiced("esc_settled"), teller.paid())


async def _unpaid(teller: Teller) -> None:
    await teller.invoiced("esc_invoiced")
    await teller.tell(await teller.invoiced("esc_expired"), canceled)
    late = await teller.invoiced("esc_late")
    await teller.tell(late, canceled, teller.paid(), on.LatePurchase(), on.CompletionDelivered())
    too_late = await teller.invoiced("esc_too_late")
    await teller.tell(too_late, canceled, on.BodiesShredded(), teller.paid())


async def _failed(teller: Teller) -> None:
    await teller.open("esc_open")
    await teller.tell(await teller.open("esc_abandoned"), ran.Abandoned())
    await teller.tell(await teller.open("esc_requested"), ran.UpstreamRequested())
    charged = ran.RunFailed(failure=FAILURE, charged=True, cost=cost_of(900))
    await teller.tell(await teller.open("esc_failed"), ran.UpstreamRequested(), charged)
    unknown = ran.RunOutcomeUnknown(failure=FAILURE)
    await teller.tell(
        await teller.open("esc_attributed"),
        ran.UpstreamRequested(),
        unknown,
        ran.CostAttributed(cost_pusd=3_000),
    )
    await teller.tell(await teller.open("esc_unknown"), ran.UpstreamRequested(), unknown)
    refused = await teller.open("esc_refused")
    await teller.tell(
        refused,
        ran.UpstreamRequested(),
        received(),
        lambda now: cost_known(now, 800, confirmed=False),
        invoice_lost,
        on.InvoiceMakingRefused(failure=FAILURE),
    )


async def _on_credit(teller: Teller) -> None:
    covered = await teller.open("esc_covered", credit=900, ceiling=900, caller_id="c_carol")
    await teller.tell(
        covered,
        ran.UpstreamRequested(),
        received(),
        lambda now: cost_known(now, 600),
        on.CoveredByCredit(),
        on.CompletionDelivered(),
    )
    part = await teller.invoiced("esc_part_credit", credit=400, caller_id="c_carol")
    await teller.tell(part, teller.paid(), on.CompletionDelivered())


class ToldNode:
    """A node that answers from a table; `silent` makes it not answer at all."""

    def __init__(self, invoices: Mapping[str, Invoice]) -> None:
        self.invoices = dict(invoices)
        self.memos: dict[str, str] = {}
        self.silent = False

    async def look_up(self, payment_hash: str) -> Invoice | None:
        if self.silent:
            raise NodeUnavailable("the node is down")
        return self.invoices.get(payment_hash)

    async def identity(self) -> NodeIdentity:
        return NodeIdentity(pubkey=PUBKEY, network="regtest", alias=NODE)

    def bind(self, identity: NodeIdentity) -> None:
        return

    async def add_invoice(self, order: InvoiceOrder) -> Invoice:
        raise NodeUnavailable("this node only answers questions")

    async def cancel_invoice(self, payment_hash: str) -> Invoice:
        raise NodeUnavailable("this node only answers questions")

    async def settled_invoices(self, since_settle_index: int) -> AsyncIterator[Invoice]:
        for invoice in self.invoices.values():
            if invoice.settle_index > since_settle_index:
                yield invoice

    async def listed_invoices(self, since_s: int) -> AsyncIterator[ListedInvoice]:
        if self.silent:
            raise NodeUnavailable("the node is down")
        for invoice in self.invoices.values():
            if invoice.created_at_s >= since_s:
                memo = self.memos.get(invoice.payment_hash, COMPLETION)
                yield ListedInvoice(invoice=invoice, memo=memo)

    async def receivable_msat(self) -> int | None:
        return None

    async def ping(self) -> None:
        return


def node_of(books: FakeBooks) -> ToldNode:
    """A node that has settled whatever the books say it has."""
    subjects: tuple[Escrow | Topup, ...] = (
        *books.rows.escrows.values(),
        *books.rows.topups.values(),
    )
    return ToldNode(
        {
            one.payment_hash: Invoice(
                payment_hash=one.payment_hash,
                payment_request="lnbcrt1",
                amount_msat=one.paid_msat,
                state=InvoiceState.SETTLED,
                created_at_s=NOW_MS // 1_000,
                expires_at_s=NOW_MS // 1_000 + 600,
                amount_paid_msat=one.paid_msat,
                settle_index=one.settle_index,
            )
            for one in subjects
            if one.payment_hash and one.paid_msat
        }
    )


async def audited(books: FakeBooks, node: ToldNode | None = None) -> AuditReport:
    """The audit of these books; the node agrees with them unless one is given."""
    told = node or node_of(books)
    audit = AuditLedger(reports=books, node=lambda: told, upstream=None, retention=RETENTION)
    return await audit.audit()


async def audited_twice(
    books: FakeBooks, reports: LedgerReports, node: ToldNode | None = None
) -> AuditReport:
    """The audit of books whose file is to be told the same of."""
    told = node or node_of(books)
    report = await audited(books, told)
    audit = AuditLedger(reports=reports, node=lambda: told, upstream=None, retention=RETENTION)
    of_the_file = await audit.audit()
    assert set(of_the_file.findings) == set(report.findings)
    assert of_the_file.figures == report.figures
    return report
