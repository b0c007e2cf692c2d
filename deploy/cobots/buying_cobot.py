"""A cobot that gives paid tasks to another one, on a budget. Must not know: who sells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.cobots.real_cobot import MODEL, RealCobot

BUYER = "cobot_pay.peers"
THINKER = "cobot-meter"  # the provider that cobot_pay.cobot is


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """Which wallet pays, and the most that a day and a task may cost."""

    wallet: str
    day_sat: int = 1_000
    task_sat: int = 100


def buying_cobot(folder: Path, *, service: str, purse: Purse, key: str = "") -> RealCobot:
    """Alice, who thinks at this service and may ask bob.

    With a `key` her thoughts are spent of the credit on it. Without one our plugin buys each of
    them, out of the same wallet and budget that bob is paid from.
    """
    peers = {"peers": ["filedrop:bob"], "task_sat": purse.task_sat, "services": [service]}
    sections: dict[str, Any] = {"meter-peers": peers}
    if not key:
        sections |= {
            "provider": THINKER,
            THINKER: {
                "url": f"{service}/v1",
                "model": MODEL,
                "wallet": purse.wallet,
                "budget_sat_day": purse.day_sat,
            },
        }
    alice = RealCobot(
        name="alice",
        folder=folder,
        drop=folder / "drop",
        provider={"api_base": f"{service}/v1", "api_key": key} if key else {},
        external=(BUYER,) if key else ("cobot_pay.cobot", BUYER),
        without=("tools",),  # a simulated model takes the first tool whose name it hears
        sections=sections,
    )
    home = alice.home / ".cobot-pay"
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(
        f'wallet = "{purse.wallet}"\n[budget]\nrequest_sat = {purse.day_sat}\n'
        f"day_sat = {purse.day_sat}\n"
    )
    return alice
