"""What ends a test that stands still, tried on one that does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
STANDS_STILL = '''
import ctypes, signal

def test_stands_still():
    """No signal comes in, and the GIL is kept."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    ctypes.PyDLL(None).sleep(60)
'''


def test_what_no_signal_interrupts_ends_the_run_and_is_shown(tmp_path: Path) -> None:
    """The worker ends, the run is red, and the last thing said is the line it stood at."""
    (tmp_path / "test_still.py").write_text(STANDS_STILL, encoding="utf-8")
    ini = ("timeout=1", "stuck_grace_s=1", "xfail_strict=true")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-n", "1", "--max-worker-restart=0"),
            *("-p", "tests.stuck", "--rootdir", str(tmp_path)),
            *(word for setting in ini for word in ("-o", setting)),
            str(tmp_path),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "where gw0 stood still" in done.stdout
    assert 'test_still.py", line 7 in test_stands_still' in done.stdout
