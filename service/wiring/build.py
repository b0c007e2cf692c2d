"""Where flows meet their parts: plain constructors, by name, in the order of the floors.

Must not know: adapters (`parts.py` opens them), HTTP servers, signals or commands.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from service.background.escrow_runner import EscrowRunner
from service.background.invoice_watcher import InvoiceWatcher
from service.background.node_watch import NodeWatch
from service.background.supervise import Supervisor
from service.flows.adopt_node import AdoptNode
from service.flows.ask_completion import AskCompletion, Waits
from service.flows.compare_costs import CompareCosts
from service.flows.deliver_completion import DeliverCompletion
from service.flows.drive_escrow import EscrowDriver
from service.flows.find_cost import FindCost
from service.flows.issue_invoice import IssueInvoice
from service.flows.node_gate import NodeGate
from service.flows.offer_models import ModelCatalogue
from service.flows.open_escrow import OpenEscrow
from service.flows.quote_request import QuoteRequest
from service.flows.record_event import EventRecorder, ReleaseGate
from service.flows.recover import Recover
from service.flows.run_completion import RunCompletion
from service.flows.settle_invoice import SettleInvoice
from service.flows.top_up import TopUp
from service.wiring.parts import Parts
from service.wiring.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The flows on their parts, and the background that drives them."""

    settings: Settings
    parts: Parts
    recorder: EventRecorder
    gate: ReleaseGate
    catalogue: ModelCatalogue
    asks: AskCompletion
    topups: TopUp
    settlements: SettleInvoice
    adoption: AdoptNode
    deliveries: DeliverCompletion
    costs: CompareCosts
    runner: EscrowRunner
    recover: Recover
    watcher: InvoiceWatcher
    node_watch: NodeWatch
    supervisor: Supervisor


def build_service(settings: Settings, parts: Parts, tasks: asyncio.TaskGroup) -> Service:
    """All flows, and a runner whose runs live in `tasks`."""
    gate, node_gate = ReleaseGate(), NodeGate()
    recorder = EventRecorder(
        books=parts.books,
        wakes=parts.wakes,
        clock=parts.clock,
        retention=parts.retention,
        gate=gate,
        observe=parts.metrics.observe,
    )
    supervisor = Supervisor(clock=parts.clock, report=parts.metrics.fault)
    settlements = build_settlements(parts, recorder)
    deliveries = DeliverCompletion(
        books=parts.books, recorder=recorder, sealer=parts.sealer, gate=gate
    )
    runner = EscrowRunner(
        driver=_driver(settings, parts, recorder, settlements, deliveries, node_gate),
        tasks=tasks,
        supervisor=supervisor,
        runs_max=settings.run.runs_max,
    )
    parts.metrics.active_runs.set_function(lambda: runner.active)
    parts.metrics.watch_rate(parts.rates.standing, parts.clock.now_ms)
    recover = Recover(books=parts.books, runs=runner, settlements=settlements)
    catalogue = ModelCatalogue(
        upstream=parts.upstream, clock=parts.clock, allowed=settings.upstream.models
    )
    quoting = QuoteRequest(
        catalogue=catalogue,
        rates=parts.rates,
        price_terms=settings.prices,
        exposure=settings.exposure,
    )
    opening = _opening(settings, parts, recorder, quoting, node_gate)
    return Service(
        settings=settings,
        parts=parts,
        recorder=recorder,
        gate=gate,
        catalogue=catalogue,
        asks=_asks(settings, parts, opening, runner, settlements, deliveries),
        topups=_topups(settings, parts, recorder),
        settlements=settlements,
        adoption=build_adoption(parts, recorder),
        deliveries=deliveries,
        costs=CompareCosts(
            books=parts.books,
            recorder=recorder,
            upstream=parts.upstream,
            clock=parts.clock,
        ),
        runner=runner,
        recover=recover,
        watcher=InvoiceWatcher(
            books=parts.books,
            node=parts.node,
            ours=parts.ours,
            settlements=settlements,
            recover=recover,
        ),
        node_watch=NodeWatch(node=parts.node, gate=node_gate),
        supervisor=supervisor,
    )


def build_adoption(parts: Parts, recorder: EventRecorder) -> AdoptNode:
    """What binds the books to the node."""
    return AdoptNode(
        books=parts.books,
        recorder=recorder,
        node=parts.node,
        ours=parts.ours,
        identifiers=parts.identifiers,
        clock=parts.clock,
    )


def build_settlements(parts: Parts, recorder: EventRecorder) -> SettleInvoice:
    """What takes the node's word."""
    return SettleInvoice(
        books=parts.books,
        recorder=recorder,
        node=parts.node,
        ours=parts.ours,
        clock=parts.clock,
    )


def _driver(
    settings: Settings,
    parts: Parts,
    recorder: EventRecorder,
    settlements: SettleInvoice,
    deliveries: DeliverCompletion,
    node_gate: NodeGate,
) -> EscrowDriver:
    return EscrowDriver(
        books=parts.books,
        recorder=recorder,
        runs=RunCompletion(
            books=parts.books,
            recorder=recorder,
            upstream=parts.upstream,
            sealer=parts.sealer,
            replicas=parts.replicas,
            clock=parts.clock,
            retention=parts.retention,
        ),
        costs=FindCost(
            recorder=recorder,
            upstream=parts.upstream,
            identifiers=parts.identifiers,
            clock=parts.clock,
            retention=parts.retention,
        ),
        invoices=IssueInvoice(
            recorder=recorder,
            node=parts.node,
            identifiers=parts.identifiers,
            clock=parts.clock,
            retention=parts.retention,
            expiry_s=settings.node.invoice_expiry_s,
            node_gate=node_gate,
        ),
        settlements=settlements,
        deliveries=deliveries,
        clock=parts.clock,
        retention=parts.retention,
    )


def _opening(
    settings: Settings,
    parts: Parts,
    recorder: EventRecorder,
    quoting: QuoteRequest,
    node_gate: NodeGate,
) -> OpenEscrow:
    return OpenEscrow(
        books=parts.books,
        recorder=recorder,
        quoting=quoting,
        identifiers=parts.identifiers,
        sealer=parts.sealer,
        clock=parts.clock,
        exposure=settings.exposure,
        node_gate=node_gate,
        replicas=parts.replicas,
    )


def _asks(
    settings: Settings,
    parts: Parts,
    opening: OpenEscrow,
    runner: EscrowRunner,
    settlements: SettleInvoice,
    deliveries: DeliverCompletion,
) -> AskCompletion:
    face = settings.face
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


def _topups(settings: Settings, parts: Parts, recorder: EventRecorder) -> TopUp:
    return TopUp(
        books=parts.books,
        recorder=recorder,
        node=parts.node,
        identifiers=parts.identifiers,
        clock=parts.clock,
        expiry_s=settings.node.invoice_expiry_s,
    )
