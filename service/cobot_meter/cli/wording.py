"""Amounts, times, names and sums of credit as people read them.

Must not know: tables or commands.
"""

from __future__ import annotations

import datetime as dt

from cobot_meter.domain.ledger.accounts import Commodity
from cobot_meter.domain.money import MSAT_PER_SAT, usd_text
from cobot_meter.domain.upstream.accounts import UpstreamAccount

NAME_TAIL = 8
TIME_DIGITS = 11  # of milliseconds in hexadecimal, in every id of ours
NAME_GIVEN_MIN = 6
# How `name` shortens, as this and other terminals show it.
SHORTENED = ("…", "...", "~")
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))


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
    head, tail = name_parts(given)
    return len(tail) >= NAME_GIVEN_MIN and full.startswith(head) and full.endswith(tail)


def name_parts(given: str) -> tuple[str, str]:
    """The beginning and the end that were typed; the beginning is empty for an end alone."""
    for mark in SHORTENED:
        if mark in given:
            head, _, tail = given.partition(mark)
            return head, tail
    return "", given


def age(then_ms: int, now_ms: int) -> str:
    """`3 min`, `5 h`, `12 d`: how long ago, in one unit."""
    seconds = max(now_ms - then_ms, 0) // 1_000
    for unit_s, unit in _AGES:
        if seconds >= unit_s:
            return f"{seconds // unit_s} {unit}"
    return f"{seconds} s"


def begun_ms(subject_id: str) -> int:
    """When an id was made, which it begins with; 0 when it does not."""
    try:
        return int(subject_id.partition("_")[2][:TIME_DIGITS], 16)
    except ValueError:
        return 0


def event(kind: str) -> str:
    """`invoice_settled` as `invoice settled`."""
    return kind.replace("_", " ")


def price_per_million(pusd: int) -> str:
    """Pico-USD for a million units, as USD."""
    return usd(pusd * 1_000_000)


def account_words(account: UpstreamAccount) -> str:
    """What our key and account may still spend, and when the key's limit starts anew."""
    said = []
    if account.credit_left_pusd is not None:
        said.append(f"{_usd(account.credit_left_pusd)} USD of credit left")
    if account.limit_pusd is None:
        said.append("the key has no limit")
    else:
        left = _usd(account.limit_remaining_pusd or 0)
        reset = f", {account.limit_reset} (UTC)" if account.limit_reset else ", once"
        said.append(f"the key has {left} of {_usd(account.limit_pusd)} USD left{reset}")
    if account.usage_daily_pusd is not None:
        said.append(f"{_usd(account.usage_daily_pusd)} USD spent today")
    if account.credit_left_pusd is None:
        said.append("the account's credit is shown to management keys only")
    return "; ".join(said)


def _usd(pusd: int) -> str:
    return f"-{usd_text(-pusd)}" if pusd < 0 else usd_text(pusd)
