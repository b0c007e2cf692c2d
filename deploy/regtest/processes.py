"""Processes that are started here and never outlive us.

They are plain processes without an event loop, so that a network may be started in one loop and
used in another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.regtest.errors import NodeFault

LEASH = Path(__file__).with_name("leash.py")
HOST = "127.0.0.1"
# Below the range that the kernel takes for outgoing connections: else one of those may sit on the
# port of a node that is just being restarted.
PORTS = range(11_000, 31_000)
PORT_TRIES = 200
POLL_S = 0.02
STOP_TIMEOUT_S = 10.0
KILL_TIMEOUT_S = 10.0
LOG_TAIL = 1_500


class Process:
    """One program with its log, running or not."""

    def __init__(self, name: str, command: Sequence[str], *, folder: Path) -> None:
        """`command` begins with a full path; `folder` becomes its HOME and holds its log."""
        self.name = name
        self._command = list(command)
        self._folder = folder
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def log_path(self) -> Path:
        """What it prints."""
        return self._folder / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._running.pid if self._running and self._running.poll() is None else None

    def start(self) -> None:
        """Start it; does nothing while it runs."""
        if self.pid is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._running = on_leash(
            self._command, folder=self._folder, log=self.log_path, variables={}
        )

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when that is not enough. Does nothing when it does not run."""
        if self._running is not None:
            self._running.terminate()
            if not await self._gone(STOP_TIMEOUT_S):
                await self.kill()

    async def kill(self) -> None:
        """SIGKILL, without a warning. Raises NodeFault when even that does not end it."""
        if self._running is not None:
            self._running.kill()
            if not await self._gone(KILL_TIMEOUT_S):
                raise NodeFault(f"{self.name} did not end when it was killed")

    def kill_now(self) -> None:
        """SIGKILL and wait, for where nothing can be awaited any more."""
        if self._running is not None:
            self._running.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._running.wait(KILL_TIMEOUT_S)

    def check(self) -> None:
        """Raises NodeFault with the end of its log when it is not running."""
        if self.pid is None:
            raise NodeFault(f"{self.name} is not running; its log ends: {self.log_tail()}")

    def log_tail(self) -> str:
        """The end of what it printed."""
        with contextlib.suppress(OSError):
            return self.log_path.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
        return ""

    async def _gone(self, within_s: float) -> bool:
        running = self._running
        return running is None or await came_true(
            lambda: running.poll() is not None, within_s=within_s
        )


def on_leash(
    command: Sequence[str], *, folder: Path, log: Path, variables: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start `command` so that it ends with us, in a session of its own: Ctrl-C is ours alone."""
    leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid())]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*leash, *command],
            cwd=folder,
            env={**os.environ, "HOME": str(folder), **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


async def came_true(condition: Callable[[], bool], *, within_s: float) -> bool:
    """Whether `condition` held within the time; it is looked at about fifty times a second."""
    for _ in range(int(within_s // POLL_S) + 1):
        if condition():
            return True
        await asyncio.sleep(POLL_S)
    return condition()


def free_port(taken: set[int]) -> int:
    """A port nobody listens on, added to `taken`. Raises NodeFault when none is found."""
    for _ in range(PORT_TRIES):
        port = random.choice(PORTS)
        if port in taken:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            taken.add(port)
            return port
    raise NodeFault("no port is free for a node")
