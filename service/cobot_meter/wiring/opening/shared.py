"""What the flows of one process stand on and have in common: ports, terms and reports.

Must not know: which flows there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cobot_meter.domain.callers import ExposureTerms
from cobot_meter.domain.pricing.prices import PriceTerms
from cobot_meter.domain.privacy.tiers import PrivateModels
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.routing.table import SuccessTable
from cobot_meter.domain.topup.record import TopupBounds
from cobot_meter.flows.answer.recent_answers import BYTES_MAX as RECENT_BYTES_MAX
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.offer.choose_model import ChooseModel
from cobot_meter.flows.offer.choose_model import Report as CircuitReport
from cobot_meter.flows.offer.gates import NodeGate, WatchAccount
from cobot_meter.flows.offer.keep_body_keys import KeepBodyKeys
from cobot_meter.flows.record_event import Observer, OurNode, RecordEvent
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.sale.find_cost import Doubt
from cobot_meter.flows.sale.follow_run import Waits
from cobot_meter.flows.sale.recover import Once, unguarded
from cobot_meter.flows.sale.run_completion import RunTerms
from cobot_meter.flows.steady_clock import SteadyClock
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.body_keys import BodyKeys
from cobot_meter.ports.books import Books
from cobot_meter.ports.exchange_rate import ExchangeRates
from cobot_meter.ports.identifiers import Identifiers, Sealer
from cobot_meter.ports.lightning_node import LightningNode
from cobot_meter.ports.process import Clock, Replicas, Wakes
from cobot_meter.ports.upstream import Upstream


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

    Up to `recent_answers_bytes` of answers on credit are kept in memory instead of in the books. No
    `models` means all that the upstream has; `prices_wait_s` is how long an ask waits for a fresh
    price list, `reserve_pusd` what must be left of our credit upstream.
    """

    prices: PriceTerms
    exposure: ExposureTerms
    waits: Waits
    upstream_key: str
    runs: RunTerms
    invoice_expiry_s: int
    routing_table: SuccessTable
    models: frozenset[str] = frozenset()
    fallback_models: tuple[str, ...] = ()
    panel_models: tuple[str, ...] = ()
    prices_wait_s: float = 0.0
    reserve_pusd: int = 0
    recent_answers_bytes: int = RECENT_BYTES_MAX
    topups: TopupBounds = field(default_factory=TopupBounds)
    private_models: PrivateModels = field(default_factory=PrivateModels)


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
    ledger: Ledger
    vault: Vault
    record_event: RecordEvent
    release_gate: ReleaseGate
    node_gate: NodeGate
    watch_account: WatchAccount
    choose_model: ChooseModel
    steady_clock: SteadyClock
    keep_body_keys: KeepBodyKeys
