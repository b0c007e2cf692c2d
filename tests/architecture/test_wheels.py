"""What is installed: three distributions that stand beside other people's packages."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib.metadata import requires
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

PACKAGES = {".": "cobot_meter", "client": "cobot_pay", "simulator": "openrouter_simulator"}
MIGRATIONS = "cobot_meter/adapters/storage/migrations"
SIZE_MAX = 1_200_000

pytestmark = pytest.mark.xdist_group("wheels")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Each distribution built from a copy of what git knows of it, by its import name."""
    folder = tmp_path_factory.mktemp("wheels")
    copy = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if name.startswith(("service/", "client/", "simulator/")) or "/" not in name:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    built = {}
    for place, package in PACKAGES.items():
        target = folder / package
        subprocess.run([*pip, "--wheel-dir", target, copy / place], check=True, timeout=100)
        (built[package],) = target.glob("*.whl")
    return built


@pytest.mark.parametrize("package", PACKAGES.values())
def test_a_wheel_brings_its_own_package_and_nothing_else(
    wheels: Mapping[str, Path], package: str
) -> None:
    """Nothing called `service` or `migrations` lands at the top of site-packages."""
    names = zipfile.ZipFile(wheels[package]).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {package}
    assert f"{package}/py.typed" in names
    assert wheels[package].stat().st_size < SIZE_MAX


def test_migrations_travel_inside_the_package(wheels: Mapping[str, Path]) -> None:
    """Every revision of the repository, its SQL and Alembic's own files are in the wheel."""
    source = ROOT / "service" / MIGRATIONS
    wanted = {
        f"{MIGRATIONS}/{path.relative_to(source)}"
        for path in source.rglob("*")
        if path.suffix in {".py", ".sql", ".mako"}
    }
    assert len(wanted) > 10
    assert wanted <= set(zipfile.ZipFile(wheels["cobot_meter"]).namelist())


def test_the_rules_for_secrets_travel_inside_the_package(wheels: Mapping[str, Path]) -> None:
    """The detector reads them at the start, wherever it is installed."""
    names = zipfile.ZipFile(wheels["cobot_meter"]).namelist()
    assert "cobot_meter/domain/privacy/secret_rules.toml" in names


def test_an_agent_with_a_service_folder_of_its_own_is_not_in_the_way(
    wheels: Mapping[str, Path], tmp_path: Path
) -> None:
    """Installed elsewhere, beside a project's own `service` and `migrations`, it sells."""
    site, project = tmp_path / "site", tmp_path / "project"
    for wheel in wheels.values():
        zipfile.ZipFile(wheel).extractall(site)
    for own in ("service", "migrations", "client", "simulator"):
        (project / own).mkdir(parents=True)
        (project / own / "__init__.py").write_text("raise ImportError('the wrong one')\n")
    told = subprocess.run(
        [sys.executable, "-m", "cobot_meter", "demo"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{project}", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_client_needs_httpx_alone(wheels: Mapping[str, Path], tmp_path: Path) -> None:
    """Neither it nor its command loads a server, a database, gRPC or cryptography."""
    zipfile.ZipFile(wheels["cobot_pay"]).extractall(tmp_path)
    program = (
        "import sys; before = set(sys.modules); import cobot_pay, cobot_pay.cli.main; "
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name for name in eval(told.stdout) if not name.startswith("_")}  # noqa: S307
    foreign = {"grpc", "lndgrpc", "sqlalchemy", "cryptography", "aiohttp", "coincurve"}
    assert loaded & (foreign | {"cobot_meter"}) == set()
    assert {"httpx", "h11"} <= loaded or loaded == {"cobot_pay"}


def test_h11_comes_with_httpx() -> None:
    """The client's proxy imports it, and no more is installed for it than httpx asks for."""
    assert any(one.startswith("httpcore==1.") for one in requires("httpx") or [])
    assert any(one.startswith("h11") and "extra" not in one for one in requires("httpcore") or [])
