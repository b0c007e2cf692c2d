"""Escrows and top-ups as the domain makes them, for tests of books.

A `Sale` walks one escrow through its events and keeps the row as the books last gave it. Must not
know: any adapter.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field

from cobot_meter.domain.callers import CallerStanding, CapTerms, ExposureTerms
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import AskKey, Escrow, IssuedInvoice, Opening, Quote
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import ModelPrice, PriceTerms
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Cost, CostStanding, Failure, Summary
from cobot_meter.domain.topup import events as of_topup
from cobot_meter.domain.topup.machine import advance as advance_topup
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.escrows import escrow_transition, open_escrow
from cobot_meter.domain.transitions.topups import open_topup, topup_transition
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.ports.books import Applied, Books
from tests.domain.samples import UPSTREAM

START_MS = 1_700_000_000_000
RATE_SOURCE = "median:bitstamp,coinbase,kraken,mempool"  # the longest there is
DAY = "2023-11-14"
RETENTION = Retention()
# Every test asks from one address.
TERMS = ExposureTerms(cap=CapTerms(), address_day_pusd=250_000_000_000)
NODE = ("regtest-node", "02" + "ab" * 32)
CEILING_MSAT, CEILING_PUSD = 20_000, 20_000_000_000
COST_PUSD, PRICE_MSAT = 7_000_000_000, 8_200


def digest(*parts: object) -> str:
    """64 hex digits that stand for `parts`."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def ask_key(
    name: str,
    *,
    caller_id: str,
    address: str = "192.0.2.1",
    nameless: bool = False,
    idempotency_key: str | None = None,
) -> AskKey:
    """The keys of the ask called `name`, from one address."""
    return AskKey(
        request_key=digest(caller_id, name),
        address_key=digest(address, name),
        address=address,
        request_sha256=digest(name),
        nameless=nameless,
        idempotency_key=idempotency_key,
    )


def opened(
    escrow_id: str,
    *,
    caller_id: str = "c_one",
    ask: AskKey | None = None,
    credit_msat: int = 0,
    newcomer: bool = True,
    at_ms: int = START_MS,
    ceiling_msat: int = CEILING_MSAT,
) -> Escrow:
    """A first row; its ask is its own unless `ask` says otherwise."""
    rate = ExchangeRate(usd_micro_per_btc=10**11, source=RATE_SOURCE, fetched_at_ms=START_MS)
    quote = Quote(
        model="lab/model",
        max_tokens=256,
        ceiling_pusd=CEILING_PUSD,
        ceiling_msat=ceiling_msat,
        credit_reserved_msat=credit_msat,
        newcomer=newcomer,
        day=DAY,
        rate=rate,
        terms=PriceTerms(),
        prices=ModelPrice(prompt_pusd=150_000, completion_pusd=600_000),
        least_pusd=1_000,
    )
    ask = ask or ask_key(escrow_id, caller_id=caller_id)
    opening = Opening(
        escrow_id=escrow_id,
        caller_id=caller_id,
        opened_at_ms=at_ms,
        stream=False,
        ask=ask,
        quote=quote,
    )
    return Escrow.opened(opening, upstream=UPSTREAM)


def opening(
    escrow: Escrow, *, standing: CallerStanding | None = None, terms: ExposureTerms = TERMS
) -> Transition:
    """A0 of `escrow`, with sealed bodies."""
    bodies = StoredBodies(wrapped_key=b"key of " + escrow.escrow_id.encode(), request=b"sealed ask")
    standing = standing or CallerStanding(caller_id=escrow.caller_id)
    return open_escrow(escrow, standing=standing, terms=terms, bodies=bodies)


@dataclass
class Sale:
    """One escrow on its way, against any books."""

    books: Books
    escrow: Escrow
    at_ms: int = START_MS
    transitions: list[Transition] = field(default_factory=list)

    async def apply(self, transition: Transition) -> Applied:
        """Apply it and remember what the books made of the escrow."""
        applied = await self.books.apply(transition)
        self.transitions.append(transition)
        self.escrow = applied.escrow or self.escrow
        return applied

    async def open(
        self, *, standing: CallerStanding | None = None, terms: ExposureTerms = TERMS
    ) -> Applied:
        """A0."""
        return await self.apply(opening(self.escrow, standing=standing, terms=terms))

    async def record(self, event: on.EscrowEvent, *, bodies: StoredBodies | None = None) -> Applied:
        """Record one event, a second after the last."""
        self.at_ms += 1_000
        return await self.apply(self.transition(event, bodies=bodies))

    def transition(
        self, event: on.EscrowEvent, *, bodies: StoredBodies | None = None
    ) -> Transition:
        """What `event` makes of the escrow as it stands."""
        return escrow_transition(
            self.escrow, event, at_ms=self.at_ms, retention=RETENTION, bodies=bodies
        )

    async def generate(self) -> None:
        """To `generated`, with the answer stored."""
        generation_id = f"gen-{self.escrow.escrow_id}"
        await self.record(ran.UpstreamRequested(requested_by="r_one"))
        await self.record(ran.GenerationStarted(generation_id=generation_id))
        run = Summary(
            completed_at_ms=self.at_ms,
            inline_cost="0.007",
            finish_reason="stop",
            prompt_tokens=10,
            completion_tokens=20,
        )
        await self.record(
            ran.CompletionReceived(generation_id=generation_id, summary=run),
            bodies=StoredBodies(completion=b"sealed answer", drop_request=True),
        )

    async def cost(
        self,
        *,
        credit_used_msat: int = 0,
        price_msat: int = PRICE_MSAT,
        standing: CostStanding = CostStanding.CONFIRMED,
    ) -> None:
        """To `costed`."""
        cost = Cost(cost_pusd=COST_PUSD, text="0.007", standing=standing)
        await self.record(
            ran.CostKnown(
                cost=cost,
                price_msat=price_msat,
                credit_used_msat=credit_used_msat,
                payment_hash=digest(self.escrow.escrow_id, 0),
                lookup_at_ms=None,
            )
        )

    async def invoice(self) -> None:
        """To `invoiced`, in whole satoshis."""
        amount_msat = -(-self.escrow.due_msat // 1_000) * 1_000
        invoice = IssuedInvoice(
            payment_request=f"lnbcrt1{self.escrow.escrow_id}",
            amount_msat=amount_msat,
            expires_at_s=self.at_ms // 1_000 + 600,
        )
        await self.record(on.InvoiceIssued(invoice=invoice))

    def settlement(
        self, *, paid_msat: int | None = None, settle_index: int = 1
    ) -> on.InvoiceSettled:
        """The node's word that it was paid, in full unless said otherwise."""
        invoice = self.escrow.invoice
        alias, pubkey = NODE
        return on.InvoiceSettled(
            payment_hash=str(self.escrow.payment_hash),
            paid_msat=paid_msat or (invoice.amount_msat if invoice else 0),
            settle_index=settle_index,
            node_alias=alias,
            node_pubkey=pubkey,
        )

    async def settle(self, *, paid_msat: int | None = None, settle_index: int = 1) -> None:
        """To `settled`, or further credit when it had expired."""
        await self.record(self.settlement(paid_msat=paid_msat, settle_index=settle_index))

    async def cancel(self) -> None:
        """To `expired`."""
        await self.record(on.InvoiceCanceled(payment_hash=str(self.escrow.payment_hash)))

    async def sell(self) -> None:
        """All the way to `released`."""
        await self.open()
        await self.generate()
        await self.cost()
        await self.invoice()
        await self.settle()
        await self.record(on.CompletionDelivered())


def failure(code: str = "outcome_unknown") -> Failure:
    """Why something failed."""
    return Failure(code=code, message="It may have run.", status=502)


def topup(
    topup_id: str, *, caller_id: str = "c_one", address_key: str = "a_one", attempt: int = 0
) -> Topup:
    """A first row of a top-up."""
    return Topup(
        topup_id=topup_id,
        caller_id=caller_id,
        address_key=address_key,
        amount_msat=1_000,
        opened_at_ms=START_MS,
        state=TopupState.OPENED,
        version=1,
        attempt=attempt,
        payment_hash=digest(topup_id, attempt),
    )


async def give_credit(
    books: Books, *, caller_id: str, amount_msat: int, name: str = "gift", settle_index: int = 1
) -> Topup:
    """A paid top-up: `amount_msat` of credit for the caller."""
    first = topup(f"top_{name}", caller_id=caller_id, address_key=f"a_{name}")
    await books.apply(open_topup(first))
    issued = of_topup.TopupInvoiced(payment_request="lnbcrt1", expires_at_s=START_MS // 1_000 + 600)
    await books.apply(topup_transition(first, issued, at_ms=START_MS))
    invoiced = advance_topup(first, issued)
    alias, pubkey = NODE
    settled = of_topup.TopupCredited(
        payment_hash=first.payment_hash,
        paid_msat=amount_msat,
        settle_index=settle_index,
        node_alias=alias,
        node_pubkey=pubkey,
    )
    transition = topup_transition(invoiced, settled, at_ms=START_MS)
    return (await books.apply(transition)).topup or advance_topup(invoiced, settled)


def resized(escrow: Escrow, *, ceiling_msat: int) -> Escrow:
    """The same first row with another ceiling."""
    quote = dataclasses.replace(escrow.quote, ceiling_msat=ceiling_msat)
    return dataclasses.replace(escrow, quote=quote)
