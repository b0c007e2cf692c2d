"""Data directories to run commands on. Must not know: the commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.shop import CommandLine, closed_shop


@pytest.fixture(scope="session")
def sold(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A closed shop that nobody changes."""
    return closed_shop(tmp_path_factory.mktemp("sold") / "data")


@pytest.fixture
def shop(sold: CommandLine, tmp_path: Path) -> CommandLine:
    """A copy of it to change."""
    folder = tmp_path / "data"
    shutil.copytree(sold.environ["COBOT_METER_DATA_DIR"], folder)
    return CommandLine({**sold.environ, "COBOT_METER_DATA_DIR": str(folder)})


@pytest.fixture
def nothing(tmp_path: Path, sold: CommandLine) -> CommandLine:
    """Settings whose data directory is not there yet."""
    return CommandLine({**sold.environ, "COBOT_METER_DATA_DIR": str(tmp_path / "none")})
