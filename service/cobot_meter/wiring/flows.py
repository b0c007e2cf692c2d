"""The flows on their ports: plain constructors, once, for the service and for its tests.

Whoever has ports and terms gets the house that sells; what the tests prove is what runs. Must not
know: adapters, settings, HTTP servers or background loops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.flows.answer.deliveries import Deliveries
from cobot_meter.flows.answer.recent_answers import RecentAnswers
from cobot_meter.flows.budget.manage_budgets import ManageBudgets
from cobot_meter.flows.credit.manage_keys import ManageKeys
from cobot_meter.flows.credit.top_up import TopUp
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.offer.choose_model import ChooseModel
from cobot_meter.flows.offer.gates import NodeGate, WatchAccount
from cobot_meter.flows.offer.keep_body_keys import KeepBodyKeys
from cobot_meter.flows.offer.make_offer import MakeOffer
from cobot_meter.flows.offer.plan_reservation import PlanReservation
from cobot_meter.flows.offer.quote_panel import QuotePanel
from cobot_meter.flows.offer.quote_request import QuoteRequest
from cobot_meter.flows.offer.route_request import KeepSessions, RouteRequest
from cobot_meter.flows.operate.adopt_node import AdoptNode
from cobot_meter.flows.operate.cancel_invoice import CancelInvoice
from cobot_meter.flows.operate.compare_costs import CompareCosts
from cobot_meter.flows.operate.quarantine import Quarantine
from cobot_meter.flows.operate.rebase_usage import RebaseUsage
from cobot_meter.flows.operate.set_caller import SetCaller
from cobot_meter.flows.operate.sweep_node import SweepNode
from cobot_meter.flows.record_event import RecordEvent
from cobot_meter.flows.release_gate import KeepReleases, ReleaseGate
from cobot_meter.flows.sale.ask_completion import AskCompletion
from cobot_meter.flows.sale.ask_models import AskModels
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.flows.sale.drive_escrow import DriveEscrow
from cobot_meter.flows.sale.fall_back import FallBack
from cobot_meter.flows.sale.find_cost import FindCost
from cobot_meter.flows.sale.follow_run import FollowRun
from cobot_meter.flows.sale.issue_invoice import IssueInvoice
from cobot_meter.flows.sale.open_escrow import OpenEscrow
from cobot_meter.flows.sale.recover import Recover
from cobot_meter.flows.sale.run_completion import RunCompletion
from cobot_meter.flows.sale.run_panel import RunPanel
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.flows.steady_clock import SteadyClock
from cobot_meter.flows.task.every_flow import TaskFlows
from cobot_meter.flows.vault import Vault
from cobot_meter.http_api.views import is_readable
from cobot_meter.ports.escrow_runs import EscrowRuns
from cobot_meter.wiring.opening.shared import Ports, Reports, Shared, Terms
from cobot_meter.wiring.task_flows import build_task_flows

R = TypeVar("R", bound=EscrowRuns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows(Generic[R]):
    """Every flow of the service, and the `runs` that the driver's caller keeps."""

    runs: R
    ledger: Ledger
    vault: Vault
    record_event: RecordEvent
    release_gate: ReleaseGate
    node_gate: NodeGate
    watch_account: WatchAccount
    choose_model: ChooseModel
    steady_clock: SteadyClock
    keep_body_keys: KeepBodyKeys
    catalogue: ModelCatalogue
    quote_request: QuoteRequest
    route_request: RouteRequest
    open_escrow: OpenEscrow
    settle_invoice: SettleInvoice
    deliver_completion: DeliverCompletion
    ask_completion: AskCompletion
    recover: Recover
    top_up: TopUp
    manage_keys: ManageKeys
    tasks: TaskFlows
    operating: OperatorFlows


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFlows:
    """What operators do, with a service beside them or without one."""

    keep_releases: KeepReleases
    cancel_invoice: CancelInvoice
    set_caller: SetCaller
    manage_budgets: ManageBudgets
    adopt_node: AdoptNode
    quarantine: Quarantine
    compare_costs: CompareCosts
    rebase_usage: RebaseUsage
    sweep_node: SweepNode


def build_flows(
    ports: Ports,
    terms: Terms,
    runs_by: Callable[[DriveEscrow], R],
    reports: Reports | None = None,
) -> Flows[R]:
    """Every flow; `runs_by` makes what keeps the runs of this process on the driver."""
    shared = _shared(ports, terms, reports or Reports())
    catalogue = ModelCatalogue(
        upstream=ports.upstream,
        clock=ports.clock,
        allowed=terms.models,
        fallbacks=terms.fallback_models,
        wait_s=terms.prices_wait_s,
        private=terms.private_models,
    )
    quote_request = _quote_request(shared, catalogue)
    route_request = _route_request(shared, catalogue, quote_request)
    make_offer = MakeOffer(
        route_request=route_request,
        quote_request=quote_request,
        plan_reservation=PlanReservation(catalogue=catalogue, exposure=terms.exposure),
        choose_model=shared.choose_model,
        watch_account=shared.watch_account,
        exposure=terms.exposure,
    )
    open_escrow = _open_escrow(shared, make_offer)
    settle_invoice, deliver_completion = _settle_invoice(shared), _deliver_completion(shared)
    runs = runs_by(_drive_escrow(shared, make_offer, settle_invoice, deliver_completion))
    tasks = build_task_flows(shared, quote_request, make_offer, _follow_run(shared, runs))
    return Flows(
        runs=runs,
        ledger=shared.ledger,
        vault=shared.vault,
        record_event=shared.record_event,
        release_gate=shared.release_gate,
        node_gate=shared.node_gate,
        watch_account=shared.watch_account,
        choose_model=shared.choose_model,
        steady_clock=shared.steady_clock,
        keep_body_keys=shared.keep_body_keys,
        catalogue=catalogue,
        quote_request=quote_request,
        route_request=route_request,
        open_escrow=open_escrow,
        settle_invoice=settle_invoice,
        deliver_completion=deliver_completion,
        ask_completion=_ask_completion(
            shared, open_escrow, runs, settle_invoice, deliver_completion
        ),
        recover=_recover(shared, runs, settle_invoice),
        top_up=_top_up(shared),
        manage_keys=ManageKeys(ledger=shared.ledger, vault=shared.vault),
        tasks=tasks,
        operating=_operating(shared, settle_invoice, runs),
    )


def build_operator_flows(ports: Ports, terms: Terms, reports: Reports) -> OperatorFlows:
    """What operators do while no service runs."""
    shared = _shared(ports, terms, reports)
    return _operating(shared, _settle_invoice(shared), None)


def _shared(ports: Ports, terms: Terms, reports: Reports) -> Shared:
    release_gate, steady_clock = ReleaseGate(), SteadyClock(clock=ports.clock)
    watch_account = WatchAccount(
        holders=ports.upstream.account_holders(), reserve_pusd=terms.reserve_pusd
    )
    keep_body_keys = KeepBodyKeys(
        books=ports.books, keys=ports.body_keys, steady_clock=steady_clock
    )

    def observe(transition: Transition) -> None:
        reports.observe(transition)
        watch_account.observe(transition)

    record_event = RecordEvent(
        books=ports.books,
        wakes=ports.wakes,
        clock=ports.clock,
        retention=ports.retention,
        release_gate=release_gate,
        observe=observe,
    )
    return Shared(
        ports=ports,
        terms=terms,
        reports=reports,
        ledger=Ledger(
            books=ports.books,
            record_event=record_event,
            clock=ports.clock,
            steady_clock=steady_clock,
            retention=ports.retention,
        ),
        vault=Vault(
            books=ports.books,
            identifiers=ports.identifiers,
            sealer=ports.sealer,
            keep_body_keys=keep_body_keys,
            recent_answers=RecentAnswers(clock=ports.clock, bytes_max=terms.recent_answers_bytes),
            readable=is_readable,
        ),
        record_event=record_event,
        release_gate=release_gate,
        node_gate=NodeGate(release_gate=release_gate),
        watch_account=watch_account,
        choose_model=ChooseModel(clock=ports.clock, report=reports.circuit),
        steady_clock=steady_clock,
        keep_body_keys=keep_body_keys,
    )


def _quote_request(shared: Shared, catalogue: ModelCatalogue) -> QuoteRequest:
    terms = shared.terms
    return QuoteRequest(
        catalogue=catalogue,
        rates=shared.ports.rates,
        price_terms=terms.prices,
        exposure=terms.exposure,
        release_gate=shared.release_gate,
        steady_clock=shared.steady_clock,
    )


def _route_request(
    shared: Shared, catalogue: ModelCatalogue, quote_request: QuoteRequest
) -> RouteRequest:
    return RouteRequest(
        catalogue=catalogue,
        rates=shared.ports.rates,
        price_terms=shared.terms.prices,
        table=shared.terms.routing_table,
        keep_sessions=KeepSessions(),
        quote_panel=QuotePanel(
            catalogue=catalogue, quote_request=quote_request, default=shared.terms.panel_models
        ),
    )


def _open_escrow(shared: Shared, make_offer: MakeOffer) -> OpenEscrow:
    return OpenEscrow(
        ledger=shared.ledger,
        vault=shared.vault,
        make_offer=make_offer,
        node_gate=shared.node_gate,
        replicas=shared.ports.replicas,
        exposure=shared.terms.exposure,
    )


def _settle_invoice(shared: Shared) -> SettleInvoice:
    return SettleInvoice(ledger=shared.ledger, node=shared.ports.node, ours=shared.ports.ours)


def _deliver_completion(shared: Shared) -> DeliverCompletion:
    return DeliverCompletion(
        ledger=shared.ledger,
        vault=shared.vault,
        release_gate=shared.release_gate,
        deliveries=Deliveries(),
    )


def _drive_escrow(
    shared: Shared,
    make_offer: MakeOffer,
    settle_invoice: SettleInvoice,
    deliver_completion: DeliverCompletion,
) -> DriveEscrow:
    ports, ledger, vault = shared.ports, shared.ledger, shared.vault
    run_completion = RunCompletion(
        ledger=ledger,
        vault=vault,
        upstream=ports.upstream,
        choose_model=shared.choose_model,
        replicas=ports.replicas,
        terms=shared.terms.runs,
    )
    find_cost = FindCost(
        ledger=ledger, vault=vault, upstream=ports.upstream, doubt=shared.reports.doubt
    )
    return DriveEscrow(
        ledger=ledger,
        ask_models=AskModels(
            ledger=ledger,
            fall_back=FallBack(
                ledger=ledger,
                make_offer=make_offer,
                node_gate=shared.node_gate,
                replicas=ports.replicas,
                exposure=shared.terms.exposure,
            ),
            run_completion=run_completion,
            run_panel=RunPanel(
                ledger=ledger, vault=vault, run_completion=run_completion, find_cost=find_cost
            ),
        ),
        find_cost=find_cost,
        issue_invoice=IssueInvoice(
            ledger=ledger,
            vault=vault,
            node=ports.node,
            node_gate=shared.node_gate,
            settle_invoice=settle_invoice,
            expiry_s=shared.terms.invoice_expiry_s,
        ),
        deliver_completion=deliver_completion,
    )


def _ask_completion(
    shared: Shared,
    open_escrow: OpenEscrow,
    runs: EscrowRuns,
    settle_invoice: SettleInvoice,
    deliver_completion: DeliverCompletion,
) -> AskCompletion:
    return AskCompletion(
        ledger=shared.ledger,
        vault=shared.vault,
        open_escrow=open_escrow,
        follow_run=_follow_run(shared, runs),
        settle_invoice=settle_invoice,
        deliver_completion=deliver_completion,
    )


def _follow_run(shared: Shared, runs: EscrowRuns) -> FollowRun:
    ports = shared.ports
    return FollowRun(books=ports.books, runs=runs, wakes=ports.wakes, waits=shared.terms.waits)


def _recover(shared: Shared, runs: EscrowRuns, settle_invoice: SettleInvoice) -> Recover:
    ports = shared.ports
    return Recover(
        books=ports.books,
        runs=runs,
        settle_invoice=settle_invoice,
        clock=ports.clock,
        retention=ports.retention,
        once=shared.reports.once,
    )


def _top_up(shared: Shared) -> TopUp:
    return TopUp(
        ledger=shared.ledger,
        vault=shared.vault,
        node=shared.ports.node,
        release_gate=shared.release_gate,
        expiry_s=shared.terms.invoice_expiry_s,
        bounds=shared.terms.topups,
    )


def _operating(
    shared: Shared, settle_invoice: SettleInvoice, runs: EscrowRuns | None
) -> OperatorFlows:
    ports, ledger, vault = shared.ports, shared.ledger, shared.vault
    node, ours, upstream, key = ports.node, ports.ours, ports.upstream, shared.terms.upstream_key
    return OperatorFlows(
        keep_releases=shared.record_event.keep_releases,
        cancel_invoice=CancelInvoice(books=ports.books, node=node, settle_invoice=settle_invoice),
        set_caller=SetCaller(ledger=ledger),
        manage_budgets=ManageBudgets(ledger=ledger),
        adopt_node=AdoptNode(ledger=ledger, vault=vault, node=node, ours=ours),
        quarantine=Quarantine(
            ledger=ledger, node=node, ours=ours, settle_invoice=settle_invoice, runs=runs
        ),
        compare_costs=CompareCosts(ledger=ledger, upstream=upstream, key=key),
        rebase_usage=RebaseUsage(ledger=ledger, upstream=upstream, key=key),
        sweep_node=SweepNode(
            ledger=ledger,
            vault=vault,
            settle_invoice=settle_invoice,
            node=node,
            ours=ours,
            node_gate=shared.node_gate,
        ),
    )
