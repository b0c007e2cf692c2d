"""One service, its callers and its outside, in which an outage begins at a chosen commit.

A story is told until a commit leaves its escrow or top-up in the state that is wanted; there, with
whatever is under way, the outage begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.background.node_watcher import NodeWatch
from cobot_meter.domain.callers import CapTerms, ExposureTerms
from cobot_meter.domain.errors import CallerFault, DependencyFault
from cobot_meter.domain.escrow.events import QuarantineBegun
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import InvoiceState
from cobot_meter.domain.topup.events import TopupQuarantined
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.flows.operate.sweep_node import SweepNode
from cobot_meter.flows.sale.ask_completion import Answer, AnswerKind, Ask
from cobot_meter.flows.sale.follow_run import Waits
from cobot_meter.flows.sale.recover import Recover
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.fakes.books import FakeBooks, Killed
from tests.fakes.clock import FakeClock
from tests.fakes.twin_books import twin_books
from tests.fakes.upstream_outcomes import Completes
from tests.flows.outages.outage_parts import (
    BooksBetween,
    NodeBetween,
    NodeTrouble,
    RateBetween,
    Trouble,
    TrueTime,
    UpstreamBetween,
    as_upstream,
)
from tests.flows.rigs.process import RATE_USD_MICRO, RETENTION, Lasting, Process
from tests.flows.rigs.stories import CALLER, COST, Stage, Step, ask_of, hear, pay
from tests.flows.rigs.watch import Watch

WIDE = ExposureTerms(
    cap=CapTerms(newcomer_msat=10**8, max_msat=10**9),
    newcomer_until_msat=10_000,
    address_day_pusd=10**12,
    newcomers_day_pusd=10**13,
    proven_day_pusd=10**13,
    ask_least_pusd=1_000_000,
)
# Real seconds, so many that no busy machine uses them up: every run ends in a moment.
WAITS = Waits(first_s=60, identical_s=60)
State = Progress | TopupState


def named(state: State) -> str:
    """As a table has it: both kinds have states of one name."""
    kind = "a top-up" if isinstance(state, TopupState) else "an escrow"
    return f"{kind} {state}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Where an outage finds a sale; `parked` is one that cannot be booked from there on."""

    state: State
    parked: bool = False

    def __str__(self) -> str:
        return f"{named(self.state)}{', parked' if self.parked else ''}"


class CallersStage(Stage):
    """Where the story's caller is one of several."""

    @property
    def escrow(self) -> Escrow:
        """The newest escrow of the story's caller."""
        rows = self.books.rows.escrows.values()
        return [escrow for escrow in rows if escrow.caller_id == CALLER][-1]


@dataclass(slots=True)
class LenientWatch(Watch):
    """`parked_at_work`: a run's cost came to light when no escrow could be told of it."""

    parked_at_work: bool = False

    def _check_spend(self) -> None:
        if not self.parked_at_work:
            Watch._check_spend(self)


@dataclass(slots=True, kw_only=True)
class Living:
    """A process, and what only it has."""

    process: Process
    books: BooksBetween
    sweep_node: SweepNode
    node: NodeWatch


class OutageRig:
    """`living` are the processes, the newest last; `stage.process` is who is asked.

    `read` is what callers have had, by escrow; `refusal` the last fault that anybody was told.
    """

    def __init__(
        self,
        *,
        books: Books,
        rows: FakeBooks,
        node: DevNode,
        lasting: Lasting,
        reports: LedgerReports | None,
    ) -> None:
        """Nothing is started. `rows` is what the books hold, `reports` what a file says of it."""
        self.trouble = Trouble()
        self.rows = rows
        self.node = node
        self.reports = reports
        self.clock = lasting.clock
        self.crowd = lasting.crowd
        self.reached: list[str] = []
        self.wanted: Wanted | None = None
        self.begins: Callable[[], Awaitable[None]] | None = None
        self.living: list[Living] = []
        self.asks: dict[str, Ask] = {}
        self.read: dict[str, bytes] = {}
        self.before, self.during, self.afterwards = (
            ask_by(f"c_{name}", number=number)
            for number, name in enumerate(("before", "during", "afterwards"))
        )
        self.logged: list[str] = []
        self.refusal: BaseException | None = None
        self._books = books
        self._lasting = lasting
        first = self.new_process()
        self.stage = CallersStage(lasting=lasting, books=rows, node=node, process=first.process)
        self.watch = LenientWatch(rows, lasting.upstream, WIDE)

    # --- processes ---

    def new_process(self) -> Living:
        """One more, not started, with ways of its own to everything."""
        trouble, clock = self.trouble, self.clock
        books = BooksBetween(self._books, trouble=trouble, clock=clock, written=self._written)
        lasting = replace(
            self._lasting,
            books=cast("Books", books),
            node=NodeBetween(self._lasting.node, trouble=trouble, clock=clock),
            upstream=as_upstream(
                UpstreamBetween(self._lasting.upstream, trouble=trouble, clock=clock)
            ),
            rates=RateBetween(usd_micro_per_btc=RATE_USD_MICRO, clock=clock, trouble=trouble),
        )
        process = Process(lasting, exposure=WIDE, waits=WAITS)
        process.recover = Recover(
            books=process.books,
            runs=process.runs,
            settle_invoice=process.settle_invoice,
            clock=clock,
            retention=RETENTION,
            once=self._once,
        )
        node = NodeWatch(node=lasting.node, node_gate=process.node_gate)
        living = Living(process=process, books=books, sweep_node=process.sweep_node, node=node)
        self.living.append(living)
        return living

    async def start(self, living: Living) -> None:
        """What a start does, in its order. Raises what stops it."""
        process = living.process
        await process.lasting.node.identity()
        await process.adopt_node.begin()
        process.steady_clock.begin(await process.books.latest_at_ms())
        await process.record_event.keep_releases.follow()
        await living.sweep_node.begin()
        for turn in (living.sweep_node.sweep, lambda: prices(process), process.recover.unfinished):
            await self.attempt(turn)
        await self.attempt(lambda: self.finish(process))

    async def kill(self) -> None:
        """Whoever is asked is gone, and nobody has come in its place."""
        await self.stage.process.kill()
        self.living = [one for one in self.living if one.process is not self.stage.process]

    async def alive(self) -> bool:
        """Whether there is a process to ask; one that is gone is started, as often as it takes."""
        self.living = [one for one in self.living if not one.process.mortal.dead]
        if not self.stage.process.mortal.dead:
            return True
        fresh = self.new_process()
        try:
            await self.start(fresh)
        except (DependencyFault, Killed):
            await fresh.process.kill()
            self.living.remove(fresh)
            return False
        self.stage.process = fresh.process
        return True

    # --- the commit at which it begins ---

    async def _written(self, transition: Transition) -> None:
        subject = transition.escrow or transition.topup
        if subject is None or subject.caller_id != CALLER:
            return
        self.reached.append(named(subject.progress))
        wanted, begins = self.wanted, self.begins
        if wanted is None or named(wanted.state) != self.reached[-1]:
            return
        self.wanted = self.begins = None
        if wanted.parked:
            await self._parked(subject)
        if begins is not None:
            await begins()

    def waits_for_its_state(self) -> bool:
        """Whether the commit that it all begins at has not come."""
        return self.wanted is not None

    async def _parked(self, subject: Escrow | Topup) -> None:
        """What is parked while it runs is told nothing more: its cost may be nobody's."""
        self.watch.parked_at_work = self.watch.unknowing = True
        recorder = self.stage.process.record_event
        if isinstance(subject, Escrow):
            await recorder.record(subject, QuarantineBegun(event="anything", reason="out of range"))
        else:
            await recorder.record_topup(subject, TopupQuarantined(reason="anything: out of range"))

    # --- acts ---

    async def attempt(self, act: Callable[[], Awaitable[object]]) -> bool:
        """Do it; whether it went well. What is broken is raised, what is refused is not."""
        try:
            await act()
        except (CallerFault, DependencyFault, Killed) as fault:
            self.refusal = fault
            return False
        return True

    async def _once(self, _name: str, act: Callable[[], Awaitable[object]]) -> bool:
        return await self.attempt(act)

    async def finish(self, process: Process) -> None:
        """Every run of it comes to where it waits."""
        while not await self.attempt(process.runs.finish) and not process.mortal.dead:
            pass

    async def step(self, step: Step) -> None:
        """One step of a story, of which nothing is left undone."""
        if await self.alive():
            await self.attempt(lambda: step(self.stage))
            fault = self.stage.fault
            assert fault is None or isinstance(fault, CallerFault | DependencyFault), fault
            await self.finish(self.stage.process)

    async def ask(self, ask: Ask) -> Answer | None:
        """Somebody asks; what is read is kept, and the books have to know it."""
        self.asks[ask.request_sha256] = replace(ask, proven_escrow_id=None)
        if not await self.alive():
            return None
        answers: list[Answer] = []
        upstream = self._lasting.upstream
        usually = upstream.usually
        if ask.caller_id != CALLER:
            upstream.usually = Completes(cost=COST)  # what is told of runs is the story's own

        async def asked() -> None:
            answers.append(await self.stage.process.ask_completion.answer(ask))

        await self.attempt(asked)
        await self.finish(self.stage.process)
        upstream.usually = usually
        for answer in answers:
            if answer.kind is AnswerKind.COMPLETION:
                assert answer.body
                self.watch.check()
                assert answer.escrow.escrow_id in self.watch.delivered, "read, and not released"
                self.read[answer.escrow.escrow_id] = answer.body
        return answers[0] if answers else None

    def regulars(self) -> tuple[Ask, ...]:
        """Who asks all the time: the story's caller, and two others until they have it."""
        others = (ask for ask in (self.before, self.during) if not self.has_read(ask))
        return (ask_of(), *others)

    def has_read(self, ask: Ask) -> bool:
        """Whether whoever asks this has had a completion."""
        rows = self.rows.rows.escrows
        return any(rows[name].caller_id == ask.caller_id for name in self.read)

    async def pay(self) -> None:
        """Everybody pays what is open. The wallets reach the node, whoever else does."""
        await pay()(self.stage)
        for topup in self.rows.rows.topups.values():
            if topup.state is TopupState.INVOICED:
                await self._pay_topup(topup)

    async def _pay_topup(self, topup: Topup) -> None:
        known = await self.node.look_up(topup.payment_hash)
        if known is not None and known.state is InvoiceState.OPEN:
            await self.node.pay(topup.payment_request, amount_msat=topup.amount_msat)

    async def claims(self, *, of: Ask | None = None) -> None:
        """Whoever has paid shows it; or one of them."""
        for escrow in list(self.rows.rows.escrows.values()):
            asked = self.asks.get(escrow.ask.request_sha256)
            theirs = of is None or of.caller_id == escrow.caller_id
            if asked is not None and theirs and await self.is_paid(escrow):
                proven = replace(
                    asked, caller_id=escrow.caller_id, proven_escrow_id=escrow.escrow_id
                )
                await self.ask(proven)

    async def is_paid(self, subject: Escrow | Topup) -> bool:
        """What the node knows, whoever it tells."""
        known = await self.node.look_up(subject.payment_hash) if subject.payment_hash else None
        return known is not None and known.state is InvoiceState.SETTLED

    async def turns(self) -> None:
        """One turn of everything that a running service does by itself."""
        if not await self.alive():
            return
        if self.trouble.node in {None, NodeTrouble.REFUSING}:
            await self.attempt(lambda: hear(self.stage))
        for living in list(self.living):
            process = living.process
            for turn in self._turns_of(living):
                await self.attempt(turn)
                await self.finish(process)
        self.watch.check()

    def _turns_of(self, living: Living) -> list[Callable[[], Awaitable[object]]]:
        process = living.process
        return [
            process.record_event.keep_releases.follow,
            lambda: living.node.while_well(process.adopt_node.follow),
            living.node.look,
            lambda: prices(process),
            process.recover.unfinished,
            lambda: process.recover.due(process.steady_clock.timers_ms()),
            process.recover.open_invoices,
            living.sweep_node.sweep,
            process.compare_costs.compare,
        ]


async def prices(process: Process) -> None:
    """Fresh prices, after the usage that all comparisons start from."""
    await process.compare_costs.baseline()
    await process.catalogue.refresh()


def ask_by(caller_id: str, *, number: int) -> Ask:
    """An ask of somebody else, from elsewhere."""
    body = f'{{"messages":[{{"role":"user","content":"{caller_id}"}}]}}'.encode()
    return ask_of(caller_id=caller_id, body=body, address=f"198.51.100.{number}")


class Tracebacks(logging.Handler):
    """Whatever is logged that nobody foresaw."""

    def __init__(self, logged: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._logged = logged

    def emit(self, record: logging.LogRecord) -> None:
        if "in quarantine" not in record.getMessage():
            self._logged.append(record.getMessage())


@dataclass(slots=True)
class Loose:
    """Exceptions that no task's owner ever looked at."""

    said: list[str] = field(default_factory=list)

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        fault = context.get("exception")
        if not isinstance(fault, CallerFault | DependencyFault | Killed):
            self.said.append(f"{context.get('message')}: {fault!r}")


@asynccontextmanager
async def outage_rig(
    path: Path, *, twins: bool = True, turns_free: bool = True
) -> AsyncIterator[OutageRig]:
    """A started service; its books are also a file, unless only the way is looked for.

    Without free turns what is opened is stored first, and requested when its turn comes.
    """
    await asyncio.to_thread(path.mkdir)
    clock, rows = FakeClock(leaping=True), FakeBooks(retention=RETENTION)
    async with contextlib.AsyncExitStack() as stack:
        node = stack.enter_context(
            contextlib.closing(
                DevNode(path=path / "node", network="regtest", alias="dev", clock=TrueTime(clock))
            )
        )
        books, reports = cast("Books", rows), None
        if twins:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=path)))
            twin = twin_books(rows, folder, retention=RETENTION)
            books, reports = await stack.enter_async_context(twin)
        lasting = Lasting(
            books=books,
            node=node,
            identity=await node.identity(),
            clock=clock,
            turns_free=turns_free,
        )
        made = OutageRig(books=books, rows=rows, node=node, lasting=lasting, reports=reports)
        errors, loose = Tracebacks(made.logged), Loose()
        logging.getLogger().addHandler(errors)
        stack.callback(logging.getLogger().removeHandler, errors)
        asyncio.get_running_loop().set_exception_handler(loose)
        await made.start(made.living[0])
        yield made
        for living in made.living:
            await living.process.kill()
        made.logged += loose.said
