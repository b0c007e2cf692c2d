"""`llm`, unmodified, with two settings: the base URL of the service, and a prepaid key."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_pay.cli.main import main
from tests.client.cli.test_llm_through_the_proxy import LLM
from tests.end_to_end.live import MODEL, Live

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]


@pytest.fixture
async def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Live]:
    """A service and a simulator as processes, and the service's play money in the wallet."""
    if not LLM.exists():
        pytest.skip("llm is not installed: `make test` installs it")
    live = Live(tmp_path)
    await live.start()
    monkeypatch.setenv("COBOT_PAY_WALLET", f"dev:{live.node}")
    yield live
    await live.aclose()


def describe_model(folder: Path, base: str) -> None:
    """Base URL and the name of the key."""
    model = f"- model_id: bought\n  model_name: {MODEL}\n  api_base: {base}\n  api_key_name: k\n"
    (folder / "extra-openai-models.yaml").write_text(model)


@pytest.mark.parametrize("how", [[], ["--no-stream"]], ids=["streamed", "whole"])
async def test_llm_runs_on_a_prepaid_key(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: list[str]
) -> None:
    """One top-up, one key, and no wallet anywhere near the program."""
    bought = ["--home", str(tmp_path / "home"), "topup", live.face, "100", "--key"]
    assert await asyncio.to_thread(main, bought) == 0
    key = capsys.readouterr().out.strip()
    describe_model(tmp_path, f"{live.face}/v1")
    ended = await asyncio.to_thread(
        subprocess.run,
        [str(LLM), "-m", "bought", "--key", key, *how, "Something about bridges."],
        env={**os.environ, "LLM_USER_PATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    assert "bridges" in ended.stdout
