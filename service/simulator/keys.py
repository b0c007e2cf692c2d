"""What the account says of its keys and its credit.

Must not know: HTTP. Amounts stay Decimals and are written as JSON numbers.
"""

from __future__ import annotations

from service.simulator.account import Account
from service.simulator.limits import RESETS, first_day

_LABEL = "sk-or-v1-sim...ulator"


def key_document(account: Account, *, management: bool) -> dict[str, object]:
    """The body of `GET /key`: what this key has spent, and what it may."""
    return {"data": _key(account) | {"is_management_key": management, "expires_at": None}}


def keys_document(account: Account) -> dict[str, object]:
    """The body of `GET /keys`, for management keys: the one key there is."""
    own = {"hash": "f01d52606dc8f0a8303a7b5cc3fa07109c2e346cec7c0a16b40de462992ce943"}
    return {"data": [own | _key(account) | {"name": "simulator", "disabled": False}]}


def credits_document(account: Account) -> dict[str, object]:
    """The body of `GET /credits`, for management keys."""
    book = account.book
    return {"data": {"total_credits": book.credit_usd, "total_usage": book.spent_usd}}


def _key(account: Account) -> dict[str, object]:
    book, limits = account.book, account.limits
    now_ms = account.clock.now_ms()
    left = limits.left_usd(book, now_ms)
    data: dict[str, object] = {
        "label": _LABEL,
        "limit": limits.limit_usd,
        "limit_remaining": None if left is None else max(left, left * 0),
        "limit_reset": limits.reset,
        "include_byok_in_limit": False,
        "is_free_tier": False,
        "rate_limit": {"requests": -1, "interval": "10s"},
    }
    data["usage"] = book.spent_usd
    data["byok_usage"] = book.spent_since(0)[1]
    for period in RESETS:
        own, byok = book.spent_since(first_day(period, now_ms))
        data[f"usage_{period}"] = own
        data[f"byok_usage_{period}"] = byok
    return data
