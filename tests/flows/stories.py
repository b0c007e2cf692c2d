"""What a caller and the world do, step by step, so that any step can be done again after a crash.

A story is a row of steps. Doing a step twice is what a caller's HTTP library, the node's stream
or a timer would do. Must not know: where a crash falls, or what the books should say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from service.adapters.lightning.dev_node import DevNode
from service.domain.completions import CompletionRequest
from service.domain.errors import CobotMeterError
from service.domain.escrow_record import Escrow, EscrowState
from service.domain.invoices import Invoice, InvoiceState
from service.domain.topups import Topup
from service.flows.ask_completion import Answer, Ask
from service.flows.run_completion import completion_label
from tests.fakes.books import FakeBooks
from tests.fakes.upstream_outcomes import (
    NEVER,
    PRICED_MODEL,
    Completes,
    Failed,
    Outcome,
    Refused,
    Unknown,
    Unreachable,
)
from tests.flows.process import Lasting, Process

CALLER = "c_alice"
ADDRESS = "203.0.113.7"
BODY = b'{"model":"mistralai/mistral-small-2603","messages":[{"role":"user","content":"?"}]}'
COST = "0.0000700"
HOUR_S = 3_600
DAY_S = 24 * HOUR_S
LAPSE_S = 602


@dataclass(slots=True)
class Stage:
    """Where a story plays. `process` is a new one after every crash.

    `unlikely` escrows were told of settlements that the development node does not know.
    """

    lasting: Lasting
    books: FakeBooks
    node: DevNode
    process: Process
    answer: Answer | None = None
    fault: CobotMeterError | None = None
    unlikely: set[str] = field(default_factory=set)

    @property
    def escrow(self) -> Escrow:
        """The newest escrow in the books."""
        return list(self.books.rows.escrows.values())[-1]


Step = Callable[[Stage], Awaitable[None]]


def ask_of(
    *,
    caller_id: str | None = CALLER,
    body: bytes = BODY,
    address: str = ADDRESS,
    proven_escrow_id: str | None = None,
) -> Ask:
    """One ask for a completion of at most a hundred tokens."""
    return Ask(
        request=CompletionRequest(
            body=body,
            model=PRICED_MODEL.model_id,
            max_tokens=100,
            prompt_bytes=len(body),
            message_count=1,
        ),
        request_sha256=hashlib.sha256(body).hexdigest(),
        method="POST",
        path="/v1/chat/completions",
        address=address,
        caller_id=caller_id,
        proven_escrow_id=proven_escrow_id,
    )


async def ask(stage: Stage) -> None:
    """The caller asks, or asks the same again."""
    await _asked(stage, ask_of())


async def ask_another(stage: Stage) -> None:
    """The caller asks something else."""
    await _asked(stage, ask_of(body=BODY.replace(b"?", b"!")))


async def claim(stage: Stage) -> None:
    """The caller asks with macaroon and preimage."""
    await _asked(stage, replace(ask_of(), proven_escrow_id=stage.escrow.escrow_id))


async def _asked(stage: Stage, asked: Ask) -> None:
    stage.answer = stage.fault = None
    try:
        stage.answer = await stage.process.asks.answer(asked)
    except CobotMeterError as fault:
        stage.fault = fault
    await stage.process.runs.finish()


def pay(extra_msat: int = 0) -> Step:
    """A wallet pays the open invoice, if there still is one."""

    async def step(stage: Stage) -> None:
        for escrow in stage.books.rows.escrows.values():
            if escrow.state is EscrowState.INVOICED and escrow.invoice and escrow.payment_hash:
                known = await stage.node.look_up(escrow.payment_hash)
                if known is not None and known.state is InvoiceState.OPEN:
                    amount = escrow.invoice.amount_msat + extra_msat
                    await stage.node.pay(escrow.invoice.payment_request, amount_msat=amount)

    return step


async def hear(stage: Stage) -> None:
    """The node's stream tells every settlement it has, in order."""
    subjects: tuple[Escrow | Topup, ...] = (
        *stage.books.rows.escrows.values(),
        *stage.books.rows.topups.values(),
    )
    for subject in subjects:
        known = await stage.node.look_up(subject.payment_hash) if subject.payment_hash else None
        if known is not None and known.state is InvoiceState.SETTLED:
            await stage.process.hear(known)


async def hear_late(stage: Stage) -> None:
    """A settlement of an invoice that was canceled: no node should say so, and we believe it."""
    escrow = stage.escrow
    if escrow.invoice is None or escrow.payment_hash is None:
        return  # lost in a crash before there was one
    stage.unlikely.add(escrow.escrow_id)
    late = Invoice(
        payment_hash=escrow.payment_hash,
        payment_request=escrow.invoice.payment_request,
        amount_msat=escrow.invoice.amount_msat,
        state=InvoiceState.SETTLED,
        created_at_s=0,
        expires_at_s=escrow.invoice.expires_at_s,
        amount_paid_msat=escrow.invoice.amount_msat,
        settle_index=99,
    )
    await stage.process.hear(late)


async def tick(stage: Stage) -> None:
    """Timers, then the sweep of open invoices."""
    await stage.process.tick()
    await stage.process.recover.open_invoices()


def after(seconds: float) -> Step:
    """Time passes and nobody does anything."""

    async def step(stage: Stage) -> None:
        stage.lasting.clock.advance(seconds)

    return step


def upstream(outcome: Outcome) -> Step:
    """What the next run comes to."""

    async def step(stage: Stage) -> None:
        stage.lasting.upstream.usually = outcome

    return step


async def records_appear(stage: Stage) -> None:
    """The upstream's own book is complete at last."""
    for run in stage.lasting.upstream.runs:
        stage.lasting.upstream.record_appears(run.generation_id)


async def compare(stage: Stage) -> None:
    """Our costs against the upstream's usage."""
    await stage.process.compare()


async def seals_break(stage: Stage) -> None:
    """The stored completion cannot be read any more."""
    stage.lasting.sealer.broken.add(completion_label(stage.escrow.escrow_id))


async def node_refuses(stage: Stage) -> None:
    """The node makes no invoices any more."""
    stage.node.set_faults(replace(stage.node.faults, refuses_adds=True))


async def node_loses_a_reply(stage: Stage) -> None:
    """The next invoice is made, and nobody hears of it."""
    stage.node.set_faults(replace(stage.node.faults, lost_add_replies=1))


async def top_up(stage: Stage) -> None:
    """The caller buys credit of one satoshi, many times over what a cheap run costs."""
    topup = await stage.process.topups.offer(address_key=CALLER, caller_id=CALLER)
    known = await stage.node.look_up(topup.payment_hash)
    if known is not None and known.state is InvoiceState.OPEN:
        await stage.node.pay(topup.payment_request, amount_msat=40_000)


async def end(stage: Stage) -> None:
    """Days pass: look-ups end, costs are compared, invoices lapse, keys are dropped."""
    for seconds in (0, 30, LAPSE_S, HOUR_S, DAY_S, 2 * HOUR_S, DAY_S, 31 * DAY_S, 2 * DAY_S):
        stage.lasting.clock.advance(seconds)
        await tick(stage)
        await compare(stage)


def completes(**changes: str | int | bool | None) -> Step:
    """The run ends well, at COST unless told otherwise."""
    return upstream(replace(Completes(cost=COST), **changes))  # type: ignore[arg-type]


STORIES: Mapping[str, tuple[Step, ...]] = {
    "bought": (completes(), ask, pay(), hear, claim),
    "bought, the settlement only looked up": (completes(), ask, pay(), claim),
    "overpaid and told twice": (completes(), ask, pay(5_000), hear, hear, claim, hear),
    "a reply of the node lost": (
        completes(),
        node_loses_a_reply,
        ask,
        after(1),
        tick,
        pay(),
        claim,
    ),
    "provisional, then corrected": (
        completes(inline_cost="0.0000600", lookups_before_record=NEVER),
        *(ask, pay(), hear, claim, records_appear, after(HOUR_S), tick),
    ),
    "lapsed": (completes(), ask, after(LAPSE_S), tick),
    "lapsed while provisional": (
        completes(inline_cost="0.0000800", lookups_before_record=NEVER),
        *(ask, after(LAPSE_S), tick, records_appear, after(HOUR_S), tick),
    ),
    "paid late": (completes(), ask, after(LAPSE_S), tick, hear_late, hear_late, claim),
    "paid too late": (completes(), ask, after(LAPSE_S), tick, after(2 * DAY_S), tick, hear_late),
    "covered by credit": (top_up, hear, completes(cost="0.0000100"), ask),
    "partly from credit": (top_up, hear, completes(cost="0.0003900"), ask, pay(), hear, claim),
    "credit comes back": (top_up, hear, completes(cost="0.0003900"), ask, after(LAPSE_S), tick),
    "refused upstream": (upstream(Refused()), ask),
    "unreachable": (upstream(Unreachable()), ask),
    "failed at a cost": (upstream(Failed(cost=COST, says_cost=True)), ask),
    "failed, its cost found": (upstream(Failed(cost=COST)), ask, after(HOUR_S), tick),
    "failed, its cost never found": (
        upstream(Failed(cost=COST, lookups_before_record=NEVER)),
        *(ask, after(DAY_S), tick, compare),
    ),
    "unknown, its cost found": (upstream(Unknown(cost=COST)), ask, after(HOUR_S), tick),
    "two unknown, one above its ceiling": (
        *(upstream(Unknown(cost="0.0003000", announced=False)), ask),
        *(upstream(Unknown(cost="0.0000100", announced=False)), ask_another, compare),
    ),
    "unknown and nameless": (upstream(Unknown(cost=COST, announced=False)), ask, compare),
    "no cost for a day": (
        completes(says_cost=False, lookups_before_record=NEVER),
        *(ask, after(HOUR_S), tick, after(DAY_S), tick, compare),
    ),
    "no invoice": (completes(), node_refuses, ask),
    "paid and lost": (completes(), ask, pay(), hear, seals_break, claim),
    "paid and never claimed": (completes(), ask, pay(), hear, after(31 * DAY_S), tick),
}
