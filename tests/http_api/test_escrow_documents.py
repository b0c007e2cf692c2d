"""What callers read of an escrow at each stage."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.pricing.prices import price_for
from cobot_meter.domain.run.record import Cost, CostStanding, Run
from cobot_meter.domain.run.states import RunState
from cobot_meter.http_api.views import cost_document, escrow_document
from tests.http_api.samples import ESCROW, PUBLIC_URL, RATE, invoiced_escrow


def test_what_is_not_known_yet_is_null() -> None:
    """Before the run an escrow shows its model and state, and neither usage nor cost."""
    escrow = invoiced_escrow()
    run = Run(
        run_id=ESCROW,
        escrow_id=ESCROW,
        upstream="gateway",
        opened_at_ms=1,
        changed_at_ms=1,
        state=RunState.OPENED,
    )
    opened = replace(escrow, state=EscrowState.RUNNING, run=run, invoice=None)
    document = escrow_document(opened, public_url=PUBLIC_URL)
    assert (document["state"], document["model"]) == ("opened", "openai/gpt-4o-mini")
    assert document["usage"] is document["cost"] is document["expires_at"] is None
    assert document["status_url"] == f"{PUBLIC_URL}/v1/escrows/{ESCROW}"


def test_without_an_invoice_nothing_is_rounded() -> None:
    """What credit covered has a price and no amount to pay."""
    escrow = invoiced_escrow()
    covered = replace(escrow, invoice=None, credit_used_msat=escrow.price_msat)
    cost = cost_document(covered)
    assert cost is not None
    assert (cost["amount_msat"], cost["rounding_msat"], cost["price_msat"]) == (0, 0, 329)


@given(st.integers(1, 10**13), st.integers(1, 10**6))
def test_the_parts_add_up(cost_pusd: int, ceiling_msat: int) -> None:
    """Upstream and fee are the price in USD, and the msat parts are the price, also when capped."""
    escrow = invoiced_escrow()
    terms = escrow.quote.terms
    price = price_for(cost_pusd, ceiling_msat=ceiling_msat, rate=RATE, terms=terms)
    escrow = replace(
        escrow,
        quote=replace(escrow.quote, ceiling_msat=ceiling_msat),
        run=replace(
            escrow.run, cost=Cost(cost_pusd=cost_pusd, text="", standing=CostStanding.CONFIRMED)
        ),
        priced_pusd=cost_pusd,
        price_msat=price.price_msat,
    )
    cost = cost_document(escrow)
    assert cost is not None
    parts = cost["upstream_msat"] + cost["credit_fee_msat"] + cost["markup_msat"]
    assert parts == cost["price_msat"] == price.price_msat
    fee = cost["fee_usd"]
    fee_pusd = -pusd_from_text(fee[1:]) if fee.startswith("-") else pusd_from_text(fee)
    assert pusd_from_text(cost["upstream_usd"]) + fee_pusd == pusd_from_text(cost["price_usd"])
