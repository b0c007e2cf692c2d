"""The demonstration on LND: both books agree with both nodes, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.regtest.binaries import Binaries
from tests.architecture.source_tree import ROOT
from tests.regtest.test_processes import alive
from tests.regtest.test_standing import processes_under

TIMEOUT_S = 240
pytestmark = pytest.mark.timeout(TIMEOUT_S + 60)

COMMAND = [sys.executable, "-m", "deploy.regtest.demo"]


def environ_in(folder: Path) -> dict[str, str]:
    """Temporary files in `folder`, and a setting that the demonstration must not mind."""
    return {**os.environ, "TMPDIR": str(folder), "COBOT_METER_LISTEN": "nonsense"}


def test_the_books_agree_with_the_nodes(tmp_path: Path, node_binaries: Binaries) -> None:
    """Two purchases over carol and a lapse: every figure is equal to the msat, exit 0."""
    shown = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env=environ_in(tmp_path),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, ""), shown.stdout
    lines = shown.stdout.rstrip().splitlines()
    assert "✓ the books balance" in lines
    assert lines[-1] == "✓ both books agree with both nodes, to the msat"
    assert sum(line.startswith("release ") for line in lines) == 2
    assert sum(line.startswith("lapse      expired") for line in lines) == 1
    assert max(len(line) for line in lines) <= 100
    assert list(tmp_path.iterdir()) == []


def test_a_demonstration_that_is_stopped_leaves_nothing(
    tmp_path: Path, node_binaries: Binaries
) -> None:
    """SIGTERM in the middle of the trade ends the service, the nodes and the chain."""
    with subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env={**environ_in(tmp_path), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as stopped:
        assert stopped.stdout
        assert stopped.stdout.readline().startswith("cobot-meter")
        started = processes_under(tmp_path)
        stopped.send_signal(signal.SIGTERM)
        _, said = stopped.communicate(timeout=TIMEOUT_S)
    assert (stopped.returncode, said) == (143, "")
    assert len(started) == 4
    assert not [pid for pid in started if alive(pid)]
    assert list(tmp_path.iterdir()) == []
