"""The demonstration of two cobots, as `make demo-cobots` runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deploy.cobots.real_cobot import COBOT, ROOT
from tests.end_to_end.agents.foreign_agents import needed

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]


def test_the_demonstration_ends_well_and_shows_what_it_says() -> None:
    """A bill, an answer for pay, a budget that is spent, and books that balance."""
    needed(COBOT)
    played = subprocess.run(
        [sys.executable, "-m", "deploy.cobots.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert played.returncode == 0, played.stdout[-2_000:] + played.stderr[-2_000:]
    for words in (
        "weigh_parcel",
        "Pay this invoice of 11 sat",
        "bob answered (paid 11 sat)",
        "I did not ask bob",
        "the day limit",
        "caller/*/settled",
    ):
        assert words in played.stdout
