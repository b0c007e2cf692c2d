"""A cobot's daily limit as a budget of its API key, kept by the service for whoever has the key.

The limit of `cobot.yml` holds where this cobot runs; as a budget it holds for the key wherever that
is, in the owner's time zone. A key sets no budget: the proof of the payment that it was bought with
does, which lies in the file of payments. Must not know: cobot.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx

from cobot_pay.cli.settings import BadSettings
from cobot_pay.cobot.settings import MeterSettings
from cobot_pay.offers import read_document
from cobot_pay.purchase import HEADER

_GOOD = 200
_TIMEOUT_S = 20.0
_WORDS_MAX = 400
_MICRO = 10**6
_BUDGETS = "/v1/budgets"
_AMOUNTS = {"limit_msat": "amount_msat", "limit_usd": "amount_usd"}


class ServiceAway(Exception):
    """The service does not answer; the text is a sentence."""


def put_key_budget(settings: MeterSettings, *, proof: str) -> bool:
    """Have the service keep the daily limit for the key; whether that was new to it.

    Other budgets of the owner stay as they are; those of this key for a day are what `cobot.yml`
    says. Raises BadSettings with what is in the way, and ServiceAway.
    """
    if not proof:
        raise BadSettings(
            f"cobot-meter: budget_on_key needs the proof of the payment that bought the key, and "
            f"{settings.book} has none of {settings.seller.url}: buy the key with `cobot-pay topup "
            f"{settings.seller.url} SAT --key`, or set its budget with PUT {_BUDGETS}"
        )
    with httpx.Client(base_url=settings.seller.url, timeout=_TIMEOUT_S) as http:
        key_id = _key_id(_asked(http, "GET", "/v1/key", f"Bearer {settings.api_key}"))
        stands = _asked(http, "GET", _BUDGETS, proof)
        listed = stands.get("data")
        before = [_said(one) for one in listed] if isinstance(listed, list) else []
        ours = _ours(settings, key_id)
        others = [one for one in before if not _is_of(one, key_id)]
        if all(one in before for one in ours) and len(before) == len(others) + len(ours):
            return False
        word = {"budgets": [*others, *ours], "plan": stands.get("plan")}
        _asked(http, "PUT", _BUDGETS, proof, word)
        return True


def _ours(settings: MeterSettings, key_id: str) -> list[dict[str, object]]:
    """The daily limits, in sat and in USD, as budgets."""
    limits = settings.limits.all_hosts
    day = {"scope": "key", "key": key_id, "period": "day", "zone": settings.key_budget_zone}
    budgets: list[dict[str, object]] = []
    if limits.msat.day is not None:
        budgets.append({**day, "amount_msat": limits.msat.day})
    if limits.micro_usd.day is not None:
        budgets.append({**day, "amount_usd": _usd(str(Decimal(limits.micro_usd.day) / _MICRO))})
    return budgets


def _is_of(budget: Mapping[str, object], key_id: str) -> bool:
    return (budget["scope"], budget.get("key"), budget["period"]) == ("key", key_id, "day")


def _said(stands: Mapping[str, Any]) -> dict[str, object]:
    """A budget as it is listed, in the words in which it is set."""
    scope = str(stands.get("scope"))
    said: dict[str, object] = {
        "scope": scope,
        "period": stands.get("period"),
        "zone": stands.get("zone"),
    }
    if scope != "caller":
        said[scope] = stands.get("subject")
    for limit, amount in _AMOUNTS.items():
        if limit in stands:
            said[amount] = _usd(str(stands[limit])) if limit == "limit_usd" else stands[limit]
    return said


def _usd(text: str) -> str:
    """One spelling of an amount, so that two can be compared."""
    return format(Decimal(text).normalize(), "f")


def _key_id(document: Mapping[str, Any]) -> str:
    data = document.get("data")
    ours = data.get("cobot") if isinstance(data, dict) else None
    key = ours.get("key") if isinstance(ours, dict) else None
    found = key.get("id") if isinstance(key, dict) else None
    if not isinstance(found, str):
        raise BadSettings("cobot-meter: this service does not say which key ours is")
    return found


def _asked(
    http: httpx.Client,
    method: str,
    path: str,
    authorization: str,
    word: Mapping[str, object] | None = None,
) -> Mapping[str, Any]:
    try:
        response = http.request(method, path, json=word, headers={HEADER: authorization})
    except httpx.TransportError as fault:
        message = f"{http.base_url} does not answer ({type(fault).__name__})"
        raise ServiceAway(message) from fault
    said = read_document(response.content)
    if response.status_code == _GOOD:
        return said
    error = said.get("error")
    words = error.get("message") if isinstance(error, dict) else None
    why = str(words)[:_WORDS_MAX] if words else f"it answered {response.status_code}"
    if response.is_server_error:
        message = f"{http.base_url} says: {why}"
        raise ServiceAway(message)
    message = f"cobot-meter: budget_on_key was refused; {http.base_url} says: {why}"
    raise BadSettings(message)
