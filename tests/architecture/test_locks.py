"""The locks fix every package by hash, and nothing comes in beside them."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.architecture.source_tree import ROOT, project_files, source

LOCKS = [name for name in project_files() if name.endswith(".lock")]
PIN = re.compile(r"^([\w.-]+)==([\w.]+)(?: ; ([^\\]+?))? \\$", re.MULTILINE)
# Installed from this repository, beside the service.
OURS = {"cobot-pay", "openrouter-simulator"}
DECISION = "docs/decisions/0011-dependencies.md"


def pins(lock: str) -> set[tuple[str, str]]:
    """Name and version of everything in `lock`."""
    return {(name, version) for name, version, _marker in PIN.findall(source(lock))}


def names(requirements: list[object]) -> set[str]:
    """Package names of a list of requirements, without groups, versions and our own."""
    found = (re.match(r"[\w.-]+", text) for text in requirements if isinstance(text, str))
    return {match.group().lower() for match in found if match} - OURS


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    """The [project] table of pyproject.toml, with its groups."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {
        "runtime": read["project"]["dependencies"],
        "dev": read["dependency-groups"]["dev"],
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_carries_hashes(lock: str) -> None:
    """A lock holds pins, their hashes and comments, and nothing else: no address, no option."""
    allowed = re.compile(r"$|#|    #|    --hash=sha256:[0-9a-f]{64}(?: \\)?$|[\w.-]+==[^@]+ \\$")
    assert pins(lock)
    assert [line for line in source(lock).splitlines() if not allowed.match(line)] == []
    for block in re.split(r"\n(?=\w)", source(lock))[1:]:
        assert "--hash=sha256:" in block, block


def test_the_service_runs_on_what_was_tested() -> None:
    """Every version of the run-time lock is also that of the development lock."""
    assert pins("requirements/runtime.lock") <= pins("requirements/dev.lock")


@pytest.mark.parametrize("part", ["runtime", "dev"])
def test_every_dependency_is_locked(project: dict[str, list[object]], part: str) -> None:
    """What pyproject.toml asks for is in the lock made from it."""
    assert names(project[part]) <= {name for name, _ in pins(f"requirements/{part}.lock")}


def test_every_dependency_has_a_recorded_reason(project: dict[str, list[object]]) -> None:
    """The decision record on dependencies gives each of them a row of its own."""
    rows = set(re.findall(r"^\| `([\w.-]+)` \|", source(DECISION), re.MULTILINE))
    assert names(project["runtime"]) | names(project["dev"]) == rows


def test_the_build_needs_nothing_from_outside() -> None:
    """Setuptools is in the lock, so that the project installs without a build environment."""
    for lock in ("requirements/runtime.lock", "requirements/dev.lock"):
        assert "setuptools" in {name for name, _ in pins(lock)}
