"""Each benchmark runs from end to end. Nothing here looks at a figure: tests are never timed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from deploy.cobots.real_cobot import COBOT
from tests.end_to_end.agents.foreign_agents import needed

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m benchmarks` with these arguments."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="CPU and memory are read from /proc")
@pytest.mark.parametrize(
    "name", sorted(BENCHMARKS.keys() - {"real_node", "postgres", "cobot_calls"})
)
def test_benchmark_runs(name: str) -> None:
    """At its smallest size it ends well, and prints its table and its bars."""
    prove_it_runs(name)


@pytest.mark.slow
@pytest.mark.usefixtures("node_binaries")
def test_benchmark_on_real_nodes_runs() -> None:
    """The same, where the nodes are built."""
    prove_it_runs("real_node")


@pytest.mark.slow
@pytest.mark.foreign_clients
def test_benchmark_with_a_cobot_runs() -> None:
    """The same, where the real cobot is installed."""
    needed(COBOT)
    prove_it_runs("cobot_calls")


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_benchmark_on_postgresql_runs() -> None:
    """The same, where a server is installed."""
    prove_it_runs("postgres")


def prove_it_runs(name: str) -> None:
    """One run, from end to end."""
    result = run("--smoke", name)
    assert result.returncode == 0, result.stderr
    assert f"## {name}" in result.stdout
    assert "measured" in result.stdout
    assert "wanted" in result.stdout


def test_unknown_name_is_refused() -> None:
    """A name that is none ends in one sentence with those that are."""
    result = run("speed")
    assert result.returncode == 2
    assert f"there is no speed; there are {', '.join(BENCHMARKS)}" in result.stderr
