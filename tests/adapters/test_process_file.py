"""Who ran in a data directory before, and is certainly gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cobot_meter.adapters.process import NAMES_MAX, process_file
from cobot_meter.domain.errors import SettingInvalid


def test_who_ran_before_is_gone(tmp_path: Path) -> None:
    """Each start is told of all before it, also of one that had no time for anything."""
    path = tmp_path / "process.lock"
    for number in range(3):
        with process_file(path, f"r_{number}") as gone:
            assert gone == {f"r_{earlier}" for earlier in range(number)}


def test_who_still_runs_is_not_gone(tmp_path: Path) -> None:
    """Beside a running process nobody is called gone, and the file stays that one's."""
    path = tmp_path / "process.lock"
    with process_file(path, "r_0"):
        pass
    with process_file(path, "r_1"):
        with process_file(path, "r_2") as gone:
            assert gone == frozenset()
        with process_file(path, "r_3") as gone:
            assert gone == frozenset()
    with process_file(path, "r_4") as gone:
        assert gone == {"r_0", "r_1"}


def test_a_copied_directory_says_nothing_of_the_first(tmp_path: Path) -> None:
    """What was copied while it ran may still run where it was copied from."""
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    with process_file(there / "process.lock", "r_there"):
        shutil.copytree(there, here)
        with process_file(here / "process.lock", "r_here") as gone:
            assert gone == frozenset()


def test_only_so_many_are_remembered(tmp_path: Path) -> None:
    """The file does not grow: the newest are kept."""
    path = tmp_path / "process.lock"
    for number in range(NAMES_MAX + 10):
        with process_file(path, f"r_{number}"):
            pass
    with process_file(path, "r_last") as gone:
        assert len(gone) == NAMES_MAX
        assert f"r_{NAMES_MAX + 9}" in gone


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"one two three\n\n12\n", b"0" * 100_000])
def test_a_damaged_file_names_nobody(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in it, nobody is called gone by mistake, and it is usable afterwards."""
    path = tmp_path / "process.lock"
    path.write_bytes(content)
    with process_file(path, "r_1") as gone:
        assert gone == frozenset()
    with process_file(path, "r_2") as gone:
        assert gone == {"r_1"}


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """The start stops with a sentence that names the folder."""
    with (
        pytest.raises(SettingInvalid, match=r"cannot use .*missing for data"),
        process_file(tmp_path / "missing" / "process.lock", "r_1"),
    ):
        pass
