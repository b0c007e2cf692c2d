"""A test that no signal can interrupt ends its process, and the run says at its end where it stood.

pytest-timeout interrupts Python code. When the interpreter itself stands still (C code that waits
and keeps the GIL), only faulthandler's thread, which needs no GIL, can still say and end it.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Generator
from pathlib import Path
from typing import TextIO

import pytest

STACKS = pytest.StashKey[TextIO]()
GRACE = "stuck_grace_s"


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long a test may stand still beyond the timeout that should have interrupted it."""
    parser.addini(GRACE, "seconds beyond `timeout` before a process is ended", default="60")


def pytest_configure(config: pytest.Config) -> None:
    """Open what the stacks go to: a file for each worker, and else the terminal."""
    folder = _folder(config)
    worker = getattr(config, "workerinput", {}).get("workerid")
    if worker is None:
        for left in folder.glob("*.txt"):
            left.unlink()
        config.stash[STACKS] = os.fdopen(os.dup(2), "w")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        config.stash[STACKS] = (folder / f"{worker}.txt").open("w", encoding="utf-8")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of it."""
    config.stash[STACKS].close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch one test from its set-up to the end of its teardown."""
    marker = item.get_closest_marker("timeout")
    timeout_s = float(marker.args[0] if marker else item.config.getini("timeout"))
    grace_s = float(item.config.getini(GRACE))
    stacks = item.config.stash[STACKS]
    faulthandler.dump_traceback_later(timeout_s + grace_s, exit=True, file=stacks)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print where a worker stood still, after all else that is said."""
    for stacks in sorted(_folder(terminalreporter.config).glob("*.txt")):
        said = stacks.read_text(encoding="utf-8")
        if said:
            terminalreporter.section(f"where {stacks.stem} stood still")
            terminalreporter.write(said)


def _folder(config: pytest.Config) -> Path:
    return config.rootpath / ".pytest_cache" / "stuck"
