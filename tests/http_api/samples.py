"""Escrows and top-ups as values, for tests of what callers are told about them."""

from __future__ import annotations

from hashlib import sha256

from cobot_meter.domain.escrow.record import AskKey, Escrow, IssuedInvoice, Quote
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.money import ExchangeRate, pusd_from_text
from cobot_meter.domain.pricing.prices import ModelPrice, PriceTerms, invoice_amount_msat, price_for
from cobot_meter.domain.run.record import Cost, CostStanding, Run, Summary
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState

SECRET = b"a token secret of tests, 32 bytes or more"
PUBLIC_URL = "https://b.example"
CALLER = "c_" + "ab" * 16
ESCROW = "esc_" + "cd" * 32
TOPUP = "top_" + "ef" * 32
PREIMAGE = b"\x07" * 32
PAYMENT_HASH = sha256(PREIMAGE).hexdigest()
REQUEST_SHA256 = sha256(b'{"model":"m"}').hexdigest()
EXPIRES_AT_S = 1_763_837_100
PAYMENT_REQUEST = "lnbcrt420n1" + "q" * 280
RATE = ExchangeRate(
    usd_micro_per_btc=94_000_500_000, source="fixed", fetched_at_ms=1_763_836_000_000
)


def invoiced_escrow() -> Escrow:
    """An escrow whose confirmed cost was priced and invoiced."""
    terms = PriceTerms()
    cost_pusd = pusd_from_text("0.00026580")
    price = price_for(cost_pusd, ceiling_msat=10**9, rate=RATE, terms=terms)
    return Escrow(
        escrow_id=ESCROW,
        run_id=ESCROW,
        caller_id=CALLER,
        ask=AskKey(
            request_key="1" * 64,
            address_key="2" * 64,
            address="203.0.113.7",
            request_sha256=REQUEST_SHA256,
            nameless=True,
        ),
        quote=Quote(
            model="openai/gpt-4o-mini",
            max_tokens=1_024,
            ceiling_pusd=10**9,
            ceiling_msat=10**9,
            credit_reserved_msat=0,
            newcomer=True,
            day="2026-11-22",
            rate=RATE,
            terms=terms,
            prices=ModelPrice(prompt_pusd=150_000, completion_pusd=600_000),
        ),
        stream=False,
        opened_at_ms=1_763_836_400_000,
        changed_at_ms=1_763_836_500_000,
        state=EscrowState.INVOICED,
        version=3,
        run=_run(cost_pusd),
        priced_pusd=cost_pusd,
        price_msat=price.price_msat,
        payment_hash=PAYMENT_HASH,
        invoice=IssuedInvoice(
            payment_request=PAYMENT_REQUEST,
            amount_msat=invoice_amount_msat(price.price_msat),
            expires_at_s=EXPIRES_AT_S,
        ),
    )


def _run(cost_pusd: int) -> Run:
    return Run(
        run_id=ESCROW,
        escrow_id=ESCROW,
        upstream="gateway",
        opened_at_ms=1_763_836_400_000,
        changed_at_ms=1_763_836_500_000,
        state=RunState.COSTED,
        version=5,
        summary=Summary(
            completed_at_ms=1_763_836_450_000,
            inline_cost="0.00026580",
            finish_reason="stop",
            prompt_tokens=812,
            completion_tokens=240,
        ),
        cost=Cost(
            cost_pusd=cost_pusd,
            text="0.00026580",
            standing=CostStanding.CONFIRMED,
            provider="Mistral",
            model="mistralai/mistral-small-2603",
            record_sha256="5e" * 32,
        ),
    )


def invoiced_topup() -> Topup:
    """A 1-sat top-up with its invoice."""
    return Topup(
        topup_id=TOPUP,
        caller_id=CALLER,
        address_key="2" * 64,
        amount_msat=1_000,
        opened_at_ms=1_763_836_400_000,
        state=TopupState.INVOICED,
        version=2,
        attempt=0,
        payment_hash=PAYMENT_HASH,
        payment_request=PAYMENT_REQUEST,
        expires_at_s=EXPIRES_AT_S,
    )
