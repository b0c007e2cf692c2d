"""The commands that the documents name are there, and the build machine runs the same ones."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.architecture.source_tree import ROOT, source

TARGETS = [
    "bench",
    "bench-credit",
    "check",
    "clean",
    "demo",
    "demo-cobots",
    "demo-lnd",
    "demo-scenarios",
    "fast",
    "help",
    "kill-storm",
    "lock",
    "nodes",
    "postgres",
    "nginx",
    "regtest",
    "serve",
    "test",
]


def make(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run make in the root of the repository, with PATH replaced when one is given."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env=outer if path is None else {**outer, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_target() -> None:
    """`make` alone lists each target with a sentence on what it is for."""
    listed = re.findall(r"^  make ([\w-]+) +\S", make().stdout, re.MULTILINE)
    assert sorted(listed) == sorted(TARGETS)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "deploy/README.md"])
def test_no_document_names_a_target_that_is_not_there(document: str) -> None:
    """Every `make ...` that a document tells to type exists."""
    told = re.findall(r"(?:^|`)make ([\w-]+)", source(document), re.MULTILINE)
    assert set(told) <= set(TARGETS)


def test_the_build_machine_types_what_a_newcomer_types() -> None:
    """`.ci/run` is executable, stops at the first error and runs `make test`."""
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert lines[-1] == "make test"


def test_a_machine_without_a_fitting_python_is_told_so() -> None:
    """The search for Python ends in one clear sentence when none fits."""
    rule = make("--dry-run", "--always-make", "fast").stdout
    search = re.search(r"for python in .*?exit 1; fi", rule, re.DOTALL)
    assert search
    script = search.group().replace("\\\n", "")
    shell = ["/bin/sh", "-c", script]
    result = subprocess.run(
        shell, env={"PATH": "/nowhere"}, capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("cobot-meter needs Python 3.11, 3.12 or 3.13")
    assert result.stderr.count("\n") == 1
