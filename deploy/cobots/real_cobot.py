"""A real cobot 0.2.0 as a process in a HOME of its own, with our plugins and FileDrop.

Whoever else writes over FileDrop is a folder and some files. Must not know: what is sold or paid.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COBOT = ROOT / ".foreign" / "cobot" / "bin" / "cobot"
WITHIN_S = 60.0
POLL_S = 0.05
LOG_TAIL = 4_000
MODEL = "openai/gpt-5-mini"
# What of a cobot reaches for the network by itself.
QUIET = ("telegram", "nostr", "knowledge", "web", "cron", "heartbeat")


class CobotFailed(Exception):
    """A cobot that ended by itself, or did not do in time what it should; the end of its log."""


def own_plugins() -> Path:
    """The plugins that it comes with, which it looks for elsewhere unless told."""
    return next((COBOT.parents[1] / "lib").glob("python3.*")) / "site-packages/cobot/plugins"


@dataclass
class RealCobot:
    """`name` is who it is on FileDrop; `sections` are those of cobot.yml beside the usual ones.

    It runs `without` these plugins of its own, and with these `words` of its command.
    """

    name: str
    folder: Path
    drop: Path
    provider: Mapping[str, str]
    external: tuple[str, ...]
    sections: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        """Where everything of it lies."""
        return self.folder / self.name

    @property
    def log(self) -> str:
        """What it printed."""
        path = self.home / "cobot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start it; what it prints is appended to its log."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "cobot.yml").write_text(json.dumps(self._config()))  # JSON is YAML
        paths = os.pathsep.join(str((ROOT / one).resolve()) for one in ("service", "client", "."))
        environment = {**os.environ, "HOME": str(self.home), "PYTHONPATH": paths, "NO_COLOR": "1"}
        with (self.home / "cobot.log").open("ab") as output:
            self.process = subprocess.Popen(
                [str(COBOT), "run", *self.words, "--plugins", str(own_plugins())],
                cwd=self.home,
                env=environment,
                stdin=subprocess.PIPE,  # open as long as it runs: it ends with its input
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """Kill -9; the file that says it runs stays, as after a crash."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate(timeout=WITHIN_S)
            self.process = None

    async def until(self, what: Callable[[], bool], said: str = "it") -> None:
        """Wait until this holds; the cobot must not end meanwhile."""
        until_s = time.monotonic() + WITHIN_S
        while not what():
            if self.process is None or self.process.poll() is not None:
                raise CobotFailed(self.log[-LOG_TAIL:])
            if time.monotonic() > until_s:
                message = f"{said} did not happen: {self.log[-LOG_TAIL:]}"
                raise CobotFailed(message)
            await asyncio.sleep(POLL_S)

    def _config(self) -> dict[str, Any]:
        return {
            "provider": "ppq",
            "ppq": {"model": MODEL, **self.provider},
            "identity": {"name": self.name},
            "polling": {"interval_seconds": 0.2},
            "filedrop": {"base_dir": str(self.drop), "identity": self.name},
            "plugins": {"disabled": [*QUIET, *self.without], "external": [*self.external]},
            **self.sections,
        }


@dataclass
class Person:
    """Somebody with a folder on FileDrop and no program: what was written to it, in order."""

    name: str
    drop: Path
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def write(self, to: str, text: str, *, claims: str = "") -> None:
        """Put a message into an inbox, under whatever name it claims."""
        inbox = self.drop / to / "inbox"
        inbox.mkdir(parents=True, exist_ok=True)
        number = next(self.numbers)
        message = {"id": f"{self.name}-{number}", "from": claims or self.name, "content": text}
        beside = inbox / f"{self.name}-{number}.part"
        beside.write_text(json.dumps({**message, "to": to, "timestamp": int(time.time())}))
        beside.replace(beside.with_suffix(".json"))

    @property
    def letters(self) -> list[str]:
        """What was written to it, oldest first."""
        files = (self.drop / self.name / "inbox").glob("*.json")
        told = [(path.stat().st_mtime_ns, self.content(path)) for path in files]
        return [text for _, text in sorted(told) if text]

    @staticmethod
    def content(path: Path) -> str:
        """What a message says; empty while it is being written."""
        try:
            return str(json.loads(path.read_text())["content"])
        except ValueError:
            return ""
