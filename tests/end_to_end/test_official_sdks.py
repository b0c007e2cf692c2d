"""OpenRouter's own SDK and OpenAI's, unmodified, list, buy, stream and read what it cost."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.live import MODEL, Live

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).parent / "foreign" / "use_openrouter_sdk.py"


async def test_the_official_sdks_use_every_core_operation(live: Live) -> None:
    """Models, endpoints, a completion, a stream after payment, generation, key and credits."""
    interpreter = ROOT / ".foreign" / "openrouter" / "bin" / "python"
    if not interpreter.exists():
        pytest.skip("OpenRouter's SDK is not installed: `make test` installs it")
    command = [str(interpreter), str(PROGRAM), f"{live.face}/v1", live.node, MODEL]
    ended = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    told = json.loads(ended.stdout)
    for name, sdk in told.items():
        assert MODEL in sdk["models"], name
        assert sdk["answer"]
        assert sdk["streamed"]
        assert sdk["payments"] in {1, 2}  # the rounding of the first invoice may pay the second
    ours = told["openrouter"]
    assert ours["endpoints"][0] == ours["one"][1]  # the top provider's price is the listed one
    assert len(ours["endpoints"]) == 4
    assert ours["one"][0] == MODEL
    assert ours["generation"] == [ours["bought"], ours["cost"]]
    assert ours["usage"][0] == ours["usage"][1] == ours["usage"][2] >= ours["cost"] > 0
    assert (await live.upstream_book())["posts"] == 4
