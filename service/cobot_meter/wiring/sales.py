"""The flows of a sale, put together: opening, running, asking. Must not know: who listens."""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.background.escrow_runner import EscrowRunner
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.offer.choose_model import ChooseModel
from cobot_meter.flows.offer.gates import NodeGate, WatchAccount
from cobot_meter.flows.offer.quote_request import QuoteRequest
from cobot_meter.flows.record_event import EventRecorder
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.sale.ask_completion import AskCompletion, Waits
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.flows.sale.drive_escrow import EscrowDriver
from cobot_meter.flows.sale.find_cost import FindCost
from cobot_meter.flows.sale.issue_invoice import IssueInvoice
from cobot_meter.flows.sale.open_escrow import OpenEscrow
from cobot_meter.flows.sale.run_completion import RunCompletion
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.flows.steady_clock import SteadyClock
from cobot_meter.wiring.opening.ports import Parts
from cobot_meter.wiring.settings.settings import Settings

SECOND_MS = 1_000


@dataclass(frozen=True, slots=True)
class Sales:
    """What the flows of a sale have in common."""

    settings: Settings
    parts: Parts
    recorder: EventRecorder
    node_gate: NodeGate
    choice: ChooseModel
    account: WatchAccount
    releases: ReleaseGate
    steady: SteadyClock

    def quoting(self, catalogue: ModelCatalogue) -> QuoteRequest:
        """Prices from this catalogue."""
        settings = self.settings
        return QuoteRequest(
            catalogue=catalogue,
            rates=self.parts.rates,
            price_terms=settings.prices,
            exposure=settings.exposure,
            fallback_models=settings.upstream.fallback_models,
            releases=self.releases,
            steady=self.steady,
        )

    def opening(self, quoting: QuoteRequest) -> OpenEscrow:
        """A0."""
        settings, parts = self.settings, self.parts
        return OpenEscrow(
            books=parts.books,
            recorder=self.recorder,
            quoting=quoting,
            identifiers=parts.identifiers,
            sealer=parts.sealer,
            clock=parts.clock,
            exposure=settings.exposure,
            node_gate=self.node_gate,
            replicas=parts.replicas,
            choice=self.choice,
            account=self.account,
        )

    def driver(
        self, opening: OpenEscrow, settlements: SettleInvoice, deliveries: DeliverCompletion
    ) -> EscrowDriver:
        """Each state with its flow."""
        settings, parts, recorder = self.settings, self.parts, self.recorder
        return EscrowDriver(
            books=parts.books,
            recorder=recorder,
            runs=RunCompletion(
                books=parts.books,
                recorder=recorder,
                upstream=parts.upstream,
                sealer=parts.sealer,
                identifiers=parts.identifiers,
                replicas=parts.replicas,
                choice=self.choice,
                clock=parts.clock,
                retention=parts.retention,
                timeout_ms=int(settings.upstream.timeout_s * SECOND_MS),
                steady=self.steady,
            ),
            costs=FindCost(
                recorder=recorder,
                upstream=parts.upstream,
                identifiers=parts.identifiers,
                clock=parts.clock,
                retention=parts.retention,
                doubt=parts.metrics.doubted,
                steady=self.steady,
            ),
            invoices=IssueInvoice(
                recorder=recorder,
                node=parts.node,
                identifiers=parts.identifiers,
                clock=parts.clock,
                retention=parts.retention,
                expiry_s=settings.node.invoice_expiry_s,
                node_gate=self.node_gate,
                steady=self.steady,
            ),
            settlements=settlements,
            deliveries=deliveries,
            openings=opening,
            clock=parts.clock,
            retention=parts.retention,
            steady=self.steady,
        )

    def asks(
        self,
        opening: OpenEscrow,
        runner: EscrowRunner,
        settlements: SettleInvoice,
        deliveries: DeliverCompletion,
    ) -> AskCompletion:
        """The paid route's use case."""
        parts, face = self.parts, self.settings.face
        return AskCompletion(
            books=parts.books,
            opening=opening,
            runs=runner,
            settlements=settlements,
            deliveries=deliveries,
            identifiers=parts.identifiers,
            clock=parts.clock,
            wakes=parts.wakes,
            retention=parts.retention,
            waits=Waits(first_s=face.first_wait_s, identical_s=face.identical_wait_s),
        )
