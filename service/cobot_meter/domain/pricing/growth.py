"""What is reserved at first of a sale that grows, what it may cost us, and how far it reaches.

The first part has room for the prompt, by a measured bound, and for some tokens of the answer. How
far it falls short of the certain bound is bounded by what the operator risks of a request. Must not
know: escrows, events, or who is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.money import (
    ExchangeRate,
    ceil_div,
    msat_from_pusd,
    pusd_from_msat,
    with_surcharge,
)
from cobot_meter.domain.pricing.prices import Ceiling, ModelPrice, PriceTerms

# Output tokens that the first reservation has room for.
FIRST_TOKENS = 1_024
# What may be generated between the last word that we read and the end of the stream there.
IN_FLIGHT_TOKENS = 512
# Fewer are not worth a commit.
LEAST_STEP_TOKENS = 256
# Who has so many times as much as a request may cost has all of it reserved at once: no commit more
# while it is answered, and nothing at our risk.
AMPLE = 16
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstReservation:
    """`msat` of credit with room for `tokens` of output, and what may be lost beyond it."""

    msat: int
    tokens: int
    overrun_pusd: int


def output_bounds(max_tokens: int) -> tuple[int, int]:
    """The tokens of output that are reserved at first, and what may have come when that is cut."""
    tokens = min(FIRST_TOKENS, max_tokens)
    return tokens, min(tokens + IN_FLIGHT_TOKENS, max_tokens)


def first_reservation(
    likely: Ceiling, worst: Ceiling, *, tokens: int, overrun_pusd: int, rate: ExchangeRate
) -> FirstReservation:
    """What is reserved at first, with room for so many `tokens` of output.

    `likely` is for the measured bound of the prompt, `worst` for the certain one and for what may
    be on its way when the answer is cut. What lies between is ours up to `overrun_pusd`; the rest
    is reserved too.
    """
    first_msat, worst_msat = min(likely.price_msat, worst.price_msat), worst.price_msat
    ours_msat = max(msat_from_pusd(overrun_pusd, rate) - 1, 0)
    first_msat = max(first_msat, worst_msat - ours_msat)
    return FirstReservation(
        msat=first_msat,
        tokens=tokens,
        overrun_pusd=min(pusd_from_msat(worst_msat - first_msat, rate), overrun_pusd),
    )


def output_msat(tokens: int, price: ModelPrice, *, rate: ExchangeRate, terms: PriceTerms) -> int:
    """The most that so many more tokens of output are sold for."""
    unit_pusd = max(price.completion_pusd, price.reasoning_pusd)
    cost_pusd = ceil_div(*with_surcharge(tokens * unit_pusd, terms.safety_bps))
    return msat_from_pusd(cost_pusd, rate, terms.credit_fee_bps, terms.markup_bps)


def output_tokens(msat: int, price: ModelPrice, *, rate: ExchangeRate, terms: PriceTerms) -> int:
    """How many tokens of output so much pays for, rounded down."""
    million_msat = output_msat(_MILLION, price, rate=rate, terms=terms)
    return msat * _MILLION // million_msat if million_msat else _MILLION
