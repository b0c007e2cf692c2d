"""A cobot that gives paid tasks to another one, on a budget. Must not know: who sells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.cobots.real_cobot import RealCobot

BUYER = "cobot_pay.peers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """Which wallet pays, and the most that a day and a task may cost."""

    wallet: str
    day_sat: int = 1_000
    task_sat: int = 100


def buying_cobot(folder: Path, *, service: str, key: str, purse: Purse) -> RealCobot:
    """Alice, who thinks at this service on this key, and may ask bob."""
    alice = RealCobot(
        name="alice",
        folder=folder,
        drop=folder / "drop",
        provider={"api_base": f"{service}/v1", "api_key": key},
        external=(BUYER,),
        without=("tools",),  # a simulated model takes the first tool whose name it hears
        sections={
            "meter-peers": {
                "peers": ["filedrop:bob"],
                "task_sat": purse.task_sat,
                "services": [service],
            }
        },
    )
    home = alice.home / ".cobot-pay"
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(
        f'wallet = "{purse.wallet}"\n[budget]\nrequest_sat = {purse.day_sat}\n'
        f"day_sat = {purse.day_sat}\n"
    )
    return alice
