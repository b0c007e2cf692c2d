"""The flows as one process that can be killed, over parts that survive it.

`Lasting` is what lies outside the process: disk, node, upstream, clock. `Process` is what the
service builds on it (`wiring/flows.py`), minus HTTP and background loops, whose work tests call by
hand.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any, cast

from cobot_meter.adapters.rates.static import StaticRate
from cobot_meter.background.wake_hub import WakeHub
from cobot_meter.domain.callers import CapTerms, ExposureTerms
from cobot_meter.domain.errors import DependencyFault
from cobot_meter.domain.invoices import Invoice, NodeIdentity
from cobot_meter.domain.pricing.prices import PriceTerms
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.flows.answer.recent_answers import RecentAnswers
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.record_event import OurNode, RecordEvent
from cobot_meter.flows.sale.follow_run import Waits
from cobot_meter.flows.sale.run_completion import RunTerms
from cobot_meter.flows.vault import Readable, Vault
from cobot_meter.http_api.views import is_readable
from cobot_meter.ports.books import Applied, Books
from cobot_meter.ports.exchange_rate import ExchangeRates
from cobot_meter.ports.identifiers import Identifiers, Sealer
from cobot_meter.ports.lightning_node import LightningNode
from cobot_meter.wiring.flows import build_flows
from cobot_meter.wiring.opening.routing_table import routing_table
from cobot_meter.wiring.opening.shared import Ports, Terms
from tests.fakes.books import Crash, Killed, Moment
from tests.fakes.clock import FakeClock
from tests.fakes.identifiers import FakeBodyKeys, FakeIdentifiers, FakeSealer
from tests.fakes.replicas import Crowd, FakeReplicas
from tests.fakes.upstream import FakeUpstream
from tests.flows.rigs.escrow_tasks import Runs

RATE_USD_MICRO = 1_000_000_000  # 1,000 USD per bitcoin: a run costs some thousand msat
RUN_MS = 300_000
EXPIRY_S = 600
RETENTION = Retention()
WAITS = Waits(first_s=60, identical_s=60)
# A few ceilings each, so that guards refuse after some histories.
EXPOSURE = ExposureTerms(
    cap=CapTerms(newcomer_msat=50_000, max_msat=200_000),
    newcomer_until_msat=10_000,
    address_day_pusd=600_000_000,
    newcomers_day_pusd=900_000_000,
    proven_day_pusd=1_200_000_000,
    ask_least_pusd=1_000_000,
)


@dataclass(slots=True, kw_only=True)
class Lasting:
    """Everything that outlives a process."""

    books: Books
    node: LightningNode
    identity: NodeIdentity
    upstream: FakeUpstream = field(default_factory=FakeUpstream)
    upstream_key: str = "key one"
    clock: FakeClock = field(default_factory=lambda: FakeClock(leaping=True))
    identifiers: Identifiers = field(default_factory=FakeIdentifiers)
    sealer: FakeSealer = field(default_factory=FakeSealer)
    body_keys: FakeBodyKeys = field(default_factory=FakeBodyKeys)
    crowd: Crowd = field(default_factory=Crowd)
    wakes: WakeHub = field(default_factory=WakeHub)
    turns_free: bool = True
    rates: ExchangeRates | None = None


class MortalBooks:
    """One process's way to the books: it can be cut before or after any commit, for ever."""

    def __init__(self, books: Books) -> None:
        """`crash` arms the next death; `applies` counts the calls of `apply`."""
        self._books = books
        self.crash: Crash | None = None
        self.dead = False
        self.applies = 0

    async def apply(self, transition: Transition) -> Applied:
        self._die(Moment.BEFORE)
        self.applies += 1
        applied = await self._books.apply(transition)
        self._die(Moment.AFTER)
        return applied

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - every read of the port
        return getattr(self._books, name)

    def _die(self, moment: Moment) -> None:
        if self.crash is not None and self.crash.moment is moment:
            if not self.crash.commits:
                self.dead = True
            self.crash = Crash(moment=moment, commits=max(self.crash.commits - 1, 0))
        if self.dead:
            raise Killed(f"{moment} a commit")


class Process:
    """The flows of the service, wired as the service wires them. Dies where its books say so."""

    def __init__(
        self, lasting: Lasting, *, exposure: ExposureTerms = EXPOSURE, waits: Waits = WAITS
    ) -> None:
        """Nothing runs yet; see `start`."""
        self.lasting = lasting
        self.waits = waits
        self.mortal = MortalBooks(lasting.books)
        self.books = cast("Books", self.mortal)
        self.replicas = FakeReplicas(lasting.crowd)
        self.ours = OurNode(lasting.identity)
        self.runs = Runs(turns_free=lambda: lasting.turns_free)
        self.flows = build_flows(
            Ports(
                books=self.books,
                node=lasting.node,
                ours=self.ours,
                upstream=lasting.upstream,
                rates=lasting.rates
                or StaticRate(usd_micro_per_btc=RATE_USD_MICRO, clock=lasting.clock),
                clock=lasting.clock,
                identifiers=lasting.identifiers,
                sealer=lasting.sealer,
                body_keys=lasting.body_keys,
                retention=RETENTION,
                wakes=lasting.wakes,
                replicas=self.replicas,
            ),
            Terms(
                routing_table=routing_table(None).successes,
                prices=PriceTerms(),
                exposure=exposure,
                waits=waits,
                upstream_key=lasting.upstream_key,
                runs=RunTerms(timeout_ms=RUN_MS),
                invoice_expiry_s=EXPIRY_S,
            ),
            self.runs.by,
        )
        flows, operating = self.flows, self.flows.operating
        self.ledger, self.vault = flows.ledger, flows.vault
        self.quarantine, self.sweep_node = operating.quarantine, operating.sweep_node
        self.record_event, self.release_gate, self.steady_clock = (
            flows.record_event,
            flows.release_gate,
            flows.steady_clock,
        )
        self.catalogue, self.open_escrow, self.ask_completion = (
            flows.catalogue,
            flows.open_escrow,
            flows.ask_completion,
        )
        self.settle_invoice, self.deliver_completion = (
            flows.settle_invoice,
            flows.deliver_completion,
        )
        self.recover, self.top_up = flows.recover, flows.top_up
        self.watch_account, self.node_gate = flows.watch_account, flows.node_gate
        self.choose_model, self.exposure = flows.choose_model, exposure
        self.compare_costs, self.rebase_usage = operating.compare_costs, operating.rebase_usage
        self.adopt_node = operating.adopt_node

    def ledger_on(
        self, *, books: Books | None = None, record_event: RecordEvent | None = None
    ) -> Ledger:
        """The ledger of this process, over other books or with another recorder."""
        return Ledger(
            books=books or self.books,
            record_event=record_event or self.record_event,
            clock=self.lasting.clock,
            steady_clock=self.steady_clock,
            retention=RETENTION,
        )

    def vault_on(
        self,
        *,
        books: Books | None = None,
        sealer: Sealer | None = None,
        readable: Readable = is_readable,
    ) -> Vault:
        """The vault of this process, over other books, with another sealer or another reader."""
        return Vault(
            books=books or self.books,
            identifiers=self.lasting.identifiers,
            sealer=sealer or self.lasting.sealer,
            keep_body_keys=self.flows.keep_body_keys,
            recent_answers=RecentAnswers(clock=self.lasting.clock),
            readable=readable,
        )

    async def start(self) -> None:
        """What a start does: prices, baseline, and everything unfinished back to the driver."""
        await self.adopt_node.begin()
        await self.record_event.keep_releases.follow()
        with contextlib.suppress(DependencyFault):  # asked again by the background
            await self.catalogue.refresh()
        await self.compare_costs.baseline()
        await self.recover.unfinished()
        await self.runs.finish()

    async def tick(self) -> None:
        """One turn of the background: what is unfinished, and timers."""
        await self.recover.unfinished()
        await self.recover.due(self.steady_clock.timers_ms())
        await self.runs.finish()

    async def hear(self, *invoices: Invoice) -> None:
        """The node's stream says these."""
        for invoice in invoices:
            await self.settle_invoice.told(invoice)

    async def compare(self) -> int | None:
        """Two readings of the upstream's usage in a row, and what the second one booked."""
        await self.compare_costs.compare()
        return await self.compare_costs.compare()

    async def kill(self) -> None:
        """Gone, between two commits or at one."""
        self.mortal.dead = True
        self.replicas.die()
        await self.runs.stop()
