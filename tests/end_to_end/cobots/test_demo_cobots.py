"""The demonstration of two cobots, as `make demo-cobots` runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cobots.real_cobot import COBOT, ROOT
from deploy.regtest.binaries import Binaries
from tests.end_to_end.agents.foreign_agents import needed

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]


SHOWN = (
    "weigh_parcel",
    "I did not ask bob",
    "the day limit",
    "her own thoughts",
    "Tasks sold by",
    "caller/*/settled",
    "the books are right",
)


def played(*words: str, folder: Path) -> str:
    """What the demonstration prints; it has to end well, and to leave nothing behind."""
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.cobots.demo", *words],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4_000:] + ended.stderr[-2_000:]
    assert list(folder.iterdir()) == []
    return ended.stdout


def test_the_demonstration_ends_well_and_shows_what_it_says(tmp_path: Path) -> None:
    """A bill, an answer for pay, a budget that is spent, and books that balance."""
    needed(COBOT)
    shown = played(folder=tmp_path)
    for words in (*SHOWN, "Pay this invoice of 11 sat", "bob answered (paid 11 sat)"):
        assert words in shown


@pytest.mark.timeout(300)
def test_it_ends_well_on_real_nodes(tmp_path: Path, node_binaries: Binaries) -> None:
    """Alice's cobot pays from her lnd and bob's service is paid at his: books and nodes agree."""
    needed(COBOT)
    shown = played("--lnd", folder=tmp_path)
    for words in (*SHOWN, "ln/node/bob", "alice's node fell by", "bob's node rose by"):
        assert words in shown
