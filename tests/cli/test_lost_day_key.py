"""A key of the day that is gone: `doctor` names it, with what to run, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cobot_meter.wiring.settings.settings import BODY_KEYS
from tests.cli.shop import CommandLine


def keys_of(shop: CommandLine) -> Path:
    """The directory."""
    return Path(shop.environ["COBOT_METER_DATA_DIR"]) / BODY_KEYS


def row_of(shop: CommandLine) -> dict[str, Any]:
    """What `doctor` says of it."""
    rows: dict[str, dict[str, Any]] = {row["name"]: row for row in shop.read("doctor")}
    return rows["body keys"]


def removed(folder: Path) -> None:
    """The key of the day on which something was sold."""
    for path in folder.glob("*.key"):
        path.unlink()


def all_removed(folder: Path) -> None:
    """And the directory with it."""
    removed(folder)
    folder.rmdir()


def damaged(folder: Path) -> None:
    """Another key under its name."""
    for path in folder.glob("*.key"):
        path.write_text("ab" * 32, encoding="ascii")


def open_to_others(folder: Path) -> None:
    """The directory."""
    folder.chmod(0o755)


@pytest.mark.parametrize("lose", [removed, all_removed, damaged])
def test_a_missing_key_is_named_with_what_to_run(
    shop: CommandLine, lose: Callable[[Path], None]
) -> None:
    """Exit 1; when the operator has said that it is lost for good, all is well again."""
    folder = keys_of(shop)
    assert row_of(shop)["well"] is True
    lose(folder)
    row = row_of(shop)
    assert row["well"] is False
    assert shop.run("doctor").exit_code != 0
    gone = [word for word in row["detail"].split() if word.endswith(".gone")]
    assert f"cd {folder} && touch {' '.join(gone)}" in row["detail"]
    assert lose is not all_removed or not folder.exists()
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in gone:
        (folder / name).touch()
    assert row_of(shop)["well"] is True


def test_a_directory_that_others_can_read_is_said_with_the_command(shop: CommandLine) -> None:
    """The same as of the data directory."""
    folder = keys_of(shop)
    open_to_others(folder)
    row = row_of(shop)
    assert row["well"] is False
    assert f"run: chmod 700 {folder}" in row["detail"]


def test_before_the_first_start_there_is_none(nothing: CommandLine) -> None:
    """And a look makes none."""
    assert row_of(nothing)["well"] is None
    assert not keys_of(nothing).exists()
