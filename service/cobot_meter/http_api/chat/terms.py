"""The terms a caller sets: the most it will pay, and the quote it was given.

Must not know: the rest of the body, or how anything is priced.
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


def max_cost_from(content: bytes, *, param: str = MAX_COST) -> MaxCost:
    """`12sat`, `12000 msat` or `0.01usd`. Raises RequestInvalid that names `param`."""
    match = _AMOUNT.fullmatch(content)
    if match is None:
        raise _wrong(param)
    digits, part, unit = match.groups()
    if unit.lower() == b"usd":
        try:
            pusd = pusd_from_decimal(Decimal((digits + (part or b"")).decode()))
        except ValueError:
            raise _wrong(param) from None
        return MaxCost(pusd=_positive(pusd, param))
    if part is not None:
        raise _wrong(param)
    msat = int(digits) * (MSAT_PER_SAT if unit.lower() == b"sat" else 1)
    return MaxCost(msat=_positive(msat, param))


def quote_of(request: HttpRequest) -> str | None:
    """The quote's text; None for none. Raises RequestInvalid for two."""
    lines = request.lines(QUOTE.lower().encode())
    if len(lines) > 1:
        raise RequestInvalid(f"{QUOTE} is given twice; keep one of them.", param=QUOTE)
    return lines[0].strip().decode("ascii", "replace") if lines else None


def _positive(amount: int, param: str) -> int:
    if not amount:
        raise _wrong(param)
    return amount


def _wrong(param: str) -> RequestInvalid:
    message = (
        f"{param} must be one amount above zero: whole sat or msat (12sat, 12000msat), or USD "
        "(0.01usd)."
    )
    return RequestInvalid(message, param=param)
