"""The import contracts of pyproject.toml hold, and would notice if they did not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

# Where each package lies: its source root.
ROOTS = {
    "cobot_meter": "service",
    "cobot_pay": "client",
    "openrouter_simulator": "simulator",
}
# file to plant, the line in it, the contract that must break
OFFENCES = [
    ("cobot_meter/domain/planted.py", "import cobot_meter.flows", "floors"),
    ("cobot_meter/ports/planted.py", "import cobot_meter.adapters", "floors"),
    ("cobot_meter/flows/planted.py", "import cobot_meter.adapters.storage", "floors"),
    ("cobot_meter/adapters/planted.py", "import cobot_meter.http_api", "floors"),
    ("cobot_meter/operator_api/planted.py", "import cobot_meter.wiring", "floors"),
    ("cobot_meter/background/planted.py", "import cobot_meter.wiring", "floors"),
    ("cobot_meter/wiring/planted.py", "import cobot_meter.cli", "floors"),
    ("cobot_meter/new_floor/__init__.py", "", "floors"),
    ("cobot_meter/cobot/planted.py", "import cobot_meter.flows", "seller-over-http"),
    ("cobot_meter/cli/planted.py", "import cobot_meter.cobot", "floors"),
    ("cobot_pay/planted.py", "import openrouter_simulator", "standing-alone"),
    ("openrouter_simulator/planted.py", "import cobot_pay", "standing-alone"),
    ("cobot_pay/planted.py", "import cobot_meter.domain", "standing-alone"),
    ("openrouter_simulator/planted.py", "import cobot_meter.adapters.upstreams", "standing-alone"),
    ("cobot_meter/domain/planted.py", "import cobot_pay", "products-apart"),
    ("cobot_meter/adapters/planted.py", "import openrouter_simulator", "products-apart"),
    ("cobot_meter/operator_api/planted.py", "import cobot_pay", "products-apart"),
    (
        "cobot_meter/adapters/storage/planted.py",
        "import cobot_meter.adapters.lightning",
        "adapters-apart",
    ),
    (
        "cobot_meter/adapters/upstreams/planted.py",
        "import cobot_meter.adapters.storage",
        "adapters-apart",
    ),
    (
        "cobot_meter/adapters/rates/planted.py",
        "import cobot_meter.adapters.secrets",
        "adapters-apart",
    ),
    (
        "cobot_meter/http_api/planted.py",
        "import cobot_meter.adapters.storage",
        "edges-without-adapters",
    ),
    (
        "cobot_meter/operator_api/planted.py",
        "import cobot_meter.adapters",
        "edges-without-adapters",
    ),
    (
        "cobot_meter/background/planted.py",
        "import cobot_meter.adapters",
        "edges-without-adapters",
    ),
    ("cobot_meter/domain/planted.py", "import sqlalchemy", "pure-floors"),
    ("cobot_meter/ports/planted.py", "import pydantic", "pure-floors"),
    ("cobot_meter/flows/planted.py", "import httpx", "pure-floors"),
    ("cobot_meter/flows/planted.py", "from fastapi import FastAPI", "pure-floors"),
]


def lint_imports(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the packages below `root`."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo", *options],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(root / place) for place in ROOTS.values()),
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def empty_house(tmp_path: Path) -> Path:
    """Our packages without their modules, under our contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, place in ROOTS.items():
        for package in (ROOT / place / name).rglob("__init__.py"):
            copy = tmp_path / package.parent.relative_to(ROOT)
            copy.mkdir(parents=True)
            (copy / "__init__.py").touch()
    (tmp_path / "service/cobot_meter/__main__.py").touch()
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
    planted = empty_house / ROOTS[file.split("/", maxsplit=1)[0]] / file
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(f"{line}\n", encoding="utf-8")
    result = lint_imports(empty_house, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 broken" in result.stdout or "new_floor" in result.stdout, result.stdout


def test_a_planted_cycle_is_found(empty_house: Path) -> None:
    """Two siblings of one floor that import each other break the contract on cycles."""
    service = empty_house / "service/cobot_meter"
    for here, there in (("http_api", "background"), ("background", "http_api")):
        (service / here / "planted.py").write_text(f"import cobot_meter.{there}\n", "utf-8")
    result = lint_imports(empty_house, "--contract", "no-cycles")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 broken" in result.stdout, result.stdout
