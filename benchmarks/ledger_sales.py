"""Sales as the service books them, made by the domain itself: the rows of the ledger benchmark.

Each sale is eight transitions, from `opened` to `released`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from cobot_meter.adapters.secrets.identifiers import KeyedIdentifiers
from cobot_meter.domain.callers import CallerStanding, CapTerms, ExposureTerms
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import AskKey, Escrow, IssuedInvoice, Opening, Quote
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import ModelPrice, PriceTerms
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Cost, CostStanding, Summary
from cobot_meter.domain.transitions.escrows import escrow_transition, open_escrow
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.ports.process import Clock

STEPS = 8
DAY = "2026-11-23"
COST = Cost(cost_pusd=213_000_000, text="0.000213", standing=CostStanding.CONFIRMED)
CEILING_PUSD, CEILING_MSAT, PRICE_MSAT, AMOUNT_MSAT = 318_000_000, 369_000, 248_000, 248_000
PAYMENT_REQUEST = f"lnbcrt2480n1{'q' * 300}"
NODE = ("development", "02" + "ab" * 32)
SEALED = b"\0" * 1_400
TERMS = ExposureTerms(
    cap=CapTerms(newcomer_msat=10**12, max_msat=10**12),
    address_day_pusd=10**15,
    newcomers_day_pusd=10**18,
    proven_day_pusd=10**18,
)
Sale = tuple[Transition, ...]


@dataclass(slots=True)
class Sales:
    """Makes sales, each of a caller of its own, paid at one node, unless told otherwise."""

    identifiers: KeyedIdentifiers
    clock: Clock
    retention: Retention = field(default_factory=Retention)
    made: int = 0
    caller_id: str | None = None
    many_nodes: bool = False

    def make(self, count: int) -> list[Sale]:
        """So many more."""
        return [tuple(self._one()) for _ in range(count)]

    def _one(self) -> Iterator[Transition]:
        self.made += 1
        now_ms = self.clock.now_ms()
        opened = self._opened(now_ms)
        escrow_id = opened.escrow_id
        yield open_escrow(
            opened,
            standing=CallerStanding(caller_id=opened.caller_id),
            terms=TERMS,
            bodies=StoredBodies(wrapped_key=SEALED[:60], request=SEALED * 4),
        )
        escrow = opened
        for event in self._events(escrow_id, now_ms):
            bodies = None
            if isinstance(event, ran.CompletionReceived):
                bodies = StoredBodies(completion=SEALED, drop_request=True)
            transition = escrow_transition(
                escrow, event, at_ms=now_ms, retention=self.retention, bodies=bodies
            )
            escrow = transition.escrow or escrow
            yield transition

    def _events(self, escrow_id: str, now_ms: int) -> tuple[on.EscrowEvent, ...]:
        generation_id = f"gen-{now_ms}-{self.made:020d}"
        payment_hash = _digest(escrow_id, "payment")
        alias, pubkey = (f"node-{self.made}" if self.many_nodes else NODE[0]), NODE[1]
        run = Summary(
            completed_at_ms=now_ms,
            inline_cost=COST.text,
            finish_reason="stop",
            prompt_tokens=1_060,
            completion_tokens=90,
        )
        invoice = IssuedInvoice(
            payment_request=PAYMENT_REQUEST,
            amount_msat=AMOUNT_MSAT,
            expires_at_s=now_ms // 1_000 + 600,
        )
        return (
            ran.UpstreamRequested(),
            ran.GenerationStarted(generation_id=generation_id),
            ran.CompletionReceived(generation_id=generation_id, summary=run),
            ran.CostKnown(
                cost=COST,
                price_msat=PRICE_MSAT,
                credit_used_msat=0,
                payment_hash=payment_hash,
                lookup_at_ms=None,
            ),
            on.InvoiceIssued(invoice=invoice),
            on.InvoiceSettled(
                payment_hash=payment_hash,
                paid_msat=AMOUNT_MSAT,
                settle_index=self.made,
                node_alias=alias,
                node_pubkey=pubkey,
            ),
            on.CompletionDelivered(),
        )

    def _opened(self, now_ms: int) -> Escrow:
        escrow_id = self.identifiers.escrow_id()
        caller_id = self.caller_id or self.identifiers.caller_id()
        address = f"192.0.2.{self.made % 250}"
        rate = ExchangeRate(usd_micro_per_btc=10**11, source="static", fetched_at_ms=now_ms)
        ask = AskKey(
            request_key=_digest(escrow_id, "request"),
            address_key=_digest(escrow_id, "address"),
            address=address,
            request_sha256=_digest(escrow_id, "body"),
            nameless=True,
            idempotency_key=None,
        )
        quote = Quote(
            model="mock/model",
            max_tokens=256,
            ceiling_pusd=CEILING_PUSD,
            ceiling_msat=CEILING_MSAT,
            credit_reserved_msat=0,
            newcomer=True,
            day=DAY,
            rate=rate,
            terms=PriceTerms(),
            prices=ModelPrice(prompt_pusd=150_000, completion_pusd=600_000),
            least_pusd=100_000_000,
        )
        opening = Opening(
            escrow_id=escrow_id,
            caller_id=caller_id,
            opened_at_ms=now_ms,
            stream=False,
            ask=ask,
            quote=quote,
        )
        return Escrow.opened(opening, upstream="simulator")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
