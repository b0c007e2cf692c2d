"""The service: its flows on opened ports, and the background that drives them.

Must not know: adapters (`opening/` opens them), HTTP servers, signals or commands.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from cobot_meter.adapters.bench_records import RecordFile
from cobot_meter.background.alarms import Alarms
from cobot_meter.background.escrow_runner import EscrowRunner
from cobot_meter.background.node_watcher import InvoiceWatcher, NodeWatch
from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.domain.upstream.usage import key_mark
from cobot_meter.flows.benchmarks.sell_edition import SellEdition
from cobot_meter.flows.benchmarks.show_benchmarks import ShowBenchmarks
from cobot_meter.flows.record_event import Observer
from cobot_meter.flows.sale.drive_escrow import DriveEscrow
from cobot_meter.flows.sale.follow_run import Waits
from cobot_meter.flows.sale.run_completion import RunTerms
from cobot_meter.wiring.event_log import EventLog
from cobot_meter.wiring.flows import Flows, OperatorFlows, build_flows
from cobot_meter.wiring.flows import build_operator_flows as operator_flows
from cobot_meter.wiring.logs import event_logger
from cobot_meter.wiring.metrics import (
    watch_account,
    watch_body_keys,
    watch_sweep,
    watch_unwritten,
    watch_usage,
)
from cobot_meter.wiring.opening.ports import Parts
from cobot_meter.wiring.opening.routing_table import routing_table
from cobot_meter.wiring.opening.shared import Reports, Terms
from cobot_meter.wiring.settings.settings import Settings

SECOND_MS = 1_000
# An ask that finds the price list too old waits so long for a fresh one.
PRICES_WAIT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The flows on their parts, and the background that drives them."""

    settings: Settings
    parts: Parts
    flows: Flows[EscrowRunner]
    watcher: InvoiceWatcher
    node_watch: NodeWatch
    supervisor: Supervisor
    alarms: Alarms
    show_benchmarks: ShowBenchmarks
    sell_edition: SellEdition | None


def build_service(settings: Settings, parts: Parts, tasks: asyncio.TaskGroup) -> Service:
    """All flows, and a runner whose runs live in `tasks`."""
    supervisor = Supervisor(clock=parts.clock, report=parts.metrics.fault)

    def runs_by(drive_escrow: DriveEscrow) -> EscrowRunner:
        bounds = settings.run.bounds
        return EscrowRunner(
            drive_escrow=drive_escrow, tasks=tasks, supervisor=supervisor, bounds=bounds
        )

    reports = Reports(
        observe=_observer(parts),
        circuit=parts.metrics.circuit,
        doubt=parts.metrics.doubted,
        once=supervisor.once,
    )
    flows = build_flows(parts, terms_of(settings), runs_by, reports)
    alarms = Alarms(books=parts.books, keep_releases=flows.record_event.keep_releases)
    _watch(parts, flows, alarms)
    show_benchmarks = ShowBenchmarks(records=RecordFile(settings.data_dir), clock=parts.clock)
    return Service(
        settings=settings,
        parts=parts,
        flows=flows,
        watcher=InvoiceWatcher(
            books=parts.books,
            node=parts.node,
            ours=parts.ours,
            settle_invoice=flows.settle_invoice,
            recover=flows.recover,
            supervisor=supervisor,
        ),
        node_watch=NodeWatch(node=parts.node, node_gate=flows.node_gate),
        supervisor=supervisor,
        alarms=alarms,
        show_benchmarks=show_benchmarks,
        sell_edition=_sell_edition(settings, parts, flows, show_benchmarks),
    )


def _sell_edition(
    settings: Settings,
    parts: Parts,
    flows: Flows[EscrowRunner],
    show_benchmarks: ShowBenchmarks,
) -> SellEdition | None:
    """None where the operator has set no price."""
    if settings.benchmarks_price_msat is None:
        return None
    return SellEdition(
        ledger=flows.ledger,
        find_budgets=flows.find_budgets,
        release_gate=flows.release_gate,
        rates=parts.rates,
        show_benchmarks=show_benchmarks,
        price_msat=settings.benchmarks_price_msat,
    )


def build_operator_flows(settings: Settings, parts: Parts) -> OperatorFlows:
    """What operators do while no service runs."""
    return operator_flows(parts, terms_of(settings), Reports(observe=parts.metrics.observe))


def terms_of(settings: Settings) -> Terms:
    """On which terms these settings sell."""
    upstream, face = settings.upstream, settings.face
    return Terms(
        prices=settings.prices,
        exposure=settings.exposure,
        waits=Waits(first_s=face.first_wait_s, identical_s=face.identical_wait_s),
        upstream_key=key_mark(upstream.api_key.reveal()),
        runs=RunTerms(
            timeout_ms=int(upstream.timeout_s * SECOND_MS),
            confirm_one_in=settings.credit.confirm_one_in,
        ),
        recent_answers_bytes=settings.credit.recent_answers_bytes,
        invoice_expiry_s=settings.node.invoice_expiry_s,
        routing_table=routing_table(settings.routing_table).successes,
        models=upstream.models,
        fallback_models=upstream.fallback_models,
        panel_models=upstream.panel_models,
        prices_wait_s=PRICES_WAIT_S,
        reserve_pusd=upstream.reserve_pusd,
        topups=settings.topups,
        private_models=upstream.privacy.models,
    )


def _observer(parts: Parts) -> Observer:
    log = EventLog(event_logger())

    def observe(transition: Transition) -> None:
        log.observe(transition)
        parts.metrics.observe(transition)

    return observe


def _watch(parts: Parts, flows: Flows[EscrowRunner], alarms: Alarms) -> None:
    """Metrics of what is looked at when somebody reads them."""
    metrics, operating = parts.metrics, flows.operating
    metrics.active_runs.set_function(lambda: flows.runs.active)
    watch_account(metrics.registry, flows.watch_account)
    watch_unwritten(metrics.registry, flows.record_event.unwritten)
    watch_usage(metrics.registry, operating.compare_costs)
    watch_sweep(metrics.registry, operating.sweep_node)
    watch_body_keys(metrics.registry, flows.keep_body_keys)
    metrics.watch_rate(parts.rates.standing, parts.clock.now_ms)
    metrics.watch_alarms(
        stopped=lambda: flows.release_gate.closed_by is not None,
        quarantined=lambda: alarms.quarantined,
        parted=lambda: flows.steady_clock.parted,
    )
