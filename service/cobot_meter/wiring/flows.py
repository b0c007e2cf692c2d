"""The flows on their ports: plain constructors, once, for the service and for its tests.

Whoever has ports and terms gets the house that sells; what the tests prove is what runs. Must not
know: adapters, settings, HTTP servers or background loops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cobot_meter.domain.callers import ExposureTerms
from cobot_meter.domain.pricing.prices import PriceTerms
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.flows.credit.top_up import TopUp
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.offer.choose_model import ChooseModel
from cobot_meter.flows.offer.choose_model import Report as CircuitReport
from cobot_meter.flows.offer.gates import NodeGate, WatchAccount
from cobot_meter.flows.offer.keep_body_keys import KeepBodyKeys
from cobot_meter.flows.offer.quote_request import QuoteRequest
from cobot_meter.flows.operate.adopt_node import AdoptNode
from cobot_meter.flows.operate.compare_costs import CompareCosts
from cobot_meter.flows.operate.operate import CancelInvoice, SetCaller
from cobot_meter.flows.operate.quarantine import Quarantine
from cobot_meter.flows.operate.rebase_usage import RebaseUsage
from cobot_meter.flows.operate.sweep_node import SweepNode
from cobot_meter.flows.record_event import EventRecorder, Observer, OurNode
from cobot_meter.flows.release_gate import KeepReleases, ReleaseGate
from cobot_meter.flows.sale.ask_completion import AskCompletion, Waits
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.flows.sale.drive_escrow import EscrowDriver
from cobot_meter.flows.sale.find_cost import Doubt, FindCost
from cobot_meter.flows.sale.issue_invoice import IssueInvoice
from cobot_meter.flows.sale.open_escrow import OpenEscrow
from cobot_meter.flows.sale.recover import Once, Recover, unguarded
from cobot_meter.flows.sale.run_completion import RunCompletion
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.flows.steady_clock import SteadyClock
from cobot_meter.http_api.views import is_readable
from cobot_meter.ports.body_keys import BodyKeys
from cobot_meter.ports.books import Books
from cobot_meter.ports.escrow_runs import EscrowRuns
from cobot_meter.ports.exchange_rate import ExchangeRates
from cobot_meter.ports.identifiers import Identifiers, Sealer
from cobot_meter.ports.lightning_node import LightningNode
from cobot_meter.ports.process import Clock, Replicas, Wakes
from cobot_meter.ports.upstream import Upstream

R = TypeVar("R", bound=EscrowRuns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the flows stand on."""

    books: Books
    node: LightningNode
    ours: OurNode
    upstream: Upstream
    rates: ExchangeRates
    clock: Clock
    identifiers: Identifiers
    sealer: Sealer
    body_keys: BodyKeys
    retention: Retention
    wakes: Wakes
    replicas: Replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms is sold. `upstream_key` marks the key that costs are counted for.

    No `models` means all that the upstream has; `prices_wait_s` is how long an ask waits for a
    fresh price list, `reserve_pusd` what must be left of our credit upstream.
    """

    prices: PriceTerms
    exposure: ExposureTerms
    waits: Waits
    upstream_key: str
    run_timeout_ms: int
    invoice_expiry_s: int
    models: frozenset[str] = frozenset()
    fallback_models: tuple[str, ...] = ()
    prices_wait_s: float = 0.0
    reserve_pusd: int = 0


def _heard_by_nobody(*_: object) -> None:
    """A report that nobody counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Who hears what the flows see: every commit, a circuit that opens or closes, a doubted cost.

    `once` keeps a fault of one escrow from ending a whole turn.
    """

    observe: Observer = _heard_by_nobody
    circuit: CircuitReport = _heard_by_nobody
    doubt: Doubt = _heard_by_nobody
    once: Once = unguarded


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the flows of one process have in common."""

    ports: Ports
    terms: Terms
    reports: Reports
    recorder: EventRecorder
    releases: ReleaseGate
    node_gate: NodeGate
    account: WatchAccount
    choice: ChooseModel
    steady: SteadyClock
    body_keys: KeepBodyKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows(Generic[R]):
    """Every flow of the service, and the `runs` that the driver's caller keeps."""

    runs: R
    recorder: EventRecorder
    releases: ReleaseGate
    node_gate: NodeGate
    account: WatchAccount
    choice: ChooseModel
    steady: SteadyClock
    body_keys: KeepBodyKeys
    catalogue: ModelCatalogue
    quoting: QuoteRequest
    opening: OpenEscrow
    settlements: SettleInvoice
    deliveries: DeliverCompletion
    asks: AskCompletion
    recover: Recover
    topups: TopUp
    operating: OperatorFlows


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFlows:
    """What operators do, with a service beside them or without one."""

    releases: KeepReleases
    cancellations: CancelInvoice
    callers: SetCaller
    adoption: AdoptNode
    quarantine: Quarantine
    costs: CompareCosts
    rebasing: RebaseUsage
    sweep: SweepNode


def build_flows(
    ports: Ports,
    terms: Terms,
    runs_by: Callable[[EscrowDriver], R],
    reports: Reports | None = None,
) -> Flows[R]:
    """Every flow; `runs_by` makes what keeps the runs of this process on the driver."""
    shared = _shared(ports, terms, reports or Reports())
    catalogue = ModelCatalogue(
        upstream=ports.upstream,
        clock=ports.clock,
        allowed=terms.models,
        wait_s=terms.prices_wait_s,
    )
    quoting = _quoting(shared, catalogue)
    opening = _opening(shared, quoting)
    settlements, deliveries = _settlements(shared), _deliveries(shared)
    runs = runs_by(_driver(shared, opening, settlements, deliveries))
    return Flows(
        runs=runs,
        recorder=shared.recorder,
        releases=shared.releases,
        node_gate=shared.node_gate,
        account=shared.account,
        choice=shared.choice,
        steady=shared.steady,
        body_keys=shared.body_keys,
        catalogue=catalogue,
        quoting=quoting,
        opening=opening,
        settlements=settlements,
        deliveries=deliveries,
        asks=_asks(shared, opening, runs, settlements, deliveries),
        recover=_recover(shared, runs, settlements),
        topups=_topups(shared),
        operating=_operating(shared, settlements, runs),
    )


def build_operator_flows(ports: Ports, terms: Terms, reports: Reports) -> OperatorFlows:
    """What operators do while no service runs."""
    shared = _shared(ports, terms, reports)
    return _operating(shared, _settlements(shared), None)


def _shared(ports: Ports, terms: Terms, reports: Reports) -> Shared:
    releases, steady = ReleaseGate(), SteadyClock(clock=ports.clock)
    account = WatchAccount(
        holders=ports.upstream.account_holders(), reserve_pusd=terms.reserve_pusd
    )

    def observe(transition: Transition) -> None:
        reports.observe(transition)
        account.observe(transition)

    return Shared(
        ports=ports,
        terms=terms,
        reports=reports,
        recorder=EventRecorder(
            books=ports.books,
            wakes=ports.wakes,
            clock=ports.clock,
            retention=ports.retention,
            gate=releases,
            observe=observe,
        ),
        releases=releases,
        node_gate=NodeGate(releases=releases),
        account=account,
        choice=ChooseModel(clock=ports.clock, report=reports.circuit),
        steady=steady,
        body_keys=KeepBodyKeys(books=ports.books, keys=ports.body_keys, steady=steady),
    )


def _quoting(shared: Shared, catalogue: ModelCatalogue) -> QuoteRequest:
    terms = shared.terms
    return QuoteRequest(
        catalogue=catalogue,
        rates=shared.ports.rates,
        price_terms=terms.prices,
        exposure=terms.exposure,
        fallback_models=terms.fallback_models,
        releases=shared.releases,
        steady=shared.steady,
    )


def _opening(shared: Shared, quoting: QuoteRequest) -> OpenEscrow:
    ports = shared.ports
    return OpenEscrow(
        books=ports.books,
        recorder=shared.recorder,
        quoting=quoting,
        identifiers=ports.identifiers,
        sealer=ports.sealer,
        clock=ports.clock,
        exposure=shared.terms.exposure,
        node_gate=shared.node_gate,
        replicas=ports.replicas,
        choice=shared.choice,
        account=shared.account,
        body_keys=shared.body_keys,
    )


def _settlements(shared: Shared) -> SettleInvoice:
    ports = shared.ports
    return SettleInvoice(
        books=ports.books,
        recorder=shared.recorder,
        node=ports.node,
        ours=ports.ours,
        clock=ports.clock,
        steady=shared.steady,
    )


def _deliveries(shared: Shared) -> DeliverCompletion:
    return DeliverCompletion(
        books=shared.ports.books,
        recorder=shared.recorder,
        sealer=shared.ports.sealer,
        gate=shared.releases,
        readable=is_readable,
    )


def _driver(
    shared: Shared, opening: OpenEscrow, settlements: SettleInvoice, deliveries: DeliverCompletion
) -> EscrowDriver:
    ports = shared.ports
    return EscrowDriver(
        books=ports.books,
        recorder=shared.recorder,
        runs=_runs(shared),
        costs=_costs(shared),
        invoices=_invoices(shared),
        settlements=settlements,
        deliveries=deliveries,
        openings=opening,
        clock=ports.clock,
        retention=ports.retention,
        steady=shared.steady,
    )


def _runs(shared: Shared) -> RunCompletion:
    ports = shared.ports
    return RunCompletion(
        books=ports.books,
        recorder=shared.recorder,
        upstream=ports.upstream,
        sealer=ports.sealer,
        identifiers=ports.identifiers,
        replicas=ports.replicas,
        choice=shared.choice,
        clock=ports.clock,
        retention=ports.retention,
        timeout_ms=shared.terms.run_timeout_ms,
        steady=shared.steady,
    )


def _costs(shared: Shared) -> FindCost:
    ports = shared.ports
    return FindCost(
        recorder=shared.recorder,
        upstream=ports.upstream,
        identifiers=ports.identifiers,
        clock=ports.clock,
        retention=ports.retention,
        doubt=shared.reports.doubt,
        steady=shared.steady,
    )


def _invoices(shared: Shared) -> IssueInvoice:
    ports = shared.ports
    return IssueInvoice(
        recorder=shared.recorder,
        node=ports.node,
        identifiers=ports.identifiers,
        retention=ports.retention,
        expiry_s=shared.terms.invoice_expiry_s,
        node_gate=shared.node_gate,
        steady=shared.steady,
    )


def _asks(
    shared: Shared,
    opening: OpenEscrow,
    runs: EscrowRuns,
    settlements: SettleInvoice,
    deliveries: DeliverCompletion,
) -> AskCompletion:
    ports = shared.ports
    return AskCompletion(
        books=ports.books,
        opening=opening,
        runs=runs,
        settlements=settlements,
        deliveries=deliveries,
        identifiers=ports.identifiers,
        clock=ports.clock,
        wakes=ports.wakes,
        retention=ports.retention,
        waits=shared.terms.waits,
    )


def _recover(shared: Shared, runs: EscrowRuns, settlements: SettleInvoice) -> Recover:
    ports = shared.ports
    return Recover(
        books=ports.books,
        runs=runs,
        settlements=settlements,
        clock=ports.clock,
        retention=ports.retention,
        once=shared.reports.once,
    )


def _topups(shared: Shared) -> TopUp:
    ports = shared.ports
    return TopUp(
        books=ports.books,
        recorder=shared.recorder,
        node=ports.node,
        identifiers=ports.identifiers,
        clock=ports.clock,
        expiry_s=shared.terms.invoice_expiry_s,
        releases=shared.releases,
        steady=shared.steady,
    )


def _operating(
    shared: Shared, settlements: SettleInvoice, runs: EscrowRuns | None
) -> OperatorFlows:
    ports, recorder = shared.ports, shared.recorder
    books, node, ours, clock = ports.books, ports.node, ports.ours, ports.clock
    upstream, key = ports.upstream, shared.terms.upstream_key
    return OperatorFlows(
        releases=recorder.releases,
        cancellations=CancelInvoice(books=books, node=node, settlements=settlements),
        callers=SetCaller(books=books, recorder=recorder, clock=clock),
        adoption=AdoptNode(
            books=books,
            recorder=recorder,
            node=node,
            ours=ours,
            identifiers=ports.identifiers,
            clock=clock,
        ),
        quarantine=Quarantine(
            books=books,
            recorder=recorder,
            node=node,
            ours=ours,
            settlements=settlements,
            clock=clock,
            runs=runs,
        ),
        costs=CompareCosts(books=books, recorder=recorder, upstream=upstream, key=key, clock=clock),
        rebasing=RebaseUsage(
            books=books, recorder=recorder, upstream=upstream, key=key, clock=clock
        ),
        sweep=SweepNode(
            books=books,
            recorder=recorder,
            settlements=settlements,
            node=node,
            ours=ours,
            identifiers=ports.identifiers,
            clock=clock,
            gate=shared.node_gate,
        ),
    )
