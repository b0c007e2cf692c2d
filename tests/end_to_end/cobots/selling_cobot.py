"""A cobot that sells at a running service: its key, its operator's word, and what it sold.

Must not know: who buys.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from cobot_pay.peers.blocks import Bill, read_block
from deploy.cobots.real_cobot import Person, RealCobot
from tests.end_to_end.agents.test_openai_sdk_key import prepaid_key
from tests.end_to_end.live import Live

CAP_SAT = 10_000
SELLER = "cobot_meter.cobot"
_CALLER = re.compile(r"callers cap (\S+)")


async def trusted_key(live: Live) -> str:
    """A key whose caller the operator has trusted with tasks, by the command that a 403 names."""
    key = await prepaid_key(live, 2_000)
    url, bearer = f"{live.face}/v1/tasks", {"Authorization": f"Bearer {key}"}
    refused = await live.http.post(url, json={"ceiling_sat": 1}, headers=bearer)
    assert refused.status_code == httpx.codes.FORBIDDEN, refused.text
    found = _CALLER.search(refused.json()["error"]["message"])
    assert found is not None, refused.text
    await operator(live, "callers", "cap", found[1], str(CAP_SAT))
    return key


async def operator(live: Live, *words: str) -> str:
    """What an operator's command prints."""
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "cobot_meter", *words],
        env={**os.environ, **live.service.environment, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def selling_cobot(live: Live, folder: Path, key: str, **settings: Any) -> RealCobot:  # noqa: ANN401 - settings of YAML
    """Bob, who works for strangers."""
    section = {"url": f"{live.face}/v1", "api_key": key, "poll_ms": 200, **settings}
    return RealCobot(
        name="bob",
        folder=folder,
        drop=folder / "drop",
        provider={"api_base": f"{live.face}/v1", "api_key": key},
        external=(SELLER,),
        sections={"meter-seller": section},
    )


def bills_of(person: Person) -> list[Bill]:
    """The bills that somebody got."""
    blocks = [read_block(text) for text in person.letters]
    return [one for one in blocks if isinstance(one, Bill)]


def open_commissions(cobot: RealCobot) -> list[Path]:
    """What the seller has not come to an end with."""
    return [*(cobot.home / ".cobot/meter-seller/open").glob("*.json")]
