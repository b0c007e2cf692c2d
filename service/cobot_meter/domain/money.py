"""Money: integers of msat and pico-USD, the one conversion between them and the one rounding.

Decimal appears only while a number's text is read. 1 msat = 1e-11 BTC; 1 pusd (pico-USD) = 1e-12
USD; a rate is micro-USD per BTC. Every rounding in the house is `ceil_div`, upward, and it is
called from here only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

MSAT_PER_SAT = 1_000
PUSD_PER_USD = 10**12
BASIS_POINTS = 10_000
# The one bound for an amount that is let in: 10,000 USD, or 100,000 BTC; a column holds 922.
AMOUNT_MAX = 10**16
# For what adds up over years and is compared, never booked as it is: a key's usage, an account.
TOTAL_MAX = 10**18
# Nine million USD for a bitcoin, in micro-USD.
RATE_MAX = 9 * 10**12
_PUSD_DIGITS = 12
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")  # JSON's, in ASCII
_PUSD_PER_MICRO_USD = 10**6
_PUSD_TO_MSAT = 10**5  # 1e11 msat per BTC over 1e6 pusd per micro-USD


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRate:
    """A dated price of one bitcoin: `usd_micro_per_btc` in 1e-6 USD, said by `source`."""

    usd_micro_per_btc: int
    source: str
    fetched_at_ms: int

    def __post_init__(self) -> None:
        """Refuse a rate that cannot divide."""
        if not 0 < self.usd_micro_per_btc <= RATE_MAX:
            message = f"an exchange rate must be positive and sane, not {self.usd_micro_per_btc}"
            raise ValueError(message)


def ceil_div(numerator: int, denominator: int) -> int:
    """The house's one rounding: up, to the next integer. `denominator` > 0."""
    return -(-numerator // denominator)


def pusd_from_text(text: str, *, most: int = AMOUNT_MAX) -> int:
    """A JSON number's text in USD (`0.00026580`, `4.14e-05`) as pico-USD, rounded up.

    Upstreams write doubles with visible noise, so the digits past 1e-12 are real input.
    Raises ValueError for what is not a non-negative JSON number of at most `most` pico-USD.
    """
    if not _NUMBER.fullmatch(text):
        message = f"not a number: {text[:40]!r}"
        raise ValueError(message)
    return pusd_from_decimal(Decimal(text), most=most)


def pusd_from_decimal(value: Decimal, *, most: int = AMOUNT_MAX) -> int:
    """An amount in USD that a JSON reader has already made a Decimal, as pico-USD, rounded up.

    Raises ValueError for what is negative, not finite, or more than `most` pico-USD.
    """
    if not value.is_finite() or value < 0 or value.adjusted() > _PUSD_DIGITS:
        message = f"not an amount of USD: {value}"
        raise ValueError(message)
    if value and value.adjusted() < -_PUSD_DIGITS:
        return 1  # before a ratio with a million digits is made of 1e-1000000
    numerator, denominator = value.as_integer_ratio()
    pusd = ceil_div(numerator * PUSD_PER_USD, denominator)
    if pusd > most:
        message = f"too large an amount of USD: {value}"
        raise ValueError(message)
    return pusd


def usd_micro_from_text(text: str) -> int:
    """The price of a bitcoin in USD as a number's text, in 1e-6 USD, the rest cut off.

    A rate is a divisor: cut downward it rounds what is charged upward. Raises ValueError for what
    is not a JSON number from 1e-6 to RATE_MAX.
    """
    usd_micro = pusd_from_text(text, most=RATE_MAX * _PUSD_PER_MICRO_USD) // _PUSD_PER_MICRO_USD
    if not usd_micro:
        message = f"not the price of a bitcoin: {text[:40]!r}"
        raise ValueError(message)
    return usd_micro


def usd_text(pusd: int) -> str:
    """Pico-USD as an exact decimal text in USD (`0.0002658`), fit for a JSON number."""
    sign = "-" if pusd < 0 else ""
    whole, rest = divmod(abs(pusd), PUSD_PER_USD)
    digits = f"{rest:0{_PUSD_DIGITS}d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def btc_usd_text(rate: ExchangeRate) -> str:
    """The price of one bitcoin as an exact decimal text in USD (`94000.5`): for showing."""
    return usd_text(rate.usd_micro_per_btc * _PUSD_PER_MICRO_USD)


def with_surcharge(amount: int, *basis_points: int) -> tuple[int, int]:
    """`amount` raised by each surcharge in turn, as an exact (numerator, denominator)."""
    numerator, denominator = amount, 1
    for surcharge in basis_points:
        numerator *= BASIS_POINTS + surcharge
        denominator *= BASIS_POINTS
    return numerator, denominator


def msat_from_pusd(pusd: int, rate: ExchangeRate, *surcharge_basis_points: int) -> int:
    """Convert USD to bitcoin with surcharges, rounding up once at the very end.

    `ceil(pusd × Π(1 + surcharge) × 1e5 / rate)`; 0 only for 0.
    """
    numerator, denominator = with_surcharge(pusd, *surcharge_basis_points)
    return ceil_div(numerator * _PUSD_TO_MSAT, denominator * rate.usd_micro_per_btc)


def pusd_from_msat(msat: int, rate: ExchangeRate) -> int:
    """What `msat` is worth at `rate`, in pico-USD, rounded up: for showing, never for charging."""
    return ceil_div(msat * rate.usd_micro_per_btc, _PUSD_TO_MSAT)


def whole_sat_up(msat: int) -> int:
    """The next whole satoshi, in msat: wallets in the field refuse less."""
    return ceil_div(msat, MSAT_PER_SAT) * MSAT_PER_SAT


def sat_text(msat: int) -> str:
    """An amount of msat as an exact decimal text in satoshis (`20.6`): for showing."""
    sign = "-" if msat < 0 else ""
    whole, rest = divmod(abs(msat), MSAT_PER_SAT)
    digits = f"{rest:03d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def sat_of(msat: int) -> int:
    """An amount in whole satoshis, rounded up."""
    return ceil_div(msat, MSAT_PER_SAT)
