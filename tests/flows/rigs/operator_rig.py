"""The operator's flows over books in memory and in a file, with a node that cancels.

Must not know: which command a test gives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cobot_meter.background.wake_hub import WakeHub
from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import Invoice, InvoiceState, NodeIdentity
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.operate.adopt_node import AdoptNode
from cobot_meter.flows.operate.operate import CancelInvoice, SetCaller
from cobot_meter.flows.operate.quarantine import Quarantine
from cobot_meter.flows.operate.rebase_usage import RebaseUsage
from cobot_meter.flows.operate.sweep_node import SweepNode
from cobot_meter.flows.record_event import EventRecorder, OurNode
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.flows.steady_clock import SteadyClock
from tests.domain.samples import NODE, PUBKEY, RETENTION
from tests.fakes.clock import FakeClock
from tests.fakes.identifiers import FakeIdentifiers
from tests.fakes.upstream import FakeUpstream
from tests.flows.audit.audit_rig import AuditedBooks, Teller, ToldNode, opened_books


class CancelingNode(ToldNode):
    """Cancels whatever is asked, unless a payment was faster (`settled`)."""

    settled = False

    async def cancel_invoice(self, payment_hash: str) -> Invoice:
        if self.silent:
            raise NodeUnavailable("the node is down")
        state = InvoiceState.SETTLED if self.settled else InvoiceState.CANCELED
        return Invoice(
            payment_hash=payment_hash,
            payment_request="lnbcrt1",
            amount_msat=7_000,
            state=state,
            created_at_s=0,
            expires_at_s=0,
            amount_paid_msat=7_000 if self.settled else 0,
            settle_index=1 if self.settled else 0,
        )


class OperatorRig:
    """Everything an operator's word touches. `fake` holds what `books` and their file do."""

    def __init__(self, opened: AuditedBooks) -> None:
        """Nothing has been said."""
        self.fake, self.books, self.audited = opened.fake, opened.books, opened.audited
        self.teller = Teller(self.books)
        self.node = CancelingNode({})
        self.booked: list[Transition] = []
        clock = FakeClock()
        self.gate = ReleaseGate()
        self.recorder = recorder = EventRecorder(
            books=self.books,
            wakes=WakeHub(),
            clock=clock,
            retention=RETENTION,
            gate=self.gate,
            observe=self.booked.append,
        )
        ours = OurNode(NodeIdentity(pubkey=PUBKEY, network="regtest", alias=NODE))
        settlements = SettleInvoice(
            books=self.books,
            recorder=recorder,
            node=self.node,
            ours=ours,
            clock=clock,
            steady=SteadyClock(clock=clock),
        )
        self.quarantine = Quarantine(
            books=self.books,
            recorder=recorder,
            node=self.node,
            ours=ours,
            settlements=settlements,
            clock=clock,
        )
        self.cancellations = CancelInvoice(
            books=self.books, node=self.node, settlements=settlements
        )
        self.upstream = FakeUpstream()
        self.rebasing = RebaseUsage(
            books=self.books, recorder=recorder, upstream=self.upstream, key="key", clock=clock
        )
        self.adoption = AdoptNode(
            books=self.books,
            recorder=recorder,
            node=self.node,
            ours=ours,
            identifiers=FakeIdentifiers(),
            clock=clock,
        )
        self.sweep = SweepNode(
            books=self.books,
            recorder=recorder,
            settlements=settlements,
            node=self.node,
            ours=ours,
            identifiers=FakeIdentifiers(),
            clock=clock,
            gate=NodeGate(),
        )
        self.callers = SetCaller(books=self.books, recorder=recorder, clock=clock)


@asynccontextmanager
async def operator_rig() -> AsyncIterator[OperatorRig]:
    """With empty books, and a folder of its own for their file."""
    async with opened_books() as opened:
        yield OperatorRig(opened)
