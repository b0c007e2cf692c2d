"""Agents in the field, unmodified, with one setting: the base URL and a prepaid key."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from deploy.cobots.real_cobot import COBOT
from tests.end_to_end.agents.foreign_agents import (
    AIDER,
    Setting,
    ask_aider,
    ask_cobot,
    needed,
)
from tests.end_to_end.agents.test_openai_sdk_key import prepaid_key
from tests.end_to_end.live import Live, ask_body

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]
# What aider says of the last chunk's usage.
TOKENS = re.compile(r"Tokens: [1-9]\d* sent, [1-9]\d* received")


async def spent_msat(live: Live, key: str) -> int:
    """What the key has spent; nothing of it is reserved any more."""
    shown = await live.http.get(f"{live.face}/v1/key", headers={"Authorization": f"Bearer {key}"})
    told = shown.json()["data"]["cobot"]["key"]
    assert told["reserved_msat"] == 0
    return int(told["spent_msat"])


async def test_aider_runs_on_a_prepaid_key(live: Live, tmp_path: Path) -> None:
    """A coding agent asks for a stream, shows the answer and reads what was used of it."""
    needed(AIDER)
    key = await prepaid_key(live, 2_000)
    setting = Setting(base_url=f"{live.face}/v1", key=key)
    told = await ask_aider(tmp_path / "home", setting, "Something about bridges.")
    assert TOKENS.search(told), told
    assert await spent_msat(live, key) > 0
    assert (await live.upstream_book())["posts"] == 1


async def test_the_real_cobot_runs_on_a_prepaid_key(live: Live, tmp_path: Path) -> None:
    """`provider: ppq` and one line of `cobot.yml` make it a customer, tools and all."""
    needed(COBOT)
    key = await prepaid_key(live, 2_000)
    setting = Setting(base_url=f"{live.face}/v1", key=key)
    told = await ask_cobot(tmp_path / "home", setting, "About bridges.", "And about tunnels.")
    assert "bridges" in told
    assert "tunnels" in told
    assert await spent_msat(live, key) > 0
    assert (await live.upstream_book())["posts"] == 2


async def test_a_cobot_whose_credit_is_spent_goes_on_living(live: Live, tmp_path: Path) -> None:
    """Each line costs one refusal and no money, and it is there to hear the next one."""
    needed(COBOT)
    key = await prepaid_key(live, 10)
    await spend_it_all(live, key)
    before, posts = await spent_msat(live, key), (await live.upstream_book())["posts"]
    setting = Setting(base_url=f"{live.face}/v1", key=key)
    told = await ask_cobot(tmp_path / "home", setting, "About bridges.", "Still there?")
    assert told.count("error occurred") == 2
    assert await spent_msat(live, key) == before <= 10_000
    assert (await live.upstream_book())["posts"] == posts


async def spend_it_all(live: Live, key: str) -> None:
    """Ask as a cobot does, until there is too little credit for it."""
    for number in range(200):
        body = {**ask_body(f"About harbour {number}"), "max_tokens": 2_048}
        answer = await live.ask(body, Authorization=f"Bearer {key}")
        if answer.status_code == httpx.codes.PAYMENT_REQUIRED:
            return
        assert answer.status_code == httpx.codes.OK, answer.text
    raise AssertionError("ten satoshi paid for two hundred answers")
