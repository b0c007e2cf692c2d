"""A burst of large asks against the real process: it stays within its bounds, and shrinks again."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.live import Live

MODEL = "meta-llama/llama-3.3-70b-instruct:free"
MIB_KB = 1_024


def memory_mib(pid: int) -> int:
    """What the process has in memory now."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) // MIB_KB


def asking(content: str) -> dict[str, object]:
    """An ask that costs nothing."""
    return {"model": MODEL, "max_tokens": 20, "messages": [{"role": "user", "content": content}]}


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_memory_comes_back_after_200_asks_of_900_kb(tmp_path: Path) -> None:
    """All at once: each is answered, and afterwards the process is as big as before (K4.6)."""
    live = Live(tmp_path)
    await live.start()
    try:
        await live.ask(asking("a"))
        assert live.service.process is not None
        pid = live.service.process.pid
        before_mib = memory_mib(pid)

        async def one(number: int) -> int:
            body = asking(f"{number} {'x' * 900_000}")
            url = f"{live.face}/v1/chat/completions"
            return (await client.post(url, json=body)).status_code

        async with httpx.AsyncClient(
            timeout=120, trust_env=False, limits=httpx.Limits(max_connections=250)
        ) as client:
            statuses = Counter(await asyncio.gather(*(one(number) for number in range(200))))
        assert statuses.total() == 200
        # What the upstream says is too long for it is the caller's to correct.
        assert statuses.keys() <= {400, 429, 503}
        assert memory_mib(pid) - before_mib < 64
    finally:
        await live.aclose()
