"""What the HTTP face is built from: flows and ports, by name. Must not know: who builds them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from service.domain.callers import ExposureTerms
from service.domain.pricing import PriceTerms
from service.flows.ask_completion import AskCompletion
from service.flows.caller_usage import CallerUsage
from service.flows.offer_models import ModelCatalogue
from service.flows.quote_request import QuoteRequest
from service.flows.settle_invoice import SettleInvoice
from service.flows.top_up import TopUp
from service.http_api.addresses import TrustedProxies
from service.http_api.asgi_io import BodyLimits
from service.http_api.authentication import Tokens
from service.http_api.quote_tokens import QuoteTokens
from service.ports.books import Books
from service.ports.clock import Clock
from service.ports.exchange_rate import ExchangeRates
from service.ports.identifiers import Identifiers
from service.ports.ledger_reports import LedgerReports
from service.ports.wakes import Wakes

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
    stops nothing: a stable code each while it rings. `public_url` is our own address as callers
    reach it, without a final slash. `registry` gets the face's own counters, so it belongs to one
    face.
    """

    books: Books
    reports: LedgerReports
    asks: AskCompletion
    settlements: SettleInvoice
    topups: TopUp
    usage: CallerUsage
    catalogue: ModelCatalogue
    quoting: QuoteRequest
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
