"""What is reserved at first of a request that grows, and that no more than a setting is at risk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.money import ExchangeRate, pusd_from_msat
from cobot_meter.domain.pricing.growth import (
    FIRST_TOKENS,
    IN_FLIGHT_TOKENS,
    FirstReservation,
    first_reservation,
    output_bounds,
    output_msat,
    output_tokens,
)
from cobot_meter.domain.pricing.prices import (
    Ceiling,
    ModelPrice,
    PriceTerms,
    ceiling_for,
    price_for,
)

USD = 1_000_000_000_000
RATE = ExchangeRate(usd_micro_per_btc=94_000_500_000, source="test", fetched_at_ms=0)
TERMS = PriceTerms()
SONNET = ModelPrice(prompt_pusd=3_000_000, completion_pusd=15_000_000, cache_write_pusd=3_750_000)
PRICES = st.builds(
    ModelPrice,
    prompt_pusd=st.integers(1, 30_000_000),
    completion_pusd=st.integers(1, 150_000_000),
    cache_write_pusd=st.integers(0, 40_000_000),
)


def planned(price: ModelPrice, measured: int, certain: int, ours: int) -> FirstReservation:
    """For an answer of at most 32,000 tokens."""

    def cost_of(prompt: int, output: int) -> Ceiling:
        return ceiling_for(
            prices=(price,),
            prompt_bytes=prompt,
            message_count=3,
            max_tokens=output,
            rate=RATE,
            terms=TERMS,
        )

    tokens, cut_tokens = output_bounds(32_000)
    return first_reservation(
        cost_of(measured, tokens),
        cost_of(certain, cut_tokens),
        tokens=tokens,
        overrun_pusd=ours,
        rate=RATE,
    )


def test_a_coding_agents_first_request_takes_a_third_of_a_dollar() -> None:
    """115.8 kB at Sonnet's prices, with a quarter of a dollar at the operator's risk."""
    first = planned(SONNET, 52_600, 115_800, USD // 4)
    assert first.tokens == FIRST_TOKENS
    assert 0.25 * USD < pusd_from_msat(first.msat, RATE) < 0.40 * USD
    assert first.overrun_pusd <= USD // 4


@given(PRICES, st.integers(1, 400_000), st.integers(1, 400_000), st.integers(0, USD), st.data())
def test_what_may_be_lost_is_reserved_and_never_more_than_the_setting(
    price: ModelPrice, measured: int, certain: int, ours: int, data: st.DataObject
) -> None:
    """Whatever the prompt really was within its bytes, and whatever was on its way at the end."""
    first = planned(price, measured, certain, ours)
    assert 0 <= first.overrun_pusd <= ours
    prompt = data.draw(st.integers(0, certain + 3 * 16 + 512))
    output = data.draw(st.integers(0, first.tokens + IN_FLIGHT_TOKENS))
    cost_pusd = prompt * max(price.prompt_pusd, price.cache_write_pusd) + output * (
        price.completion_pusd
    )
    charged = price_for(cost_pusd, ceiling_msat=first.msat, rate=RATE, terms=TERMS)
    assert pusd_from_msat(charged.overrun_msat, RATE) <= first.overrun_pusd


@given(PRICES, st.integers(1, 200_000))
def test_the_room_of_what_is_reserved_is_paid_for(price: ModelPrice, tokens: int) -> None:
    """So many tokens have their room, but for one that the rounding takes, and none for nothing."""
    step_msat = output_msat(tokens, price, rate=RATE, terms=TERMS)
    room = output_tokens(step_msat, price, rate=RATE, terms=TERMS)
    assert room >= tokens - 1
    assert output_msat(room, price, rate=RATE, terms=TERMS) <= step_msat
