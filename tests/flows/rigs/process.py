"""The flows as one process that can be killed, over parts that survive it.

`Lasting` is what lies outside the process: disk, node, upstream, clock. `Process` is made of it
as wiring does, minus HTTP and background loops, whose work tests call by hand. Must not know:
what a test does with it.
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
from cobot_meter.flows.credit.top_up import TopUp
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.offer.choose_model import ChooseModel
from cobot_meter.flows.offer.gates import NodeGate, WatchAccount
from cobot_meter.flows.offer.quote_request import QuoteRequest
from cobot_meter.flows.operate.adopt_node import AdoptNode
from cobot_meter.flows.operate.compare_costs import CompareCosts
from cobot_meter.flows.operate.rebase_usage import RebaseUsage
from cobot_meter.flows.record_event import EventRecorder, OurNode
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.sale.ask_completion import AskCompletion, Waits
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.flows.sale.drive_escrow import EscrowDriver
from cobot_meter.flows.sale.find_cost import FindCost
from cobot_meter.flows.sale.issue_invoice import IssueInvoice
from cobot_meter.flows.sale.open_escrow import OpenEscrow
from cobot_meter.flows.sale.recover import Recover
from cobot_meter.flows.sale.run_completion import RunCompletion
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.flows.steady_clock import SteadyClock
from cobot_meter.ports.books import Applied, Books
from cobot_meter.ports.identifiers import Identifiers
from cobot_meter.ports.lightning_node import LightningNode

from tests.fakes.books import Crash, Killed, Moment
from tests.fakes.clock import FakeClock
from tests.fakes.identifiers import FakeIdentifiers, FakeSealer
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
    crowd: Crowd = field(default_factory=Crowd)
    wakes: WakeHub = field(default_factory=WakeHub)
    turns_free: bool = True


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
    """The flows, wired by hand. Dies where its `mortal` books say so."""

    def __init__(
        self, lasting: Lasting, *, exposure: ExposureTerms = EXPOSURE, waits: Waits = WAITS
    ) -> None:
        """Nothing runs yet; see `start`."""
        self.lasting = lasting
        self.waits = waits
        self.mortal = MortalBooks(lasting.books)
        self.books = cast("Books", self.mortal)
        self.gate = ReleaseGate()
        self.steady = SteadyClock(clock=lasting.clock)
        self.runs = Runs(turns_free=lambda: lasting.turns_free)
        self.replicas = FakeReplicas(lasting.crowd)
        self.recorder = EventRecorder(
            books=self.books,
            wakes=lasting.wakes,
            clock=lasting.clock,
            retention=RETENTION,
            gate=self.gate,
            observe=lambda _: None,
        )
        self.ours = OurNode(lasting.identity)
        self.catalogue = ModelCatalogue(
            upstream=lasting.upstream, clock=lasting.clock, allowed=frozenset()
        )
        self.settlements = SettleInvoice(
            books=self.books,
            recorder=self.recorder,
            node=lasting.node,
            ours=self.ours,
            clock=lasting.clock,
            steady=self.steady,
        )
        self.deliveries = DeliverCompletion(
            books=self.books, recorder=self.recorder, sealer=lasting.sealer, gate=self.gate
        )
        self.recover = Recover(
            books=self.books,
            runs=self.runs,
            settlements=self.settlements,
            clock=lasting.clock,
            retention=RETENTION,
        )
        self.costs = CompareCosts(
            books=self.books,
            recorder=self.recorder,
            upstream=lasting.upstream,
            key=lasting.upstream_key,
            clock=lasting.clock,
        )
        self._build_doors()
        self.choice = ChooseModel(clock=lasting.clock, report=lambda *_: None)
        self.opening = self._opening(exposure)
        self.runs.driver = self._driver()
        self.asks = self._asks()

    def _build_doors(self) -> None:
        """What sells credit, and what binds the books to the node."""
        lasting = self.lasting
        self.topups = TopUp(
            books=self.books,
            recorder=self.recorder,
            node=lasting.node,
            identifiers=lasting.identifiers,
            clock=lasting.clock,
            expiry_s=EXPIRY_S,
            releases=self.gate,
        )
        self.adoption = AdoptNode(
            books=self.books,
            recorder=self.recorder,
            node=lasting.node,
            ours=self.ours,
            identifiers=lasting.identifiers,
            clock=lasting.clock,
        )

    @property
    def rebasing(self) -> RebaseUsage:
        """What takes the operator's word on a new key."""
        return RebaseUsage(
            books=self.books,
            recorder=self.recorder,
            upstream=self.lasting.upstream,
            key=self.lasting.upstream_key,
            clock=self.lasting.clock,
        )

    async def start(self) -> None:
        """What a start does: prices, baseline, and everything unfinished back to the driver."""
        await self.adoption.begin()
        await self.recorder.releases.follow()
        with contextlib.suppress(DependencyFault):  # asked again by the background
            await self.catalogue.refresh()
        await self.costs.baseline()
        await self.recover.unfinished()
        await self.runs.finish()

    async def tick(self) -> None:
        """One turn of the background: what is unfinished, and timers."""
        await self.recover.unfinished()
        await self.recover.due(self.steady.timers_ms())
        await self.runs.finish()

    async def hear(self, *invoices: Invoice) -> None:
        """The node's stream says these."""
        for invoice in invoices:
            await self.settlements.told(invoice)

    async def compare(self) -> int | None:
        """Two readings of the upstream's usage in a row, and what the second one booked."""
        await self.costs.compare()
        return await self.costs.compare()

    async def kill(self) -> None:
        """Gone, between two commits or at one."""
        self.mortal.dead = True
        self.replicas.die()
        await self.runs.stop()

    def _driver(self) -> EscrowDriver:
        lasting = self.lasting
        return EscrowDriver(
            books=self.books,
            recorder=self.recorder,
            runs=RunCompletion(
                books=self.books,
                recorder=self.recorder,
                upstream=lasting.upstream,
                sealer=lasting.sealer,
                identifiers=lasting.identifiers,
                replicas=self.replicas,
                choice=self.choice,
                clock=lasting.clock,
                retention=RETENTION,
                timeout_ms=RUN_MS,
                steady=self.steady,
            ),
            costs=FindCost(
                recorder=self.recorder,
                upstream=lasting.upstream,
                identifiers=lasting.identifiers,
                clock=lasting.clock,
                retention=RETENTION,
                steady=self.steady,
            ),
            invoices=IssueInvoice(
                recorder=self.recorder,
                node=lasting.node,
                identifiers=lasting.identifiers,
                clock=lasting.clock,
                retention=RETENTION,
                expiry_s=EXPIRY_S,
                node_gate=NodeGate(releases=self.gate),
                steady=self.steady,
            ),
            settlements=self.settlements,
            deliveries=self.deliveries,
            openings=self.opening,
            clock=lasting.clock,
            retention=RETENTION,
            steady=self.steady,
        )

    def _opening(self, exposure: ExposureTerms) -> OpenEscrow:
        lasting = self.lasting
        return OpenEscrow(
            books=self.books,
            recorder=self.recorder,
            quoting=QuoteRequest(
                catalogue=self.catalogue,
                rates=StaticRate(usd_micro_per_btc=RATE_USD_MICRO, clock=lasting.clock),
                price_terms=PriceTerms(),
                exposure=exposure,
                releases=self.gate,
                steady=self.steady,
            ),
            identifiers=lasting.identifiers,
            sealer=lasting.sealer,
            clock=lasting.clock,
            exposure=exposure,
            node_gate=NodeGate(releases=self.gate),
            replicas=self.replicas,
            choice=self.choice,
            account=WatchAccount(upstream=lasting.upstream, reserve_pusd=0),
        )

    def _asks(self) -> AskCompletion:
        lasting = self.lasting
        return AskCompletion(
            books=self.books,
            opening=self.opening,
            runs=self.runs,
            settlements=self.settlements,
            deliveries=self.deliveries,
            identifiers=lasting.identifiers,
            clock=lasting.clock,
            wakes=lasting.wakes,
            retention=RETENTION,
            waits=self.waits,
        )
