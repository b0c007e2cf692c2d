"""Pricing: ceiling before the run, price after it, and the parts that add up."""

from __future__ import annotations

from fractions import Fraction

import pytest
from cobot_meter.domain.money import ExchangeRate, msat_from_pusd
from cobot_meter.domain.pricing.prices import (
    Ceiling,
    ModelPrice,
    PriceTerms,
    ceiling_for,
    charged_pusd,
    invoice_amount_msat,
    kept_when_lapsed_msat,
    price_for,
    unit_price_msat_text,
    unit_price_pusd,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.samples import PAR
from tests.domain.test_money import rates

costs = st.integers(min_value=0, max_value=10**14)
units = st.integers(min_value=0, max_value=10**9)
tokens = st.integers(min_value=0, max_value=200_000)
terms = st.builds(
    PriceTerms,
    credit_fee_bps=st.integers(min_value=0, max_value=5_000),
    markup_bps=st.integers(min_value=0, max_value=50_000),
    safety_bps=st.integers(min_value=0, max_value=5_000),
)
prices = st.builds(
    ModelPrice,
    prompt_pusd=units,
    completion_pusd=units,
    request_pusd=units,
    cache_write_pusd=units,
    reasoning_pusd=units,
)


@given(cost=costs, ceiling=costs, rate=rates, terms=terms)
def test_the_parts_of_a_price_add_up(
    cost: int, ceiling: int, rate: ExchangeRate, terms: PriceTerms
) -> None:
    """Cost, fee and markup are the price, none is negative, and what is over is ours."""
    price = price_for(cost, ceiling_msat=ceiling, rate=rate, terms=terms)
    parts = (price.cost_msat, price.credit_fee_msat, price.markup_msat)
    assert min(*parts, price.overrun_msat) >= 0
    assert sum(parts) == price.price_msat <= ceiling
    full = msat_from_pusd(cost, rate, terms.credit_fee_bps, terms.markup_bps)
    assert price.price_msat + price.overrun_msat == full


@given(
    price=prices,
    prompt_bytes=tokens,
    messages=st.integers(min_value=1, max_value=100),
    max_tokens=tokens,
    rate=rates,
    terms=terms,
    data=st.data(),
)
def test_no_run_within_its_limits_passes_the_ceiling(
    *,
    price: ModelPrice,
    prompt_bytes: int,
    messages: int,
    max_tokens: int,
    rate: ExchangeRate,
    terms: PriceTerms,
    data: st.DataObject,
) -> None:
    """Any split of at most as many tokens as bytes, at these unit prices, costs no more."""
    ceiling = ceiling_for(
        prices=(price,),
        prompt_bytes=prompt_bytes,
        message_count=messages,
        max_tokens=max_tokens,
        rate=rate,
        terms=terms,
    )
    prompt = data.draw(st.integers(min_value=0, max_value=prompt_bytes))
    cached = data.draw(st.integers(min_value=0, max_value=prompt))
    completion = data.draw(st.integers(min_value=0, max_value=max_tokens))
    reasoning = data.draw(st.integers(min_value=0, max_value=completion))
    cost = (
        price.request_pusd
        + (prompt - cached) * price.prompt_pusd
        + cached * price.cache_write_pusd
        + (completion - reasoning) * price.completion_pusd
        + reasoning * price.reasoning_pusd
    )
    assert cost <= ceiling.cost_pusd
    full = price_for(cost, ceiling_msat=ceiling.price_msat, rate=rate, terms=terms)
    assert full.overrun_msat == 0


def test_the_ceiling_is_over_every_model_that_may_answer() -> None:
    """The dearest of them, whichever is dearest for this ask."""
    talker = ModelPrice(prompt_pusd=1, completion_pusd=1_000)
    reader = ModelPrice(prompt_pusd=100, completion_pusd=1)
    ceiling = ceiling_for(
        prices=(talker, reader),
        prompt_bytes=472,
        message_count=1,
        max_tokens=50,
        rate=PAR,
        terms=PriceTerms(credit_fee_bps=0, markup_bps=0, safety_bps=500),
    )
    worst = 1_000 * 100 + 50
    assert ceiling == Ceiling(cost_pusd=-(-worst * 105 // 100), price_msat=-(-worst * 105 // 100))


@given(paid_for=costs, confirmed=costs, rate=rates, terms=terms)
def test_a_lapsed_claim_keeps_at_most_the_price(
    paid_for: int, confirmed: int, rate: ExchangeRate, terms: PriceTerms
) -> None:
    """K covers cost and fee where the price does, and is never more than was paid."""
    price = price_for(paid_for, ceiling_msat=10**24, rate=rate, terms=terms).price_msat
    kept = kept_when_lapsed_msat(confirmed, price_msat=price, rate=rate, terms=terms)
    assert 0 <= kept <= price
    if confirmed <= paid_for:
        assert kept == msat_from_pusd(confirmed, rate, terms.credit_fee_bps)


@pytest.mark.parametrize(("due", "invoice"), [(1, 1_000), (1_000, 1_000), (1_001, 2_000)])
def test_invoices_are_whole_satoshis(due: int, invoice: int) -> None:
    """Rounded up, never down, and not at all where it fits."""
    assert invoice_amount_msat(due) == invoice


@given(unit=units, terms=terms)
def test_listed_prices_never_understate(unit: int, terms: PriceTerms) -> None:
    """A model's listed price times the tokens covers what those tokens would be charged."""
    exact = unit * Fraction((10_000 + terms.credit_fee_bps) * (10_000 + terms.markup_bps), 10**8)
    assert 0 <= unit_price_pusd(unit, terms) - exact < 1
    million = int(unit_price_msat_text(unit, PAR, terms))
    assert 0 <= million - 1_000_000 * exact < 1


@given(cost=costs, rate=rates, terms=terms)
def test_the_usage_cost_shown_covers_our_cost(
    cost: int, rate: ExchangeRate, terms: PriceTerms
) -> None:
    """What callers see as `usage.cost` is what they pay, so never less than what it cost."""
    price = price_for(cost, ceiling_msat=10**25, rate=rate, terms=terms)
    assert charged_pusd(price.price_msat, rate) >= cost


@pytest.mark.parametrize(
    ("price", "free"),
    [
        (ModelPrice(prompt_pusd=0, completion_pusd=0), True),
        (ModelPrice(prompt_pusd=1, completion_pusd=0), False),
        (ModelPrice(prompt_pusd=0, completion_pusd=1), False),
        (ModelPrice(prompt_pusd=0, completion_pusd=0, request_pusd=1), False),
    ],
)
def test_a_free_model_is_one_without_prices(price: ModelPrice, *, free: bool) -> None:
    """Only there is a cost of zero a fact; anywhere else it is unknown."""
    assert price.free is free
