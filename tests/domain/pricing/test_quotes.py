"""A caller's own cap: whether a ceiling is within it, and what would fit."""

from __future__ import annotations

import pytest

from cobot_meter.domain.errors import CeilingOverCap
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import Ceiling
from cobot_meter.domain.pricing.quotes import MaxCost, refuse_over_cap
from tests.domain.samples import PAR

# One pico-USD is one msat at PAR; here one msat is ten pico-USD.
TENFOLD = ExchangeRate(usd_micro_per_btc=1_000_000, source="test", fetched_at_ms=0)


def ceiling(price_msat: int) -> Ceiling:
    """The most that is charged is all that counts."""
    return Ceiling(cost_pusd=price_msat, price_msat=price_msat)


@pytest.mark.parametrize(
    ("cap", "price_msat", "admitted"),
    [
        (MaxCost(msat=100), 100, True),
        (MaxCost(msat=100), 101, False),
        (MaxCost(msat=0), 0, True),
        (MaxCost(msat=0), 1, False),
        (MaxCost(pusd=100), 10, True),
        (MaxCost(pusd=109), 10, True),
        (MaxCost(pusd=99), 10, False),
        (MaxCost(pusd=0), 0, True),
        (MaxCost(pusd=0), 1, False),
    ],
)
def test_a_cap_is_kept_to_the_unit_it_was_given_in(
    cap: MaxCost, price_msat: int, *, admitted: bool
) -> None:
    """Msat against the price itself, USD against what the price is worth."""
    assert cap.admits(ceiling(price_msat), TENFOLD) is admitted


def test_a_cap_is_quoted_back_in_its_own_unit() -> None:
    """As the caller wrote it."""
    assert MaxCost(msat=7).text() == "7 msat"
    assert MaxCost(pusd=265_800_000).text() == "$0.0002658"
    assert MaxCost(pusd=0).text() == "$0"


@pytest.mark.parametrize("max_tokens", [*range(1, 40), 1_000, 16_384])
@pytest.mark.parametrize("fits", [0, 1, 2, 3, 7, 30])
def test_what_would_fit_is_found_exactly(max_tokens: int, fits: int) -> None:
    """The largest number of tokens whose ceiling is within the cap, or that there is none."""
    if fits >= max_tokens:
        refuse_over_cap(ceiling, max_tokens=max_tokens, cap=MaxCost(msat=fits), rate=PAR)
        return
    with pytest.raises(CeilingOverCap) as refused:
        refuse_over_cap(ceiling, max_tokens=max_tokens, cap=MaxCost(msat=fits), rate=PAR)
    advice = f"max_tokens {fits} would fit" if fits else "not even one token would fit"
    assert refused.value.message == (
        f"This can cost up to {max_tokens} msat ($0.{max_tokens:012d}".rstrip("0")
        + f") with max_tokens {max_tokens}, and X-Cobot-Max-Cost allows {fits} msat; {advice}."
    )


def test_the_search_for_what_fits_is_short() -> None:
    """By halving: a prompt of any size is priced a few dozen times at most."""
    priced: list[int] = []

    def counted(max_tokens: int) -> Ceiling:
        priced.append(max_tokens)
        return ceiling(max_tokens)

    with pytest.raises(CeilingOverCap):
        refuse_over_cap(counted, max_tokens=10**6, cap=MaxCost(msat=333_333), rate=PAR)
    assert len(priced) <= 22
