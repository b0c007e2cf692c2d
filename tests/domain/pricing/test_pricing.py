"""Pricing: ceiling before the run, price after it, and the parts that add up."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.money import ExchangeRate, msat_from_pusd
from cobot_meter.domain.pricing.prices import (
    BELIEVED_CEILINGS,
    Ceiling,
    ImagePrice,
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


def test_how_far_a_cost_is_believed() -> None:
    """Ten ceilings."""
    assert BELIEVED_CEILINGS == 10


def test_a_ceiling_to_the_pico_usd() -> None:
    """A byte is a token at most; a message adds 16 and a request 512, and nothing else is added."""
    ceiling = ceiling_for(
        prices=(ModelPrice(prompt_pusd=10, completion_pusd=1_000, request_pusd=7),),
        prompt_bytes=1_000,
        message_count=3,
        max_tokens=20,
        rate=PAR,
        terms=PriceTerms(credit_fee_bps=0, markup_bps=0, safety_bps=0),
    )
    expected = 7 + (1_000 + 3 * 16 + 512) * 10 + 20 * 1_000
    assert ceiling == Ceiling(cost_pusd=expected, price_msat=expected)


def test_what_is_added_where_nothing_is_set() -> None:
    """5.5 % for buying credit, 10 % for us, and 5 % of room in the ceiling alone."""
    terms = PriceTerms()
    assert (terms.credit_fee_bps, terms.markup_bps, terms.safety_bps) == (550, 1_000, 500)


def test_a_price_without_extras_is_only_what_was_named() -> None:
    """Requests, cache writes and reasoning cost nothing where no price says so."""
    price = ModelPrice(prompt_pusd=1, completion_pusd=1)
    assert (price.request_pusd, price.cache_write_pusd, price.reasoning_pusd) == (0, 0, 0)
    assert ImagePrice(image_pusd=1).token_pusd == 0


@pytest.mark.parametrize("charged", ["prompt_pusd", "completion_pusd", "request_pusd"])
def test_a_model_that_charges_for_anything_is_not_free(charged: str) -> None:
    """Zero is then no fact but an unknown."""
    prices = dict.fromkeys(("prompt_pusd", "completion_pusd", "request_pusd"), 0)
    assert ModelPrice(**prices).free
    assert not ModelPrice(**{**prices, charged: 1}).free


def test_the_dearest_of_each_is_taken() -> None:
    """Every unit price by itself, wherever it comes from."""
    names = ("prompt_pusd", "completion_pusd", "request_pusd", "cache_write_pusd", "reasoning_pusd")
    for dearest in names:
        cheap = dict.fromkeys(names, 3)
        prices = (ModelPrice(**cheap), ModelPrice(**{**cheap, dearest: 9}), ModelPrice(**cheap))
        assert ModelPrice.dearest(prices) == ModelPrice(**{**cheap, dearest: 9})
    images = (ImagePrice(image_pusd=5, token_pusd=1), ImagePrice(image_pusd=2, token_pusd=8))
    assert ImagePrice.dearest(images) == ImagePrice(image_pusd=5, token_pusd=8)


@pytest.mark.parametrize(
    ("images", "context", "token_pusd", "expected"),
    [
        (0, 10**6, 3, 0),
        (1, 10**6, 3, 11 + 50_000 * 3),
        (2, 10**6, 3, 22 + 100_000 * 3),
        (2, 60_000, 3, 22 + 60_000 * 3),
        (1, 10**6, 1, 11 + 50_000 * 2),
    ],
)
def test_the_most_that_images_add(
    images: int, context: int, token_pusd: int, expected: int
) -> None:
    """Each at its price, and as many tokens as fit, at the dearest of all that they may be."""
    price = ModelPrice(prompt_pusd=1, completion_pusd=9, cache_write_pusd=2)
    image = ImagePrice(image_pusd=11, token_pusd=token_pusd)
    assert image.ceiling_pusd(images, price, context_length=context) == expected


def test_a_price_taken_apart_to_the_msat() -> None:
    """Cost, fee, markup, and what went beyond the ceiling."""
    terms = PriceTerms(credit_fee_bps=5_000, markup_bps=10_000, safety_bps=0)
    whole = price_for(100, ceiling_msat=1_000, rate=PAR, terms=terms)
    assert (whole.cost_msat, whole.credit_fee_msat, whole.markup_msat) == (100, 50, 150)
    assert (whole.price_msat, whole.overrun_msat, whole.cost_pusd) == (300, 0, 100)
    cut = price_for(100, ceiling_msat=120, rate=PAR, terms=terms)
    assert (cut.cost_msat, cut.credit_fee_msat, cut.markup_msat) == (100, 20, 0)
    assert (cut.price_msat, cut.overrun_msat) == (120, 180)


def test_a_million_units_are_priced_for_the_list() -> None:
    """Fee and markup on each unit, rounded up once."""
    terms = PriceTerms(credit_fee_bps=5_000, markup_bps=10_000, safety_bps=9_999)
    assert unit_price_msat_text(7, PAR, terms) == "21000000"
    assert unit_price_pusd(7, terms) == 21
