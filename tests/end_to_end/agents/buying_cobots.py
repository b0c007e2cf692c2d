"""Real cobots with our plugin: each has a home and a `cobot.yml`, and hears lines on its input.

Their environment is cobot's own; of ours it has the client's folder on its path. Must not know:
what they are answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cobot_pay import StoredBudget
from deploy.cobots.real_cobot import COBOT, QUIET, own_plugins
from tests.architecture.source_tree import ROOT
from tests.end_to_end.agents.foreign_agents import WITHIN_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a cobot printed for its user, what it logged, and how it ended."""

    code: int
    text: str
    log: str


@dataclass(frozen=True, slots=True)
class BuyingCobot:
    """One cobot in a home of its own."""

    home: Path
    meter: dict[str, object]
    external: tuple[str, ...] = ("cobot_pay.cobot",)
    more: str = ""
    without: tuple[str, ...] = ()

    @property
    def budget(self) -> StoredBudget:
        """What it has paid, as its file has it."""
        return StoredBudget(self.home / ".cobot-pay" / "payments.sqlite")

    def start(self) -> subprocess.Popen[str]:
        """Start it; it listens on its standard input."""
        self.home.mkdir(exist_ok=True)
        external = json.dumps(list(self.external))
        disabled = json.dumps([*QUIET, "filedrop", *self.without])
        (self.home / "cobot.yml").write_text(
            f"provider: cobot-meter\ncobot-meter: {json.dumps(self.meter)}\n"
            f"plugins: {{external: {external}, disabled: {disabled}}}\n{self.more}"
        )
        path = os.pathsep.join([str(ROOT / "client"), str(self.home)])
        return subprocess.Popen(
            [str(COBOT), "run", "--stdin", "--plugins", str(own_plugins())],
            cwd=self.home,
            env={**os.environ, "HOME": str(self.home), "PYTHONPATH": path, "NO_COLOR": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def hears(self, *lines: str) -> Said:
        """What it says to these lines."""
        process = self.start()
        heard = "".join(f"{one}\n" for one in lines)
        text, log = await asyncio.to_thread(process.communicate, heard, timeout=WITHIN_S)
        return Said(code=process.returncode, text=text, log=log)
