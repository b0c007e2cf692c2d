"""One service and everybody around it, played by hand: callers, node, upstream, clock, operator.

Every action runs to its end, is allowed to be refused, and may find the process killed. Must not
know: which action comes next.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.lightning.dev_node.payments import PaymentRefused
from cobot_meter.adapters.lightning.dev_node.signing import NO_FAULTS
from cobot_meter.domain.api_key.record import ApiKey, KeyLimits, KeyWish
from cobot_meter.domain.errors import Broken, CobotMeterError, NodeUnavailable
from cobot_meter.domain.escrow.events import QuarantineBegun
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.invoices import Invoice, InvoiceState
from cobot_meter.domain.pricing.quotes import MaxCost
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.operator import caller_transition
from cobot_meter.domain.transitions.transition import CallerChange
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.flows.sale.ask_completion import Answer, AnswerKind, Ask
from cobot_meter.flows.vault import completion_label
from cobot_meter.ports.books import Books
from tests.fakes.books import Crash, FakeBooks, Killed
from tests.fakes.clock import FakeClock
from tests.fakes.upstream_outcomes import Outcome
from tests.flows.rigs.growing import offer_growing
from tests.flows.rigs.process import EXPOSURE, RETENTION, Lasting, Process
from tests.flows.rigs.stories import Stage, ask_of, end
from tests.flows.rigs.watch import Watch
from tests.flows.task.task_steps import request_of, wish_of

Result = TypeVar("Result")
Item = TypeVar("Item")

# A ceiling is some ten thousand msat: a key buys a few times, and then has too little.
KEY_CREDIT_MSAT = 400_000


@dataclass(slots=True)
class Tally:
    """What was played, over all shops of a test."""

    shops: int = 0
    actions: int = 0
    kills: int = 0
    live: int = 0
    hung_up: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.kinds.items()))
        return (
            f"{self.shops:,} shops, {self.actions:,} actions, {self.kills:,} kills, "
            f"{self.live:,} live answers of which {self.hung_up:,} were left, "
            f"{self.kinds.total():,} commits: {kinds}"
        )


class Shop:
    """`books` are the rows that the watch reads; `tokens` what callers were challenged with."""

    def __init__(self, tally: Tally) -> None:
        """Started, with empty books, a loop and a folder of its own."""
        self.tally = tally
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        clock = FakeClock(leaping=True)
        self.books = FakeBooks(retention=RETENTION)
        path = Path(self.folder.name)
        self.node = DevNode(path=path / "node", network="regtest", alias="dev", clock=clock)
        self.lasting = Lasting(
            books=self.open_books(path),
            node=self.node,
            identity=self.wait(self.node.identity()),
            clock=clock,
        )
        offer_growing(self.lasting.upstream)
        self.process = Process(self.lasting)
        self.wait(self.process.start())
        self.watch = Watch(self.books, self.lasting.upstream, EXPOSURE)
        self.tokens: list[tuple[str, str, Ask]] = []
        self.unlikely: set[str] = set()
        self.held_against_node: set[str] = set()
        self.outage_s = 0

    def open_books(self, path: Path) -> Books:
        """What the flows write to; `self.books` must come to hold the same."""
        return self.books

    def wait(self, work: Awaitable[Result]) -> Result:
        """Run it to its end."""

        async def awaited() -> Result:
            return await work

        return self.loop.run_until_complete(awaited())

    def do(self, work: Awaitable[Result]) -> Result | None:
        """Run it and all runs it began. Killed: recover. A fault is an answer, a bug is not."""
        return self.do_at_once(work)[0]

    def do_at_once(self, *works: Awaitable[Result]) -> list[Result | None]:
        """As `do`, interleaved at every commit. None for what was refused or killed."""
        self.tally.actions += len(works)
        results: list[Result | None] = [None] * len(works)
        try:
            for number, outcome in enumerate(self.wait(_settled(works))):
                if not isinstance(outcome, BaseException):
                    results[number] = outcome
                elif isinstance(outcome, Broken) or not isinstance(outcome, CobotMeterError):
                    raise outcome
            self.wait(self.process.runs.finish())
        except Killed:
            self.tally.kills += 1
            self.restart()
        return results

    def restart(self) -> None:
        """The process dies, if it has not; a new one recovers, after an outage if one is due."""
        self.wait(self.process.kill())
        self.lasting.clock.advance(self.outage_s)
        self.outage_s = 0
        self.process = Process(self.lasting)
        self.wait(self.process.start())

    def arm(self, crash: Crash) -> None:
        """The process will die at one of its next commits."""
        self.process.mortal.crash = crash

    # --- callers ---

    def ask(self, ask: Ask, outcome: Outcome | None = None) -> None:
        """Somebody asks; `outcome` is what a run would come to."""
        if outcome is not None:
            self.lasting.upstream.usually = outcome
        self.answered(ask, self.do(self.process.ask_completion.answer(ask)))

    def ask_at_once(self, asks: Sequence[Ask], outcome: Outcome) -> None:
        """Many ask in the same moment."""
        self.lasting.upstream.usually = outcome
        answers = self.do_at_once(*[self.process.ask_completion.answer(ask) for ask in asks])
        for ask, answer in zip(asks, answers, strict=True):
            self.answered(ask, answer)

    def ask_live(self, asks: Sequence[Ask], outcome: Outcome, read: Sequence[int]) -> None:
        """Many ask to read the answer as it comes; each hangs up after so many pieces of it."""
        self.lasting.upstream.usually = outcome
        live = [replace(ask, live=True) for ask in asks]
        answers = self.do_at_once(*map(self._read_live, live, read))
        for ask, answer in zip(live, answers, strict=True):
            self.answered(ask, answer)

    async def _read_live(self, ask: Ask, most: int) -> Answer | None:
        """The answer as it was sold, to whoever reads to its end; None for who hangs up before."""
        answer = await self.process.ask_completion.answer(ask)
        if answer.live_answer is None:
            return answer
        self.tally.live += 1
        async with contextlib.aclosing(answer.live_answer.deltas()) as said:
            async for _ in said:
                most -= 1
                if not most:
                    self.tally.hung_up += 1
                    return None
        escrow, body = await answer.live_answer.sold()
        if body is None:
            return None  # read to its end, and its price is not known yet
        return replace(answer, kind=AnswerKind.COMPLETION, escrow=escrow, body=body)

    def answered(self, ask: Ask, answer: Answer | None) -> None:
        """What was sold must have been released, what is asked for must be payable."""
        if answer is None:
            return
        if answer.kind is AnswerKind.CHALLENGE:
            plain = replace(ask, idempotency_key=None)
            self.tokens.append((answer.caller_id, answer.escrow.escrow_id, plain))
        if answer.kind is AnswerKind.COMPLETION:
            assert answer.body
            self.watch.check()
            assert answer.escrow.escrow_id in self.watch.delivered, "read before it was released"

    def claim(self, pick: int) -> None:
        """Whoever has a macaroon, and the preimage that only a payment gives, shows both."""
        caller_id, escrow_id, asked = picked(self.tokens, pick)
        escrow = self.books.rows.escrows[escrow_id]
        known = self.known(escrow)
        settled = known is not None and known.state is InvoiceState.SETTLED
        if escrow.task is not None:
            if settled or escrow_id in self.unlikely:
                self.do(self.process.ask_completion.claim(escrow, caller_id=caller_id))
            return
        if settled or escrow_id in self.unlikely:
            self.ask(replace(asked, caller_id=caller_id, proven_escrow_id=escrow_id))

    def open_task(self, name: str, ceiling_msat: int) -> None:
        """The seller opens a task, or repeats that."""

        async def opening() -> None:
            wish = await wish_of(self.process, name, ceiling=MaxCost(msat=ceiling_msat))
            await self.process.flows.tasks.open_task.open(wish)

        self.do(opening())

    def on_task(self, pick: int, word: str, outcomes: Sequence[Outcome]) -> None:
        """The seller does something with one of its tasks; more than one outcome: runs at once."""
        tasks = [one for one in self.books.rows.escrows.values() if one.task is not None]
        if not tasks:
            return
        task, flows = picked(tasks, pick), self.process.flows.tasks
        if word == "answer":
            self.do(flows.answer_task.seal(task, f"answer {pick}"))
        elif word == "close":
            closed = self.do(flows.close_task.close(task, fee_msat=1_000 * (pick % 3)))
            if closed is not None and closed.invoice is not None:
                self.tokens.append((closed.caller_id, closed.escrow_id, ask_of()))
        elif word == "give up":
            self.do(flows.close_task.give_up(task))
        else:
            self.lasting.upstream.usually = outcomes[0]
            runs = [
                flows.ask_task.answer(task, request_of(str(at)), request_sha256=str(at))
                for at, _ in enumerate(outcomes)
            ]
            self.do_at_once(*runs)

    def top_up(self, caller_id: str | None, *, paid: bool, amount_msat: int = 30_000) -> None:
        """An empty ask is offered a top-up, and perhaps pays it generously."""
        key = caller_id or "somebody's address"
        offer = self.do(self.process.top_up.offer(address_key=key, caller_id=caller_id))
        if offer is not None and offer.state is TopupState.INVOICED and paid:
            self.pay(offer.payment_request, amount_msat)

    def make_key(self, caller_id: str, limits: KeyLimits) -> None:
        """The owner tops up for a few ceilings, and makes a key."""
        self.top_up(caller_id, paid=True, amount_msat=KEY_CREDIT_MSAT)
        if settled := self.settlements():
            self.do(self.process.hear(*settled))
        keys = self.process.flows.manage_keys
        self.do(keys.make(caller_id, KeyWish(limits=limits), name=None))

    @property
    def keys(self) -> list[ApiKey]:
        """Those that name their caller."""
        return [key for key in self.books.rows.api_keys.values() if key.is_live]

    def of_key(self, key: ApiKey, body: bytes) -> Ask:
        """What an agent asks that has this key."""
        return replace(ask_of(caller_id=key.caller_id, body=body), key=key)

    def pay(self, payment_request: str, amount_msat: int) -> None:
        """A wallet pays, if the node still takes it."""
        try:
            self.wait(self.node.pay(payment_request, amount_msat=amount_msat))
        except PaymentRefused:
            return

    # --- the node ---

    def known(self, subject: Escrow | Topup) -> Invoice | None:
        """What the node says of its invoice; None while it is down."""
        try:
            return self.wait(self.node.look_up(subject.payment_hash or ""))
        except NodeUnavailable:
            return None

    def settlements(self) -> list[Invoice]:
        """All that the node says is settled, of escrows and top-ups."""
        subjects: list[Escrow | Topup] = [
            *self.books.rows.escrows.values(),
            *self.books.rows.topups.values(),
        ]
        found = [self.known(one) for one in subjects]
        return [known for known in found if known and known.state is InvoiceState.SETTLED]

    def settle_late(self, escrow: Escrow, extra_msat: int) -> None:
        """A canceled invoice turns out paid: no node should say so, and we believe it."""
        known = self.known(escrow)
        if known is None:
            return
        self.unlikely.add(escrow.escrow_id)
        paid = replace(
            known,
            state=InvoiceState.SETTLED,
            amount_paid_msat=known.amount_msat + extra_msat,
            settle_index=1_000 + len(self.unlikely),
        )
        self.do(self.process.hear(paid))

    # --- us ---

    def tick(self) -> None:
        """Timers, then the sweep of open invoices, then fresh prices."""
        self.do(self.process.tick())
        self.do(self.process.recover.open_invoices())
        self.do(self.process.catalogue.refresh())

    def compare(self) -> None:
        """Our costs against the upstream's usage; where it can be done, they agree after it."""
        if self.do(self.process.compare()) is not None:
            self.watch.check()
            self.watch.check_costs()

    def break_a_seal(self, escrow_id: str) -> None:
        """Its stored completion cannot be read any more."""
        self.lasting.sealer.broken.add(completion_label(escrow_id))

    def operator_says(self, caller_id: str, cap_msat: int | None) -> None:
        """The operator sets a cap, or returns to the formula."""

        async def say() -> None:
            change = CallerChange(blocked=False, cap_msat=cap_msat)
            sequence = await self.process.books.caller_changes(caller_id)
            now_ms = self.lasting.clock.now_ms()
            await self.process.record_event.apply(
                caller_transition(caller_id, change, sequence=sequence, at_ms=now_ms)
            )

        self.do(say())

    def park(self, escrow_id: str) -> None:
        """Something of it could not be booked, whatever that was."""

        async def say() -> None:
            escrow = self.books.rows.escrows[escrow_id]
            if escrow.quarantine is None:
                event = QuarantineBegun(event="anything", reason="out of range")
                await self.process.record_event.record(escrow, event)

        self.do(say())

    def operator_lets_go(self, pick: int, *, write_off: bool = False) -> None:
        """One of what is parked goes on, or ends."""
        rows = self.books.rows.escrows.values()
        parked = [one.escrow_id for one in rows if one.quarantine is not None]
        if not parked:
            return
        process = self.process
        desk = process.quarantine
        name = picked(parked, pick)
        self.do(desk.write_off(name, "looked at") if write_off else desk.retry(name))

    def check(self) -> None:
        """Whatever happened, the books are sound, and we have not found ourselves broken."""
        self.watch.check()
        assert self.process.release_gate.closed_by is None
        for escrow_id in self.watch.lapsed - self.held_against_node:
            assert self.word(escrow_id) is InvoiceState.CANCELED, "expired by our own word"
        for escrow_id in self.watch.in_time - self.held_against_node:
            assert self.word(escrow_id) is InvoiceState.SETTLED, "settled by our own word"
        self.held_against_node = self.watch.lapsed | self.watch.in_time

    def word(self, escrow_id: str) -> InvoiceState | None:
        """What the node holds of an escrow's invoice, whether it answers others or not."""
        faults = self.node.faults
        self.node.set_faults(replace(faults, down=False))
        known = self.known(self.books.rows.escrows[escrow_id])
        self.node.set_faults(faults)
        return known.state if known else None

    def run_out(self) -> None:
        """Everything works again and comes to its end; then an audit lives it a second time."""
        self.node.set_faults(NO_FAULTS)
        self.lasting.upstream.reachable = True
        self.restart()
        while any(one.quarantine is not None for one in self.books.rows.escrows.values()):
            self.operator_lets_go(0)
        stage = Stage(lasting=self.lasting, books=self.books, node=self.node, process=self.process)
        self.wait(end(stage))
        self.watch.check_end()
        audit = AuditLedger(
            reports=self.books, node=lambda: self.node, upstream=None, retention=RETENTION
        )
        findings = self.wait(audit.audit()).findings
        assert [one for one in findings if one.subject not in self.unlikely] == []
        self.tally.shops += 1
        self.tally.kinds.update(entry.kind for entry in self.books.rows.journal.values())

    def close(self) -> None:
        """Let go of node, loop and folder."""
        self.wait(self.process.kill())
        self.node.close()
        self.loop.close()
        self.folder.cleanup()


async def _settled(works: Sequence[Awaitable[Result]]) -> list[Result | BaseException]:
    """The result or fault of each, a death first of all."""
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.wait(tasks)
    outcomes = [task.exception() or task.result() for task in tasks]
    for outcome in outcomes:
        if isinstance(outcome, Killed):
            raise outcome
    return outcomes


def picked(items: Sequence[Item], pick: int) -> Item:
    """One of them, whatever the number."""
    return items[pick % len(items)]
