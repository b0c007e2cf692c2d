"""What the account says of its keys and its credit.

Must not know: HTTP. Amounts stay Decimals and are written as JSON numbers.
"""

from __future__ import annotations

from openrouter_simulator.account import Account
from openrouter_simulator.book.limits import RESETS, first_day

_LABEL = "sk-or-v1-sim...ulator"


_CREATED_AT = "2026-09-01T00:00:00.000Z"
# What OpenRouter says of every key beside its money; their SDK demands all of it.
_OWNED: dict[str, object] = {
    "creator_user_id": None,
    "organization_id": None,
    "workspace_id": "00000000-0000-4000-8000-000000000001",
    "allowed_data_regions": ["global"],
    "free_model_daily_requests": {"limit": 0, "remaining": 0, "used": 0},
}


def key_document(account: Account, *, management: bool) -> dict[str, object]:
    """The body of `GET /key`: what this key has spent, and what it may."""
    own = {"is_management_key": management, "is_provisioning_key": management, "expires_at": None}
    return {"data": _key(account) | own | _OWNED}


def keys_document(account: Account) -> dict[str, object]:
    """The body of `GET /keys`, for management keys: the one key there is."""
    own: dict[str, object] = {
        "hash": "f01d52606dc8f0a8303a7b5cc3fa07109c2e346cec7c0a16b40de462992ce943",
        "name": "simulator",
        "disabled": False,
        "created_at": _CREATED_AT,
        "updated_at": None,
        "external_user": None,
    }
    return {"data": [_key(account) | own | _OWNED]}


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
        "rate_limit": {"requests": -1, "interval": "10s", "note": "Deprecated: no limit is told."},
    }
    data["usage"] = book.spent_usd
    data["byok_usage"] = book.spent_since(0)[1]
    for period in RESETS:
        own, byok = book.spent_since(first_day(period, now_ms))
        data[f"usage_{period}"] = own
        data[f"byok_usage_{period}"] = byok
    return data
