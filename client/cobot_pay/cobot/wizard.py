"""The questions of cobot's setup wizard, asked as cobot asks its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ASKED = {
    "url": ("Address of the service", "http://127.0.0.1:8402/v1"),
    "model": ("Model", "openai/gpt-5-mini"),
    "wallet": ("Wallet (development, lnd, nwc, cobot)", "development"),
}


def asked_settings(before: object) -> dict[str, Any]:
    """The block of `cobot.yml`, with what stood there before as its defaults."""
    import click  # cobot brings it, and only its wizard asks

    known: Mapping[str, Any] = before if isinstance(before, dict) else {}
    told: dict[str, Any] = dict(known)
    for name, (question, usual) in _ASKED.items():
        told[name] = click.prompt(question, default=known.get(name, usual))
    most = click.prompt("Most to spend in a day, in USD", default=known.get("budget_usd_day", 1.0))
    told["budget_usd_day"] = float(most)
    return told
