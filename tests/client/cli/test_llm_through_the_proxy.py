"""`llm`, unmodified and with no key, buys from a real service through `cobot-pay proxy`."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_pay.spending.stored_budget import StoredBudget
from tests.client.cli.proxied_service import open_proxied_service
from tests.end_to_end.live import MODEL

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]

LLM = Path(__file__).resolve().parents[3] / ".foreign" / "llm" / "bin" / "llm"


@pytest.fixture
async def base(tmp_path: Path) -> AsyncIterator[str]:
    """A proxy before a service that has a simulator behind it, each a process."""
    if not LLM.exists():
        pytest.skip("llm is not installed: `make test` installs it")
    async with open_proxied_service(tmp_path) as base:
        yield base


def describe_model(folder: Path, base: str) -> None:
    """The one setting: a file of three lines."""
    folder.mkdir(exist_ok=True)
    model = f"- model_id: bought\n  model_name: {MODEL}\n  api_base: {base}\n"
    (folder / "extra-openai-models.yaml").write_text(model)


async def chat(folder: Path, base: str, *words: str) -> str:
    """What `llm` prints."""
    describe_model(folder, base)
    ended = await asyncio.to_thread(
        subprocess.run,
        [str(LLM), "-m", "bought", *words],
        env={**os.environ, "LLM_USER_PATH": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    return ended.stdout


async def test_llm_buys_without_knowing_it(tmp_path: Path, base: str) -> None:
    """Streamed and whole, each answer is paid for, and both are one caller's."""
    assert "bridges" in await chat(tmp_path / "llm", base, "Something about bridges.")
    assert "boats" in await chat(tmp_path / "llm", base, "--no-stream", "Something about boats.")
    budget = StoredBudget(tmp_path / "home" / "payments.sqlite")
    assert budget.spent_today_msat >= 1_000
    assert len({receipt.origin for receipt in budget.receipts()}) == 1
    assert budget.reserved_msat == 0
