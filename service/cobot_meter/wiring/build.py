"""Where flows meet their parts: plain constructors, by name, in the order of the floors.

Must not know: adapters (`opening/` opens them), HTTP servers, signals or commands.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from cobot_meter.background.alarms import Alarms
from cobot_meter.background.escrow_runner import EscrowRunner
from cobot_meter.background.node_watcher import InvoiceWatcher, NodeWatch
from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.domain.upstream.usage import key_mark
from cobot_meter.flows.credit.top_up import TopUp
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.offer.choose_model import ChooseModel
from cobot_meter.flows.offer.gates import NodeGate, WatchAccount
from cobot_meter.flows.offer.quote_request import QuoteRequest
from cobot_meter.flows.operate.adopt_node import AdoptNode
from cobot_meter.flows.operate.compare_costs import CompareCosts
from cobot_meter.flows.operate.quarantine import Quarantine
from cobot_meter.flows.operate.rebase_usage import RebaseUsage
from cobot_meter.flows.operate.sweep_node import SweepNode
from cobot_meter.flows.record_event import EventRecorder, Observer
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.sale.ask_completion import AskCompletion
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.flows.sale.recover import Recover
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.flows.steady_clock import SteadyClock
from cobot_meter.http_api.views import is_readable
from cobot_meter.ports.escrow_runs import EscrowRuns
from cobot_meter.wiring.event_log import EventLog
from cobot_meter.wiring.logs import event_logger
from cobot_meter.wiring.metrics import watch_account, watch_sweep, watch_unwritten, watch_usage
from cobot_meter.wiring.opening.ports import Parts
from cobot_meter.wiring.sales import Sales
from cobot_meter.wiring.settings.settings import Settings

# An ask that finds the price list too old waits so long for a fresh one.
PRICES_WAIT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The flows on their parts, and the background that drives them."""

    settings: Settings
    parts: Parts
    recorder: EventRecorder
    gate: ReleaseGate
    catalogue: ModelCatalogue
    quoting: QuoteRequest
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
    node_sweep: SweepNode
    account: WatchAccount
    supervisor: Supervisor
    alarms: Alarms
    steady: SteadyClock


def build_service(settings: Settings, parts: Parts, tasks: asyncio.TaskGroup) -> Service:
    """All flows, and a runner whose runs live in `tasks`."""
    gate, steady = ReleaseGate(), SteadyClock(clock=parts.clock)
    node_gate = NodeGate(releases=gate)
    account = WatchAccount(upstream=parts.upstream, reserve_pusd=settings.upstream.reserve_pusd)
    recorder = EventRecorder(
        books=parts.books,
        wakes=parts.wakes,
        clock=parts.clock,
        retention=parts.retention,
        gate=gate,
        observe=_observer(parts, account),
    )
    supervisor = Supervisor(clock=parts.clock, report=parts.metrics.fault)
    settlements = build_settlements(parts, recorder, steady)
    deliveries = _deliveries(parts, recorder, gate)
    catalogue = ModelCatalogue(
        upstream=parts.upstream,
        clock=parts.clock,
        allowed=settings.upstream.models,
        wait_s=PRICES_WAIT_S,
    )
    choice = ChooseModel(clock=parts.clock, report=parts.metrics.circuit)
    sales = Sales(settings, parts, recorder, node_gate, choice, account, gate, steady)
    opening = sales.opening(quoting := sales.quoting(catalogue))
    runner = EscrowRunner(
        driver=sales.driver(opening, settlements, deliveries),
        tasks=tasks,
        supervisor=supervisor,
        bounds=settings.run.bounds,
    )
    parts.metrics.active_runs.set_function(lambda: runner.active)
    watch_account(parts.metrics.registry, account)
    watch_unwritten(parts.metrics.registry, recorder.unwritten)
    parts.metrics.watch_rate(parts.rates.standing, parts.clock.now_ms)
    recover = _recovery(parts, runner, settlements, supervisor)
    return Service(
        settings=settings,
        parts=parts,
        recorder=recorder,
        gate=gate,
        catalogue=catalogue,
        quoting=quoting,
        asks=sales.asks(opening, runner, settlements, deliveries),
        topups=_topups(settings, parts, recorder, gate),
        settlements=settlements,
        adoption=build_adoption(parts, recorder),
        deliveries=deliveries,
        costs=_comparison(settings, parts, recorder),
        runner=runner,
        recover=recover,
        watcher=_watcher(parts, settlements, recover, supervisor),
        node_watch=NodeWatch(node=parts.node, gate=node_gate),
        node_sweep=build_sweep(parts, recorder, settlements, node_gate),
        account=account,
        supervisor=supervisor,
        alarms=_alarms(parts, recorder, gate, steady),
        steady=steady,
    )


def _recovery(
    parts: Parts, runs: EscrowRuns, settlements: SettleInvoice, supervisor: Supervisor
) -> Recover:
    return Recover(
        books=parts.books,
        runs=runs,
        settlements=settlements,
        clock=parts.clock,
        retention=parts.retention,
        once=supervisor.once,
    )


def _watcher(
    parts: Parts, settlements: SettleInvoice, recover: Recover, supervisor: Supervisor
) -> InvoiceWatcher:
    return InvoiceWatcher(
        books=parts.books,
        node=parts.node,
        ours=parts.ours,
        settlements=settlements,
        recover=recover,
        supervisor=supervisor,
    )


def _deliveries(parts: Parts, recorder: EventRecorder, gate: ReleaseGate) -> DeliverCompletion:
    return DeliverCompletion(
        books=parts.books,
        recorder=recorder,
        sealer=parts.sealer,
        gate=gate,
        readable=is_readable,
    )


def _observer(parts: Parts, account: WatchAccount) -> Observer:
    log = EventLog(event_logger())

    def observe(transition: Transition) -> None:
        log.observe(transition)
        parts.metrics.observe(transition)
        account.observe(transition)

    return observe


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


def build_settlements(
    parts: Parts, recorder: EventRecorder, steady: SteadyClock | None = None
) -> SettleInvoice:
    """What takes the node's word."""
    return SettleInvoice(
        books=parts.books,
        recorder=recorder,
        node=parts.node,
        ours=parts.ours,
        clock=parts.clock,
        steady=steady,
    )


def build_sweep(
    parts: Parts, recorder: EventRecorder, settlements: SettleInvoice, gate: NodeGate
) -> SweepNode:
    """What reads the node's own list."""
    sweep = SweepNode(
        books=parts.books,
        recorder=recorder,
        settlements=settlements,
        node=parts.node,
        ours=parts.ours,
        identifiers=parts.identifiers,
        clock=parts.clock,
        gate=gate,
    )
    watch_sweep(parts.metrics.registry, sweep)
    return sweep


def _comparison(settings: Settings, parts: Parts, recorder: EventRecorder) -> CompareCosts:
    costs = CompareCosts(
        books=parts.books,
        recorder=recorder,
        upstream=parts.upstream,
        key=key_mark(settings.upstream.api_key.reveal()),
        clock=parts.clock,
    )
    watch_usage(parts.metrics.registry, costs)
    return costs


def build_rebasing(settings: Settings, parts: Parts, recorder: EventRecorder) -> RebaseUsage:
    """What takes the operator's word on a new key."""
    return RebaseUsage(
        books=parts.books,
        recorder=recorder,
        upstream=parts.upstream,
        key=key_mark(settings.upstream.api_key.reveal()),
        clock=parts.clock,
    )


def _alarms(
    parts: Parts, recorder: EventRecorder, gate: ReleaseGate, steady: SteadyClock
) -> Alarms:
    alarms = Alarms(books=parts.books, releases=recorder.releases)
    parts.metrics.watch_alarms(
        stopped=lambda: gate.closed_by is not None,
        quarantined=lambda: alarms.quarantined,
        parted=lambda: steady.parted,
    )
    return alarms


def build_quarantine(
    parts: Parts,
    recorder: EventRecorder,
    settlements: SettleInvoice,
    runs: EscrowRuns | None = None,
) -> Quarantine:
    """The operator's hand on what cannot be booked; `runs` of a service that is up."""
    return Quarantine(
        books=parts.books,
        recorder=recorder,
        node=parts.node,
        ours=parts.ours,
        settlements=settlements,
        clock=parts.clock,
        runs=runs,
    )


def _topups(settings: Settings, parts: Parts, recorder: EventRecorder, gate: ReleaseGate) -> TopUp:
    return TopUp(
        books=parts.books,
        recorder=recorder,
        node=parts.node,
        identifiers=parts.identifiers,
        clock=parts.clock,
        expiry_s=settings.node.invoice_expiry_s,
        releases=gate,
    )
