"""A newcomer's three commands, read out of the documents and typed as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.architecture.source_tree import source
from tests.end_to_end.agents.foreign_agents import AIDER, needed
from tests.end_to_end.live import Live

pytestmark = pytest.mark.slow

TOP_UP = "cobot-meter topup "
SETTINGS = re.compile(r"export OPENAI_BASE_URL=(\S+) OPENAI_API_KEY=(\S+)")
# What the newcomer reads where the service says its own: the address of `make serve`, no key yet.
SHOWN = ("http://127.0.0.1:8402/v1", "sk-cobot-…")
# aider asks whether to look at its web pages, and at a new version, unless it is told not to.
QUIET = {"AIDER_ANALYTICS": "false", "AIDER_CHECK_UPDATE": "false", "AIDER_YES_ALWAYS": "true"}


def commands_of(document: str) -> list[str]:
    """The three commands of the block that begins with a top-up."""
    blocks = re.findall(r"^```sh\n(.*?)^```", source(document), re.DOTALL | re.MULTILINE)
    (block,) = [one for one in blocks if TOP_UP in one.splitlines()[0]]
    lines = [line.partition("   #")[0].rstrip() for line in block.splitlines()]
    assert len(lines) == 3, lines
    return lines


def shell(live: Live, home: Path) -> dict[str, str]:
    """The newcomer's shell: our commands on its path, and the settings of the service beside it."""
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), str(AIDER.parent), os.environ["PATH"]]
    )
    ours = {"HOME": str(home), "PATH": path, **QUIET}
    return {**os.environ, **live.service.environment, **ours}


async def typed(line: str, environ: dict[str, str], folder: Path) -> str:
    """What a shell prints for this line; it has to end well."""
    line = line.replace(".venv/bin/", "")
    ended = await asyncio.to_thread(
        subprocess.run,
        ["/bin/sh", "-c", line],
        env=environ,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2_000:] + ended.stderr[-2_000:]
    return ended.stdout


@pytest.mark.parametrize(
    "document",
    [pytest.param("README.md", marks=pytest.mark.foreign_clients), "docs/keys.md"],
)
async def test_three_commands_make_an_agent_work(live: Live, tmp_path: Path, document: str) -> None:
    """Top up and get a key, set the two variables that are printed, run the agent."""
    top_up, settings, agent = commands_of(document)
    if shlex.split(agent)[0] == AIDER.name:
        needed(AIDER)
    assert SETTINGS.findall(settings) == [SHOWN]
    environ = shell(live, tmp_path / "home")
    printed = await typed(top_up, environ, tmp_path)
    said = SETTINGS.search(printed)
    assert said is not None, printed
    base_url, key = said.groups()
    assert base_url == f"{live.face}/v1"
    answer = await typed(f"{said[0]}; {agent}", environ, tmp_path)
    assert answer.strip()
    bearer = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=base_url, headers=bearer, trust_env=False) as http:
        told = (await http.get("/key")).json()["data"]["cobot"]["key"]
    assert told["name"] == "laptop"
    assert told["spent_msat"] > 0
    assert (await live.upstream_book())["runs"] == 1


def test_both_documents_top_up_with_the_same_words() -> None:
    """The README's commands and those of the guide differ in the agent alone."""
    readme, guide = commands_of("README.md"), commands_of("docs/keys.md")
    assert readme[0].replace(".venv/bin/", "") == guide[0]
    assert readme[1] == guide[1]
