"""What a caller and the world do, step by step, so that any step can be done again after a crash.

A story is a row of steps. Doing a step twice is what a caller's HTTP library, the node's stream or
a timer would do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import CobotMeterError
from cobot_meter.domain.escrow.events import QuarantineBegun
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import Invoice, InvoiceState
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.flows.operate.quarantine import Quarantine
from cobot_meter.flows.sale.ask_completion import Answer, Ask
from cobot_meter.flows.vault import completion_label
from tests.fakes.books import FakeBooks
from tests.fakes.lnd.moving_node import MovingNode
from tests.fakes.upstream_outcomes import PRICED_MODEL, Completes, Outcome
from tests.flows.rigs.process import Lasting, Process

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
    moving: MovingNode | None = None
    other_node: DevNode | None = None

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
            body=Body(body),
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
        stage.answer = await stage.process.ask_completion.answer(asked)
    except CobotMeterError as fault:
        stage.fault = fault
    await stage.process.runs.finish()


def pay(extra_msat: int = 0) -> Step:
    """A wallet pays the open invoice, if there still is one."""

    async def step(stage: Stage) -> None:
        for escrow in stage.books.rows.escrows.values():
            if escrow.progress is Progress.INVOICED and escrow.invoice and escrow.payment_hash:
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


async def cannot_be_booked(stage: Stage) -> None:
    """Something of the newest escrow could not be booked, unless its run was lost in a crash."""
    if stage.escrow.quarantine is None and stage.escrow.progress is not Progress.FAILED:
        parked = QuarantineBegun(event="anything", reason="out of range")
        await stage.process.record_event.record(stage.escrow, parked)


async def retried(stage: Stage) -> None:
    """The operator lets it go on."""
    if stage.escrow.quarantine is not None:
        await _desk(stage).retry(stage.escrow.escrow_id)


async def written_off(stage: Stage) -> None:
    """The operator ends it."""
    if stage.escrow.quarantine is not None:
        await _desk(stage).write_off(stage.escrow.escrow_id, "looked at")


def _desk(stage: Stage) -> Quarantine:
    process = stage.process
    return process.quarantine


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


async def node_loses_every_reply(stage: Stage) -> None:
    """This node makes invoices from now on, and nobody ever hears of them."""
    stage.node.set_faults(replace(stage.node.faults, lost_add_replies=999))


async def top_up(stage: Stage) -> None:
    """The caller buys credit of one satoshi, many times over what a cheap run costs."""
    topup = await stage.process.top_up.offer(address_key=CALLER, caller_id=CALLER)
    known = await stage.node.look_up(topup.payment_hash)
    if known is not None and known.state is InvoiceState.OPEN:
        await stage.node.pay(topup.payment_request, amount_msat=40_000)


async def offer_topup(stage: Stage) -> None:
    """The caller is offered a top-up and does not pay."""
    await stage.process.top_up.offer(address_key=CALLER, caller_id=CALLER)


async def another_node(stage: Stage) -> None:
    """Behind the address of the node another one comes to stand; a second time the first again."""
    assert stage.moving is not None
    assert stage.other_node is not None
    stage.node, stage.other_node = stage.other_node, stage.node
    stage.moving.current = stage.node
    stage.lasting.identity = await stage.node.identity()


async def adopt(stage: Stage) -> None:
    """The operator says that the books belong to the node that is there now."""
    await stage.process.adopt_node.adopt()
    await stage.process.start()


async def end(stage: Stage) -> None:
    """Days pass: look-ups end, costs are compared, invoices lapse, keys are dropped."""
    for seconds in (0, 30, LAPSE_S, HOUR_S, DAY_S, 2 * HOUR_S, DAY_S, 31 * DAY_S, 2 * DAY_S):
        stage.lasting.clock.advance(seconds)
        await tick(stage)
        await compare(stage)


def completes(**changes: str | int | bool | None) -> Step:
    """The run ends well, at COST unless told otherwise."""
    return upstream(replace(Completes(cost=COST), **changes))  # type: ignore[arg-type]
