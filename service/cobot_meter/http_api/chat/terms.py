"""The terms a caller sets in headers: the most it will pay, and the quote it was given.

Must not know: the body, or how anything is priced.
"""

from __future__ import annotations

import re
from decimal import Decimal

from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.money import MSAT_PER_SAT, pusd_from_decimal
from cobot_meter.domain.pricing.quotes import MaxCost
from cobot_meter.http_api.http.exchange import HttpRequest
from cobot_meter.http_api.quote_tokens import HEADER as QUOTE

MAX_COST = "X-Cobot-Max-Cost"
_AMOUNT = re.compile(rb"([0-9]{1,15})(\.[0-9]{1,12})? ?(sat|msat|usd)", re.IGNORECASE)


def max_cost_of(request: HttpRequest) -> MaxCost | None:
    """`12sat`, `12000 msat` or `0.01usd`; None for none. Raises RequestInvalid."""
    lines = request.lines(MAX_COST.lower().encode())
    if not lines:
        return None
    match = _AMOUNT.fullmatch(lines[0].strip())
    if len(lines) > 1 or match is None:
        raise _wrong()
    digits, part, unit = match.groups()
    if unit.lower() == b"usd":
        try:
            pusd = pusd_from_decimal(Decimal((digits + (part or b"")).decode()))
        except ValueError:
            raise _wrong() from None
        return MaxCost(pusd=_positive(pusd))
    if part is not None:
        raise _wrong()
    return MaxCost(msat=_positive(int(digits) * (MSAT_PER_SAT if unit.lower() == b"sat" else 1)))


def quote_of(request: HttpRequest) -> str | None:
    """The quote's text; None for none. Raises RequestInvalid for two."""
    lines = request.lines(QUOTE.lower().encode())
    if len(lines) > 1:
        raise RequestInvalid(f"{QUOTE} is given twice; keep one of them.", param=QUOTE)
    return lines[0].strip().decode("ascii", "replace") if lines else None


def _positive(amount: int) -> int:
    if not amount:
        raise _wrong()
    return amount


def _wrong() -> RequestInvalid:
    message = (
        f"{MAX_COST} must be one amount above zero: whole sat or msat (12sat, 12000msat), or USD "
        "(0.01usd)."
    )
    return RequestInvalid(message, param=MAX_COST)
