"""Amounts, times and names as people read them. Must not know: tables or commands."""

from __future__ import annotations

import datetime as dt

from service.domain.accounts import Commodity
from service.domain.money import MSAT_PER_SAT, usd_text

NAME_TAIL = 8
NAME_GIVEN_MIN = 6


def msat(amount: int) -> str:
    """`1,234,567`."""
    return f"{amount:,}"


def sat(amount_msat: int) -> str:
    """`1,234.567 sat`, without the fraction when there is none."""
    sign = "-" if amount_msat < 0 else ""
    whole, rest = divmod(abs(amount_msat), MSAT_PER_SAT)
    fraction = f".{rest:03d}" if rest else ""
    return f"{sign}{whole:,}{fraction} sat"


def usd(pusd: int) -> str:
    """`$0.0002658`, exact."""
    text = usd_text(abs(pusd))
    return f"-${text}" if pusd < 0 else f"${text}"


def unit_amount(commodity: str, value: int) -> str:
    """With its unit: `1,000 msat` or `$0.0002658`."""
    return usd(value) if commodity == Commodity.PUSD else f"{msat(value)} msat"


def amount(commodity: str, value: int) -> str:
    """In its commodity's own unit, without the unit's name."""
    return usd(value) if commodity == Commodity.PUSD else msat(value)


def moment(at_ms: int) -> str:
    """`2026-11-22 14:03:07`, UTC."""
    return dt.datetime.fromtimestamp(at_ms // 1_000, tz=dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def name(subject_id: str) -> str:
    """`esc_…Xk3f9aQ2`: what kind it is, and the end, which tells it from the others."""
    kind, mark, rest = subject_id.partition("_")
    if not mark or len(rest) <= NAME_TAIL:
        return subject_id
    return f"{kind}_…{rest[-NAME_TAIL:]}"


def account(code: str) -> str:
    """An account's code with a caller's long id shortened."""
    return "/".join(name(part) for part in code.split("/"))


def names(given: str, full: str) -> bool:
    """Whether what was typed means this id: all of it, as shown by `name`, or its end."""
    if given == full:
        return True
    if "…" in given:
        head, _, tail = given.partition("…")
        return full.startswith(head) and full.endswith(tail) and len(tail) >= NAME_GIVEN_MIN
    return len(given) >= NAME_GIVEN_MIN and full.endswith(given)


def event(kind: str) -> str:
    """`invoice_settled` as `invoice settled`."""
    return kind.replace("_", " ")


def price_per_million(pusd: int) -> str:
    """Pico-USD for a million units, as USD."""
    return usd(pusd * 1_000_000)
