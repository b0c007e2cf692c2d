"""The tour of the scenarios, as `make demo-scenarios` runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.scenarios.tour import SCENARIOS
from tests.architecture.source_tree import ROOT


@pytest.mark.slow
def test_the_tour_ends_well_and_leaves_nothing(tmp_path: Path) -> None:
    """Every scenario with a receipt, a refusal with its reset, and books that balance."""
    shown = subprocess.run(
        [sys.executable, "-m", "deploy.scenarios.tour"],
        env={**os.environ, "TMPDIR": str(tmp_path), "COBOT_METER_LISTEN": "nonsense"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, ""), shown.stdout[-2_000:]
    lines = shown.stdout.rstrip().splitlines()
    assert lines[-1] == "✓ the books balance"
    told = shown.stdout.partition("Trial balance")[0]
    for scenario in SCENARIOS:
        _, told = told.split(f"\n{scenario.title}\n", maxsplit=1)
        assert "\nreceipt" in told
    assert "begins anew at" in shown.stdout
    assert max(len(line) for line in lines) <= 100
    assert list(tmp_path.iterdir()) == []
