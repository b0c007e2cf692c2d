"""Escrows and events to test with: round figures, so that postings can be read off.

One caller, one model, one rate.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from cobot_meter.domain.callers import CallerStanding, CapTerms, ExposureTerms
from cobot_meter.domain.consensus.panel import (
    CONSENSUS,
    Panel,
    PanelKind,
    PanelMember,
    panel_text,
)
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import AskKey, Escrow, IssuedInvoice, Opening, Quote
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.escrow.tasks import TaskTerms
from cobot_meter.domain.ledger.accounts import upstream_credits
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import ModelPrice, PriceTerms, invoice_amount_msat
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.routing.decide import Bounds, Considered, Decision, choose
from cobot_meter.domain.routing.hints import Task
from cobot_meter.domain.routing.stored import stored_text
from cobot_meter.domain.routing.table import Tier
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Cost, CostStanding, Failure, Summary
from cobot_meter.domain.transitions.escrows import open_escrow
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.domain.upstream.usage import UsageReading

# The one gateway that books of before revision 0013 can have had.
UPSTREAM = "openrouter"
CREDITS = upstream_credits(UPSTREAM)
NOW_MS = 1_795_000_000_000
DAY = "2026-11-18"
ADDRESS = "203.0.113.7"
CALLER = "c_alice"
NODE = "dev"
PUBKEY = "02" + "ab" * 32
# With no surcharge at this rate one pico-USD is one msat, so figures in both units agree.
PAR = ExchangeRate(usd_micro_per_btc=100_000, source="par", fetched_at_ms=NOW_MS)
NO_SURCHARGE = PriceTerms(credit_fee_bps=0, markup_bps=0, safety_bps=0)
WITH_FEE = PriceTerms(credit_fee_bps=5_000, markup_bps=0, safety_bps=0)
RETENTION = Retention()
FAILURE = Failure(code="upstream_failed", message="It failed.")
BODIES = StoredBodies(wrapped_key=b"key", request=b"sealed request")
TERMS = ExposureTerms(
    cap=CapTerms(newcomer_msat=200_000, max_msat=1_000_000),
    newcomer_until_msat=200_000,
    address_day_pusd=400_000,
    newcomers_day_pusd=450_000,
    proven_day_pusd=900_000,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What differs between the escrows of a test. Amounts in msat and, at PAR, pico-USD.

    `least` None is an escrow from before there was a least. With `first_tokens` the reservation of
    `credit` grows, and `overrun` is what it may cost us beyond it. A `panel` is what each of its
    members may cost at most, which together are the ceiling; with `in_turn` only the first is asked
    as it opens.
    """

    escrow_id: str = "esc_1"
    ceiling: int = 10_000
    credit: int = 0
    newcomer: bool = True
    caller_id: str = CALLER
    terms: PriceTerms = NO_SURCHARGE
    opened_at_ms: int = NOW_MS
    idempotency_key: str | None = None
    request_key: str = ""
    least: int | None = 0
    mode: Mode = Mode.ESCROW
    key_id: str | None = None
    first_tokens: int | None = None
    overrun: int = 0
    max_fee: int | None = None
    budgets: str = ""
    panel: tuple[int, ...] = ()
    in_turn: bool = False


SELLER = "c_seller"


def used(usage_pusd: int, key: str | None = None) -> UsageReading:
    """What our key had used at the upstream of these samples."""
    return UsageReading(upstream=UPSTREAM, usage_pusd=usage_pusd, key=key)


def opened(shape: Shape | None = None) -> Escrow:
    """A freshly opened escrow; credit that covers the ceiling needs no budget."""
    shape = shape or Shape()
    request_key = shape.request_key or f"request of {shape.escrow_id}"
    ask = AskKey(
        request_key=request_key,
        address_key=f"{ADDRESS} {request_key}",
        address=ADDRESS,
        request_sha256="5e" * 32,
        nameless=False,
        idempotency_key=shape.idempotency_key,
    )
    quote = Quote(
        model=CONSENSUS if shape.panel else "mistralai/mistral-small-2603",
        max_tokens=100,
        ceiling_pusd=shape.ceiling,
        ceiling_msat=shape.ceiling,
        credit_reserved_msat=shape.credit,
        newcomer=shape.newcomer,
        day=DAY,
        rate=PAR,
        terms=shape.terms,
        prices=ModelPrice(prompt_pusd=150_000, completion_pusd=600_000),
        least_pusd=shape.least,
        first_tokens=shape.first_tokens,
        overrun_pusd=shape.overrun,
    )
    opening = Opening(
        escrow_id=shape.escrow_id,
        caller_id=shape.caller_id,
        opened_at_ms=shape.opened_at_ms,
        stream=False,
        ask=ask,
        quote=quote,
        mode=Mode.PANEL if shape.panel else shape.mode,
        key_id=shape.key_id,
        task=_task(shape),
        budgets=shape.budgets,
        route=_panel(shape) if shape.panel else None,
    )
    requested_by = "replica-1" if shape.panel else None
    return Escrow.opened(opening, upstream=UPSTREAM, requested_by=requested_by)


def _panel(shape: Shape) -> str:
    members = tuple(
        PanelMember(
            model=f"maker-{number}/reviewer",
            upstream=UPSTREAM,
            prices=ModelPrice(prompt_pusd=90_000, completion_pusd=900_000),
            most_pusd=most_pusd,
        )
        for number, most_pusd in enumerate(shape.panel, start=1)
    )
    kind = PanelKind.VERIFY if shape.in_turn else PanelKind.REVIEW
    return panel_text(Panel(kind=kind, members=members))


def _task(shape: Shape) -> TaskTerms | None:
    """With a highest fee it is a task."""
    if shape.max_fee is None:
        return None
    return TaskTerms(
        seller_id=SELLER,
        seller_key_id="key_seller",
        max_fee_msat=shape.max_fee,
        ends_at_ms=shape.opened_at_ms + 3_600_000,
        title="weigh a parcel",
    )


def opening_of(
    escrow: Escrow, *, terms: ExposureTerms = TERMS, cap_msat: int | None = None
) -> Transition:
    """A0 of an escrow; `cap_msat` is the operator's word on the caller."""
    standing = CallerStanding(caller_id=escrow.at_risk_id, cap_override_msat=cap_msat)
    return open_escrow(escrow, standing=standing, terms=terms, bodies=BODIES)


def cost_of(amount: int, *, confirmed: bool = True) -> Cost:
    """A cost of `amount` pico-USD."""
    standing = CostStanding.CONFIRMED if confirmed else CostStanding.PROVISIONAL
    return Cost(cost_pusd=amount, text=f"{amount}e-12", standing=standing)


def payment_hash_of(escrow: Escrow) -> str:
    """The hash of this attempt's invoice."""
    return hashlib.sha256(f"{escrow.escrow_id}/{escrow.attempt}".encode()).hexdigest()


def received(*, completed_at_ms: int = NOW_MS) -> ran.CompletionReceived:
    """The whole answer is here."""
    return ran.CompletionReceived(
        generation_id="gen-1",
        summary=Summary(
            completed_at_ms=completed_at_ms,
            inline_cost=None,
            finish_reason="stop",
            prompt_tokens=14,
            completion_tokens=7,
        ),
    )


def cost_known(escrow: Escrow, amount: int, *, confirmed: bool = True) -> ran.CostKnown:
    """The cost of a run, with the price and the credit that follow from it."""
    price = escrow.price_of(amount)
    return ran.CostKnown(
        cost=cost_of(amount, confirmed=confirmed),
        price_msat=price.price_msat,
        credit_used_msat=min(escrow.reserved_msat, price.price_msat),
        payment_hash=payment_hash_of(escrow),
        lookup_at_ms=None if confirmed else NOW_MS,
    )


def completion_costed(escrow: Escrow, amount: int) -> ran.CompletionCosted:
    """The whole answer, which says what it cost, and the price that is captured for it."""
    known, answer = cost_known(escrow, amount, confirmed=False), received()
    return ran.CompletionCosted(
        generation_id=answer.generation_id,
        summary=answer.summary,
        cost=known.cost,
        price_msat=known.price_msat,
        lookup_at_ms=known.lookup_at_ms,
    )


def fell_back(
    escrow: Escrow, *, charged: bool | None = None, cost: Cost | None = None
) -> ran.FellBack:
    """The run has failed, by itself as nobody knows how, and another model is asked."""
    return ran.FellBack(
        failure=FAILURE,
        charged=charged,
        cost=cost,
        run_id=escrow.next_run_id,
        upstream=UPSTREAM,
        model="meta/next",
        prices=ModelPrice(prompt_pusd=90_000, completion_pusd=900_000),
        requested_by="replica-2",
    )


def route_to(model: str) -> str:
    """A stored decision for this model, the only one that it could choose."""
    considered = (
        Considered(
            model_id=model, tier=Tier.CHEAP, lower_ppm=900_000, ceiling_pusd=4_000, barred=""
        ),
    )
    bounds = Bounds(bar_ppm=800_000)
    decision = Decision(
        task=Task.CODE,
        task_source="declared",
        signals=(),
        table="2026-11-29#5a5a5a5a",
        bounds=bounds,
        considered=considered,
        baseline=model,
        choice=choose(considered, bounds),
    )
    return stored_text(decision, None)


def task_run_begun(
    escrow: Escrow, most: int = 4_000, *, route: str | None = None
) -> on.TaskRunBegun:
    """Another run of a task, of at most so much, or of what is left."""
    return on.TaskRunBegun(
        run_id=escrow.next_run_id,
        call="c_call",
        upstream=UPSTREAM,
        model="meta/next",
        prices=ModelPrice(prompt_pusd=90_000, completion_pusd=900_000),
        most_pusd=min(most, escrow.left_pusd),
        requested_by="replica-1",
        route=route,
    )


def task_closed(escrow: Escrow, fee: int = 1_000) -> on.TaskClosed:
    """The price of what has run, with a fee."""
    return on.TaskClosed(
        fee_msat=fee,
        price_msat=escrow.price.price_msat + fee,
        payment_hash=payment_hash_of(escrow),
        provisional_runs=0,
    )


def panel_priced(escrow: Escrow) -> on.PanelPriced:
    """The price of what has answered on a panel, with what of it credit pays."""
    priced_pusd = sum(run.billed_pusd(run.cost_pusd) for run in escrow.sold_runs)
    price_msat = escrow.price_of(priced_pusd).price_msat
    return on.PanelPriced(
        priced_pusd=priced_pusd,
        price_msat=price_msat,
        credit_used_msat=min(escrow.reserved_msat, price_msat),
        payment_hash=payment_hash_of(escrow),
        provisional_runs=sum(run.is_provisional for run in escrow.sold_runs),
    )


def invoice_issued(escrow: Escrow) -> on.InvoiceIssued:
    """The node's invoice over what is due, in whole satoshis."""
    return on.InvoiceIssued(
        invoice=IssuedInvoice(
            payment_request="lnbcrt1",
            amount_msat=invoice_amount_msat(escrow.due_msat),
            expires_at_s=NOW_MS // 1_000 + 600,
        )
    )


def settled(
    escrow: Escrow, paid_msat: int | None = None, *, settle_index: int = 1
) -> on.InvoiceSettled:
    """The node says paid: the invoice's amount unless told otherwise."""
    asked = escrow.invoice.amount_msat if escrow.invoice else 0
    return on.InvoiceSettled(
        payment_hash=str(escrow.payment_hash),
        paid_msat=asked if paid_msat is None else paid_msat,
        settle_index=settle_index,
        node_alias=NODE,
        node_pubkey=PUBKEY,
    )


def canceled(escrow: Escrow) -> on.InvoiceCanceled:
    """The node says canceled."""
    return on.InvoiceCanceled(payment_hash=str(escrow.payment_hash))


def invoice_lost(escrow: Escrow) -> on.InvoiceLost:
    """Canceled before we stored it: the next attempt's hash."""
    again = replace(escrow, attempt=escrow.attempt + 1)
    return on.InvoiceLost(payment_hash=payment_hash_of(again))
