"""Programs that the harness starts end with it, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.regtest.errors import NodeFault
from deploy.regtest.processes import PORTS, Process, came_true, free_port
from tests.architecture.source_tree import ROOT

SLEEP = ["/bin/sleep", "60"]
DEAF = ["/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"]
PARENT = """
import sys, time
from pathlib import Path
from deploy.regtest.processes import Process
process = Process("sleeper", ["/bin/sleep", "60"], folder=Path(sys.argv[1]))
process.start()
print(process.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    """Whether a process of that number runs; one that only waits to be reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def orphan_of_a_killed_parent(folder: Path) -> int:
    """The number of a program whose parent was killed right after starting it."""
    command = [sys.executable, "-c", PARENT, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.send_signal(signal.SIGKILL)
    return child


@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux kernel ends what is orphaned")
async def test_a_program_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """SIGKILL of the parent, which can clean up nothing, leaves no program behind."""
    child = orphan_of_a_killed_parent(tmp_path)
    assert await came_true(lambda: not alive(child), within_s=10)


async def test_stopping_and_killing_end_it(tmp_path: Path) -> None:
    """Both leave no process, may be said twice, and it can be started again."""
    process = Process("sleeper", SLEEP, folder=tmp_path)
    for end in (process.stop, process.kill, process.stop):
        process.start()
        pid = process.pid
        assert pid
        process.start()  # it runs: nothing happens
        assert process.pid == pid
        await end()
        await end()
        assert not alive(pid)
        assert process.pid is None


async def test_who_does_not_hear_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ignores SIGTERM is ended by SIGKILL once its time is over."""
    monkeypatch.setattr("deploy.regtest.processes.STOP_TIMEOUT_S", 0.1)
    process = Process("deaf", DEAF, folder=tmp_path)
    process.start()
    assert await came_true(lambda: "deaf" in process.log_tail(), within_s=10)
    await process.stop()
    assert process.pid is None


async def test_a_program_that_ended_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    """`check` raises, and quotes the log."""
    process = Process("loud", ["/bin/sh", "-c", "echo no such flag; exit 1"], folder=tmp_path)
    process.start()
    assert await came_true(lambda: process.pid is None, within_s=10)
    with pytest.raises(NodeFault, match="no such flag"):
        process.check()


def test_ports_are_not_given_twice() -> None:
    """Every port is of the range that outgoing connections leave alone, and only given once."""
    taken: set[int] = set()
    given = [free_port(taken) for _ in range(50)]
    assert len(set(given)) == len(given) == len(taken)
    assert all(port in PORTS for port in given)


async def test_the_home_of_a_program_is_its_folder(tmp_path: Path) -> None:
    """What a program writes into its home lies with its data, and never in a person's home."""
    process = Process("teller", ["/bin/sh", "-c", 'echo "$HOME"; exec sleep 60'], folder=tmp_path)
    process.start()
    try:
        assert await came_true(lambda: process.log_tail().strip() == str(tmp_path), within_s=10)
    finally:
        process.kill_now()
    assert process.pid is None
