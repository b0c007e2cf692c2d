"""The operator's flows over books in memory and in a file, with a node that cancels."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cobot_meter.adapters.rates.static import StaticRate
from cobot_meter.background.wake_hub import WakeHub
from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import Invoice, InvoiceState, NodeIdentity
from cobot_meter.domain.pricing.prices import PriceTerms
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.flows.record_event import OurNode
from cobot_meter.flows.sale.run_completion import RunTerms
from cobot_meter.wiring.flows import build_operator_flows
from cobot_meter.wiring.opening.routing_table import routing_table
from cobot_meter.wiring.opening.shared import Ports, Reports, Terms
from tests.domain.samples import NODE, PUBKEY, RETENTION
from tests.fakes.clock import FakeClock
from tests.fakes.identifiers import FakeBodyKeys, FakeIdentifiers, FakeSealer
from tests.fakes.replicas import Crowd, FakeReplicas
from tests.fakes.upstream import FakeUpstream
from tests.flows.audit.audit_rig import AuditedBooks, Teller, ToldNode, opened_books
from tests.flows.rigs.process import EXPIRY_S, EXPOSURE, RATE_USD_MICRO, RUN_MS, WAITS

TERMS = Terms(
    routing_table=routing_table(None).successes,
    prices=PriceTerms(),
    exposure=EXPOSURE,
    waits=WAITS,
    upstream_key="key",
    runs=RunTerms(timeout_ms=RUN_MS),
    invoice_expiry_s=EXPIRY_S,
)


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
        self.upstream = FakeUpstream()
        self.flows = build_operator_flows(
            Ports(
                books=self.books,
                node=self.node,
                ours=OurNode(NodeIdentity(pubkey=PUBKEY, network="regtest", alias=NODE)),
                upstream=self.upstream,
                rates=StaticRate(usd_micro_per_btc=RATE_USD_MICRO, clock=clock),
                clock=clock,
                identifiers=FakeIdentifiers(),
                sealer=FakeSealer(),
                body_keys=FakeBodyKeys(),
                retention=RETENTION,
                wakes=WakeHub(),
                replicas=FakeReplicas(Crowd()),
            ),
            TERMS,
            Reports(observe=self.booked.append),
        )
        self.cancellations, self.callers = self.flows.cancel_invoice, self.flows.set_caller
        self.quarantine, self.adoption = self.flows.quarantine, self.flows.adopt_node


@asynccontextmanager
async def operator_rig() -> AsyncIterator[OperatorRig]:
    """With empty books, and a folder of its own for their file."""
    async with opened_books() as opened:
        yield OperatorRig(opened)
