"""What shares one costly thing runs on one worker: real nodes, wheels, cobots of other people.

Where the groups are scattered each worker starts nodes of its own, and nothing fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GROUPED = """
import os, pathlib, pytest

@pytest.mark.xdist_group("shared")
@pytest.mark.parametrize("number", range(8))
def test_shares(number):
    with pathlib.Path(__file__).with_name("workers.txt").open("a") as written:
        written.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""


def test_a_group_stays_on_one_worker(tmp_path: Path) -> None:
    """As `make test` distributes them, with two workers that have nothing else to do."""
    (tmp_path / "test_grouped.py").write_text(GROUPED, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup"),
            *("--rootdir", str(tmp_path), str(tmp_path)),
        ],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    workers = (tmp_path / "workers.txt").read_text(encoding="utf-8").split()
    assert len(workers) == 8
    assert len(set(workers)) == 1
