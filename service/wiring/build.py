"""Where ports meet adapters: plain constructors, by name, in the order of the floors.

Must not know: HTTP servers, signals or commands. `open_parts` gives what every command needs,
`open_service` what serves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from service.adapters.exchange_rates import StaticRate
from service.adapters.key_file import DerivedKeys, read_key_file
from service.adapters.lightning.dev_node import DevNode
from service.adapters.random_identifiers import KeyedIdentifiers
from service.adapters.sealed_bodies import AesSealer
from service.adapters.storage.sqlite_books import open_sqlite_books
from service.adapters.system_clock import SystemClock
from service.adapters.upstreams.http_session import HttpLimits, http_session
from service.adapters.upstreams.openrouter import OpenRouter, OpenRouterSettings
from service.background.escrow_runner import EscrowRunner
from service.background.invoice_watcher import InvoiceWatcher
from service.background.supervise import Supervisor
from service.background.wake_hub import WakeHub
from service.domain.errors import SettingInvalid
from service.domain.invoices import NodeIdentity
from service.domain.retention import Retention
from service.flows.ask_completion import AskCompletion, Waits
from service.flows.compare_costs import CompareCosts
from service.flows.deliver_completion import DeliverCompletion
from service.flows.drive_escrow import EscrowDriver
from service.flows.find_cost import FindCost
from service.flows.issue_invoice import IssueInvoice
from service.flows.offer_models import ModelCatalogue
from service.flows.open_escrow import OpenEscrow
from service.flows.record_event import EventRecorder, ReleaseGate
from service.flows.recover import Recover
from service.flows.run_completion import RunCompletion
from service.flows.settle_invoice import SettleInvoice
from service.flows.top_up import TopUp
from service.ports.books import Books
from service.ports.clock import Clock
from service.ports.exchange_rate import ExchangeRates
from service.ports.lightning_node import LightningNode
from service.ports.upstream import Upstream
from service.wiring.metrics import Metrics
from service.wiring.settings import NodeSettings, Settings, UpstreamSettings

BOOKS_FILE = "books.sqlite3"
NODE_FILE = "development-node.log"
KEY_FILE = "secret.key"
NODE_ALIAS = "development"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The ports, each with its adapter."""

    books: Books
    node: LightningNode
    identity: NodeIdentity
    upstream: Upstream
    rates: ExchangeRates
    clock: Clock
    identifiers: KeyedIdentifiers
    sealer: AesSealer
    keys: DerivedKeys
    retention: Retention
    metrics: Metrics
    wakes: WakeHub


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
    deliveries: DeliverCompletion
    costs: CompareCosts
    runner: EscrowRunner
    recover: Recover
    watcher: InvoiceWatcher
    supervisor: Supervisor


def prepare_data_dir(data_dir: Path) -> None:
    """Make the data directory, readable by its owner only. Raises SettingInvalid."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        message = f"cannot use {data_dir} for data: {fault.strerror}"
        raise SettingInvalid(message) from None


def development_node(data_dir: Path, settings: NodeSettings, clock: Clock) -> DevNode:
    """The embedded node, its state in the data directory."""
    return DevNode(
        path=data_dir / NODE_FILE, network=settings.network, alias=NODE_ALIAS, clock=clock
    )


@contextlib.asynccontextmanager
async def open_upstream(settings: UpstreamSettings) -> AsyncIterator[OpenRouter]:
    """The gateway's adapter on the process's one HTTP client."""
    async with http_session(HttpLimits(read_timeout_s=settings.timeout_s)) as client:
        yield OpenRouter(
            client,
            OpenRouterSettings(
                base_url=settings.base_url,
                api_key=settings.api_key.reveal(),
                timeout_s=settings.timeout_s,
            ),
        )


@contextlib.asynccontextmanager
async def open_parts(settings: Settings, node: LightningNode) -> AsyncIterator[Parts]:
    """Every part, opened in order and closed in the opposite one. Raises SettingInvalid."""
    keys = read_key_file(settings.data_dir / KEY_FILE)
    clock, retention = SystemClock(), Retention()
    async with (
        open_sqlite_books(settings.data_dir / BOOKS_FILE, retention=retention) as books,
        open_upstream(settings.upstream) as upstream,
    ):
        yield Parts(
            books=books,
            node=node,
            identity=await node.identity(),
            upstream=upstream,
            rates=StaticRate(usd_micro_per_btc=settings.rate_usd_micro_per_btc, clock=clock),
            clock=clock,
            identifiers=KeyedIdentifiers(preimage_key=keys.preimage),
            sealer=AesSealer(wrapping_key=keys.wrapping),
            keys=keys,
            retention=retention,
            metrics=Metrics(),
            wakes=WakeHub(),
        )


def build_service(settings: Settings, parts: Parts, tasks: asyncio.TaskGroup) -> Service:
    """All flows, and a runner whose runs live in `tasks`."""
    gate = ReleaseGate()
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
        driver=_driver(settings, parts, recorder, settlements, deliveries),
        tasks=tasks,
        supervisor=supervisor,
        runs_max=settings.run.runs_max,
    )
    parts.metrics.active_runs.set_function(lambda: runner.active)
    recover = Recover(books=parts.books, runs=runner, settlements=settlements)
    catalogue = ModelCatalogue(
        upstream=parts.upstream, clock=parts.clock, allowed=settings.upstream.models
    )
    opening = _opening(settings, parts, recorder, catalogue)
    return Service(
        settings=settings,
        parts=parts,
        recorder=recorder,
        gate=gate,
        catalogue=catalogue,
        asks=_asks(settings, parts, opening, runner, settlements, deliveries),
        topups=_topups(settings, parts, recorder),
        settlements=settlements,
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
            identity=parts.identity,
            settlements=settlements,
            recover=recover,
        ),
        supervisor=supervisor,
    )


def build_settlements(parts: Parts, recorder: EventRecorder) -> SettleInvoice:
    """What takes the node's word."""
    return SettleInvoice(
        books=parts.books,
        recorder=recorder,
        node=parts.node,
        identity=parts.identity,
        clock=parts.clock,
    )


def _driver(
    settings: Settings,
    parts: Parts,
    recorder: EventRecorder,
    settlements: SettleInvoice,
    deliveries: DeliverCompletion,
) -> EscrowDriver:
    return EscrowDriver(
        books=parts.books,
        recorder=recorder,
        runs=RunCompletion(
            books=parts.books,
            recorder=recorder,
            upstream=parts.upstream,
            sealer=parts.sealer,
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
        ),
        settlements=settlements,
        deliveries=deliveries,
        clock=parts.clock,
        retention=parts.retention,
    )


def _opening(
    settings: Settings, parts: Parts, recorder: EventRecorder, catalogue: ModelCatalogue
) -> OpenEscrow:
    return OpenEscrow(
        books=parts.books,
        recorder=recorder,
        catalogue=catalogue,
        rates=parts.rates,
        identifiers=parts.identifiers,
        sealer=parts.sealer,
        clock=parts.clock,
        price_terms=settings.prices,
        exposure=settings.exposure,
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
