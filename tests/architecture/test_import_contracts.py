"""The import contracts of pyproject.toml hold, and would notice if they did not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

# file to plant, the line in it, the contract that must break
OFFENCES = [
    ("domain/planted.py", "import service.flows", "floors"),
    ("domain/planted.py", "import service.client", "floors"),
    ("ports/planted.py", "import service.adapters", "floors"),
    ("flows/planted.py", "import service.adapters.storage", "floors"),
    ("adapters/planted.py", "import service.simulator", "floors"),
    ("adapters/planted.py", "import service.http_api", "floors"),
    ("background/planted.py", "import service.wiring", "floors"),
    ("wiring/planted.py", "import service.cli", "floors"),
    ("client/planted.py", "import service.simulator", "floors"),
    ("simulator/planted.py", "import service.client", "floors"),
    ("new_floor/__init__.py", "", "floors"),
    ("client/planted.py", "import service.domain", "standing-alone"),
    ("client/planted.py", "import service.ports", "standing-alone"),
    ("simulator/planted.py", "import service.adapters.upstreams", "standing-alone"),
    ("adapters/storage/planted.py", "import service.adapters.lightning", "adapters-apart"),
    ("adapters/upstreams/planted.py", "import service.adapters.storage", "adapters-apart"),
    ("http_api/planted.py", "import service.adapters.storage", "edges-without-adapters"),
    ("background/planted.py", "import service.adapters", "edges-without-adapters"),
    ("domain/planted.py", "import sqlalchemy", "pure-floors"),
    ("ports/planted.py", "import pydantic", "pure-floors"),
    ("flows/planted.py", "import httpx", "pure-floors"),
    ("flows/planted.py", "from fastapi import FastAPI", "pure-floors"),
]


def lint_imports(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the `service` package below `root`."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo", *options],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def empty_house(tmp_path: Path) -> Path:
    """Our packages without their modules, under our contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in (ROOT / "service").rglob("__init__.py"):
        copy = tmp_path / package.parent.relative_to(ROOT)
        copy.mkdir(parents=True)
        (copy / "__init__.py").touch()
    (tmp_path / "service" / "__main__.py").touch()
    return tmp_path


def test_every_import_contract_is_kept() -> None:
    """No module of ours imports what its floor forbids."""
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_empty_house_keeps_every_contract(empty_house: Path) -> None:
    """An offence below is noticed for itself and not for a flaw of the copy."""
    result = lint_imports(empty_house)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("file", "line", "contract"), OFFENCES)
def test_a_planted_offence_breaks_its_contract(
    empty_house: Path, file: str, line: str, contract: str
) -> None:
    """Each forbidden import is found by the contract that forbids it."""
    planted = empty_house / "service" / file
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(f"{line}\n", encoding="utf-8")
    result = lint_imports(empty_house, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 broken" in result.stdout or "new_floor" in result.stdout, result.stdout


def test_a_planted_cycle_is_found(empty_house: Path) -> None:
    """Two siblings of one floor that import each other break the contract on cycles."""
    service = empty_house / "service"
    (service / "http_api/planted.py").write_text("import service.background\n", encoding="utf-8")
    (service / "background/planted.py").write_text("import service.http_api\n", encoding="utf-8")
    result = lint_imports(empty_house, "--contract", "no-cycles")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 broken" in result.stdout, result.stdout
