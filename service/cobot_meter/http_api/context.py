"""What the HTTP face is built from: flows and ports, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from cobot_meter.domain.callers import ExposureTerms
from cobot_meter.domain.pricing.prices import PriceTerms
from cobot_meter.domain.privacy.detector import Look, nothing_seen
from cobot_meter.flows.benchmarks.sell_edition import SellEdition
from cobot_meter.flows.budget.find_budgets import FindBudgets
from cobot_meter.flows.budget.manage_budgets import ManageBudgets
from cobot_meter.flows.credit.caller_usage import CallerUsage
from cobot_meter.flows.credit.manage_keys import ManageKeys
from cobot_meter.flows.credit.top_up import TopUp
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.offer.quote_request import QuoteRequest
from cobot_meter.flows.offer.route_request import RouteRequest
from cobot_meter.flows.sale.ask_completion import AskCompletion
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.flows.task.every_flow import TaskFlows
from cobot_meter.http_api.http.addresses import TrustedProxies
from cobot_meter.http_api.http.exchange import BodyLimits
from cobot_meter.http_api.l402.tokens import Tokens
from cobot_meter.http_api.quote_tokens import QuoteTokens
from cobot_meter.ports.books import Books
from cobot_meter.ports.exchange_rate import ExchangeRates
from cobot_meter.ports.identifiers import Identifiers
from cobot_meter.ports.ledger_reports import LedgerReports
from cobot_meter.ports.process import Clock, Wakes

Ping = Callable[[], Awaitable[object]]
Notice = Callable[[], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceLimits:
    """Bounds of the face: `poll_slice_s` is how long a lost wake-up can delay a long poll.

    `/readyz` believes what a part said for `readiness_fresh_ms`; `far_parts`, which are other
    people's servers, are asked once in `far_fresh_ms` while they are well.
    """

    body: BodyLimits = field(default_factory=BodyLimits)
    poll_slice_s: float = 5.0
    ping_timeout_s: float = 2.0
    readiness_fresh_ms: int = 1_000
    far_fresh_ms: int = 5_000
    far_parts: frozenset[str] = frozenset({"upstream"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceParts:
    """Everything the routes call.

    `pings` are asked by `/readyz`, each by the name it is shown under. `notices` are what rings and
    stops nothing: a stable code each while it rings. `look` says what in a request is private.
    Where `sell_edition` is None no benchmarks are sold.
    `public_url` is our own address as callers
    reach it, without a final slash. `registry` gets the face's own counters, so it belongs to one
    face.
    """

    books: Books
    reports: LedgerReports
    ask_completion: AskCompletion
    settle_invoice: SettleInvoice
    top_up: TopUp
    manage_keys: ManageKeys
    manage_budgets: ManageBudgets
    find_budgets: FindBudgets
    tasks: TaskFlows
    caller_usage: CallerUsage
    catalogue: ModelCatalogue
    quote_request: QuoteRequest
    route_request: RouteRequest
    quotes: QuoteTokens
    rates: ExchangeRates
    wakes: Wakes
    clock: Clock
    identifiers: Identifiers
    tokens: Tokens
    price_terms: PriceTerms
    exposure: ExposureTerms
    public_url: str
    trusted_proxies: TrustedProxies
    pings: Mapping[str, Ping]
    registry: CollectorRegistry
    is_draining: Callable[[], bool]
    limits: FaceLimits = field(default_factory=FaceLimits)
    notices: Mapping[str, Notice] = field(default_factory=dict)
    look: Look = nothing_seen
    sell_edition: SellEdition | None = None
