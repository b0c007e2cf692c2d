"""Money: one conversion and one rounding, held to exact fractions."""

from __future__ import annotations

import time
from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.money import (
    AMOUNT_MAX,
    RATE_MAX,
    TOTAL_MAX,
    ExchangeRate,
    btc_usd_text,
    ceil_div,
    msat_from_pusd,
    pusd_from_decimal,
    pusd_from_msat,
    pusd_from_text,
    sat_of,
    sat_text,
    usd_micro_from_text,
    usd_text,
    whole_sat_up,
)

amounts = st.integers(min_value=0, max_value=AMOUNT_MAX)
surcharges = st.lists(st.integers(min_value=0, max_value=100_000), max_size=3)
rates = st.builds(
    ExchangeRate,
    usd_micro_per_btc=st.integers(min_value=1, max_value=RATE_MAX),
    source=st.just("test"),
    fetched_at_ms=st.just(0),
)


@given(amount=amounts, rate=rates, bps=surcharges)
def test_the_price_is_the_exact_rational_rounded_up_once(
    amount: int, rate: ExchangeRate, bps: list[int]
) -> None:
    """USD to msat with surcharges equals the ceiling of the fraction that was never rounded."""
    exact = Fraction(amount, 10**12) / Fraction(rate.usd_micro_per_btc, 10**6) * 10**11
    for surcharge in bps:
        exact *= 1 + Fraction(surcharge, 10_000)
    assert msat_from_pusd(amount, rate, *bps) == ceil(exact)


@given(one=amounts, more=amounts, rate=rates, bps=surcharges)
def test_more_cost_is_never_cheaper(
    one: int, more: int, rate: ExchangeRate, bps: list[int]
) -> None:
    """The conversion is monotone in the amount and in every surcharge, and 0 only for 0."""
    low, high = sorted((one, more))
    assert msat_from_pusd(low, rate, *bps) <= msat_from_pusd(high, rate, *bps)
    assert msat_from_pusd(one, rate) <= msat_from_pusd(one, rate, *bps)
    assert (msat_from_pusd(one, rate, *bps) == 0) == (one == 0)


@given(costs=st.lists(st.integers(min_value=0, max_value=10**12), max_size=30), rate=rates)
def test_many_small_calls_never_pay_less_than_they_cost(
    costs: list[int], rate: ExchangeRate
) -> None:
    """Σ price >= Σ cost × (1 + fee) × (1 + markup): splitting a call gains nothing."""
    charged = sum(msat_from_pusd(cost, rate, 550, 1_000) for cost in costs)
    exact = Fraction(sum(costs) * 10**5, rate.usd_micro_per_btc)
    assert charged >= exact * Fraction(10_550, 10_000) * Fraction(11_000, 10_000)
    assert charged < exact * Fraction(10_550 * 11_000, 10**8) + len(costs) + (not costs)


@given(amount=amounts, rate=rates)
def test_showing_an_amount_in_usd_never_shows_less(amount: int, rate: ExchangeRate) -> None:
    """The way back rounds up too, by less than one pico-USD."""
    exact = Fraction(amount * rate.usd_micro_per_btc, 10**5)
    assert 0 <= pusd_from_msat(amount, rate) - exact < 1


@given(amount=st.integers(min_value=0, max_value=10**18))
def test_whole_satoshis_cover_the_amount(amount: int) -> None:
    """The next whole satoshi: never less, never a whole one more."""
    rounded = whole_sat_up(amount)
    assert rounded % 1_000 == 0
    assert 0 <= rounded - amount < 1_000
    assert sat_of(amount) * 1_000 == rounded


@given(numerator=st.integers(), denominator=st.integers(min_value=1))
def test_the_one_rounding_is_up(numerator: int, denominator: int) -> None:
    """ceil_div is the ceiling of the fraction for every sign and size."""
    assert ceil_div(numerator, denominator) == ceil(Fraction(numerator, denominator))


@given(pusd=st.integers(min_value=-(10**20), max_value=10**20))
def test_usd_text_is_exact(pusd: int) -> None:
    """The text stands for exactly this amount, without an exponent or needless zeros."""
    text = usd_text(pusd)
    assert Fraction(text) * 10**12 == pusd
    assert "E" not in text
    assert not (text.endswith(("0", ".")) and "." in text)


@given(pusd=amounts)
def test_what_is_written_is_read_again(pusd: int) -> None:
    """usd_text and pusd_from_text are inverse on all amounts."""
    assert pusd_from_text(usd_text(pusd)) == pusd


@pytest.mark.parametrize(
    ("text", "pusd"),
    [
        ("0", 0),
        ("-0", 0),
        ("0.00026580", 265_800_000),
        ("4.14e-05", 41_400_000),
        ("1E-12", 1),
        ("1e-13", 1),
        ("0.000014850000000000001", 14_850_001),
        ("10000", AMOUNT_MAX),
    ],
)
def test_json_numbers_become_pico_usd(text: str, pusd: int) -> None:
    """Exponents, the noise of doubles and the largest amount: read exactly, rounded up."""
    assert pusd_from_text(text) == pusd


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "1 ", " 1", "+1", ".5", "5.", "1_000", "0x10", "1,5", "--1", "1e", "e1"),
        *("NaN", "nan", "sNaN", "Infinity", "-Infinity", "inf", "null", "true"),
        *("-1", "-0.01", "1e400", "1e99999", "10000.000000000001", "1e13"),
        *("\u0661\u0662", "\uff11", "\u00b2", "1\u00a0", "1\n"),
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    """Signs, words, blanks, foreign digits and sizes that no ledger row could hold."""
    with pytest.raises(ValueError, match=r"amount of USD|not a number"):
        pusd_from_text(text)


@pytest.mark.parametrize("text", ["1e-9999", "1E-400", "0.9e-9999"])
def test_dust_is_one_pico_usd(text: str) -> None:
    """Less than the smallest unit is rounded up to it, however small."""
    assert pusd_from_text(text) == 1


@pytest.mark.parametrize("exponent", [-999_999_999, 999_999_999])
def test_monstrous_exponents_cost_nothing_to_refuse_or_round(exponent: int) -> None:
    """A number of a few bytes never becomes one of a billion digits."""
    started = time.process_time()
    value = Decimal((0, (1,), exponent))
    if exponent < 0:
        assert pusd_from_decimal(value) == 1
    else:
        with pytest.raises(ValueError, match="amount of USD"):
            pusd_from_decimal(value)
    assert time.process_time() - started < 1


@given(value=st.decimals(allow_nan=True, allow_infinity=True))
def test_any_decimal_is_an_amount_or_refused(value: Decimal) -> None:
    """Never another exception, and never less than the number said."""
    try:
        pusd = pusd_from_decimal(value)
    except ValueError:
        return
    assert 0 <= pusd <= AMOUNT_MAX
    assert pusd - 1 < value * 10**12 <= pusd


@pytest.mark.parametrize("usd_micro_per_btc", [0, -1, RATE_MAX + 1])
def test_a_rate_must_divide(usd_micro_per_btc: int) -> None:
    """No zero, negative or unbounded exchange rate exists."""
    with pytest.raises(ValueError, match="positive"):
        ExchangeRate(usd_micro_per_btc=usd_micro_per_btc, source="test", fetched_at_ms=0)


@pytest.mark.parametrize(
    ("text", "usd_micro"),
    [
        ("94000.5", 94_000_500_000),
        ("1e-6", 1),
        ("64123.4567899", 64_123_456_789),
        ("9e6", 9 * 10**12),
    ],
)
def test_a_rate_is_read_to_the_micro_usd(text: str, usd_micro: int) -> None:
    """What is finer than 1e-6 USD is cut off, so that a price is never lower for it."""
    assert usd_micro_from_text(text) == usd_micro


@pytest.mark.parametrize("text", ["0", "0.0000009", "-1", "1e400", "NaN", "1e8", " 1", "1_0", ""])
def test_what_no_rate_can_be_is_refused(text: str) -> None:
    """Zero, negative, endless and unwritten prices of a bitcoin do not exist."""
    with pytest.raises(ValueError, match=r"not (a|the)|too large"):
        usd_micro_from_text(text)


def test_a_rate_is_shown_in_usd() -> None:
    """94,000.5 USD per bitcoin, exactly."""
    rate = ExchangeRate(usd_micro_per_btc=94_000_500_000, source="test", fetched_at_ms=0)
    assert btc_usd_text(rate) == "94000.5"


@pytest.mark.parametrize(
    ("msat", "text"),
    [
        (0, "0"),
        (1, "0.001"),
        (-1, "-0.001"),
        (999, "0.999"),
        (1_000, "1"),
        (20_600, "20.6"),
        (-20_600, "-20.6"),
        (10**16, "10000000000000"),
    ],
)
def test_an_amount_is_shown_in_satoshis(msat: int, text: str) -> None:
    """Exactly, whichever way it goes."""
    assert sat_text(msat) == text


@pytest.mark.parametrize(
    ("pusd", "text"),
    [(0, "0"), (1, "0.000000000001"), (-1, "-0.000000000001"), (-(10**12), "-1"), (10**12, "1")],
)
def test_an_amount_is_shown_in_usd(pusd: int, text: str) -> None:
    """Nothing has no sign."""
    assert usd_text(pusd) == text


def test_the_bounds_of_what_is_let_in() -> None:
    """Ten thousand dollars at once, a million in all, nine million for a bitcoin."""
    assert AMOUNT_MAX == 10_000 * 10**12
    assert TOTAL_MAX == 10**6 * 10**12
    assert RATE_MAX == 9 * 10**6 * 10**6
    assert pusd_from_text("1e6", most=TOTAL_MAX) == TOTAL_MAX
    with pytest.raises(ValueError, match="too large"):
        pusd_from_text("1e6", most=TOTAL_MAX - 1)


def test_the_example_of_the_books() -> None:
    """2e6 pico-USD at 100,000 USD per bitcoin are 2 msat."""
    rate = ExchangeRate(usd_micro_per_btc=10**11, source="test", fetched_at_ms=0)
    assert msat_from_pusd(2_000_000, rate) == 2
