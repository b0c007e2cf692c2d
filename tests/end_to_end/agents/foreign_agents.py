"""Agents that other people wrote, run unmodified: each gets a base URL, a key and one question.

Their homes are empty folders of the test, and nothing of theirs reaches for the network beyond the
base URL. Must not know: what they are answered, or who pays.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.cobots.real_cobot import COBOT, QUIET, own_plugins
from tests.end_to_end.live import MODEL

FOREIGN = Path(__file__).resolve().parents[3] / ".foreign"
AIDER = FOREIGN / "aider" / "bin" / "aider"
WITHIN_S = 150
# What is already known of models is looked up at GitHub only when this file is a day old.
_PRICES_SEEN = ".aider/caches/model_prices_and_context_window.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The one setting of an agent: where it asks, and as whom."""

    base_url: str
    key: str


def needed(program: Path) -> None:
    """Skip the test where this program is not installed."""
    if not program.exists():
        pytest.skip(f"{program.name} is not installed: `make test` installs it")


async def ask_aider(home: Path, setting: Setting, question: str) -> str:
    """What `aider` prints for one question, which it asks as a stream."""
    _write(home / _PRICES_SEEN, '{"none": {}}')
    told = ("--openai-api-base", setting.base_url, "--openai-api-key", setting.key)
    quiet = ("--no-check-update", "--analytics-disable", "--no-show-release-notes")
    alone = ("--no-git", "--yes-always", "--no-show-model-warnings", *quiet)
    command = (str(AIDER), *told, "--model", f"openai/{MODEL}", *alone, "--message", question)
    return await _ran(command, home, said="")


async def ask_cobot(home: Path, setting: Setting, *questions: str) -> str:
    """What a `cobot` says to these lines on its standard input."""
    ppq = f'api_base: "{setting.base_url}", api_key: "{setting.key}", model: "{MODEL}"'
    config = (
        f"provider: ppq\nppq: {{{ppq}}}\nplugins: {{disabled: [{', '.join(QUIET)}, filedrop]}}\n"
    )
    _write(home / "cobot.yml", config)
    command = (str(COBOT), "run", "--stdin", "--plugins", str(own_plugins()))
    return await _ran(command, home, said="".join(f"{one}\n" for one in questions))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


async def _ran(command: Sequence[str], home: Path, *, said: str) -> str:
    """What it printed; it has to end well."""
    ended = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=home,
        env={**os.environ, "HOME": str(home), "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        input=said,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2_000:] + ended.stderr[-2_000:]
    return ended.stdout
