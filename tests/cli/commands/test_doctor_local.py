"""`doctor` and `models` with a local Ollama in the settings."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shop import CommandLine, command_line_in
from tests.fakes.servers.ollama_server import fake_ollama
from tests.fakes.servers.serving import refused_address

WRONG_SETTING = 2


def commands_of(folder: Path, url: str) -> CommandLine:
    """Settings with this Ollama and one model."""
    environ = command_line_in(folder / "data").environ
    local = {
        "COBOT_METER_OLLAMA_URL": url,
        "COBOT_METER_OLLAMA_MODELS": "llama3.2:3b 8192 0.02 0.04",
    }
    return CommandLine({**environ, **local})


async def row_of(commands: CommandLine) -> dict[str, Any]:
    """The row of the Ollama."""
    rows = await asyncio.to_thread(commands.read, "doctor")
    (row,) = (row for row in rows if row["name"] == "ollama")
    return dict(row)


@pytest.mark.parametrize(
    ("names", "well", "says"),
    [
        (["llama3.2:3b", "qwen3:8b"], True, "answers and has our models (1)"),
        ([], False, "lacks llama3.2:3b; there, run: ollama pull llama3.2:3b"),
    ],
)
async def test_the_models_are_looked_for(
    tmp_path: Path,
    names: list[str],
    says: str,
    *,
    well: bool,
) -> None:
    """An Ollama without one of our models is named with what mends it."""
    async with fake_ollama() as ollama:
        ollama.names = names
        row = await row_of(commands_of(tmp_path, ollama.url))
    assert row["well"] is well
    assert says in row["detail"]


async def test_one_that_is_away_is_said(tmp_path: Path) -> None:
    """It does not answer: the row says so, and nothing else is wrong because of it."""
    with refused_address() as nowhere:
        row = await row_of(commands_of(tmp_path, nowhere))
    assert row["well"] is False
    assert "does not answer" in row["detail"]


async def test_without_one_there_is_no_row(tmp_path: Path) -> None:
    """What is not set is not looked at."""
    commands = command_line_in(tmp_path / "data")
    rows = await asyncio.to_thread(commands.read, "doctor")
    assert "ollama" not in {row["name"] for row in rows}


async def test_a_damaged_meter_stops_the_start(tmp_path: Path) -> None:
    """`serve` ends with one line that names the file, before it listens."""
    commands = command_line_in(tmp_path)
    meter = tmp_path / "ollama.jsonl"
    await asyncio.to_thread(meter.write_bytes, b"nonsense\n")
    ended = await asyncio.to_thread(commands.spawn, "serve")
    assert ended.returncode == WRONG_SETTING
    assert "ollama.jsonl cannot be read: line 1 is damaged" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
