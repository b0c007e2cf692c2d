"""Our own child processes: started on a core of their own, measured from outside, stopped by id.

Figures come from /proc and from Linux's clocks of processes, so this is for Linux.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import orjson

from benchmarks.rig.load_generator import Figures, Plan
from benchmarks.rig.stream_load import StreamFigures, StreamPlan

ROOT = Path(__file__).resolve().parents[2]
START_S = 120.0
STOP_S = 20.0
LOAD_S = 600.0
LOAD = "benchmarks.rig.load_generator"
STREAM_LOAD = "benchmarks.rig.stream_load"
CPU_CLOCK = 2
MIB = 1_024 * 1_024


class Child:
    """A running process of ours."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """`process` was started by `running`."""
        self._process = process

    def cpu_s(self) -> float:
        """User and system time of all its threads so far, to the nanosecond (/proc says ticks)."""
        # The clock that clock_getcpuclockid(3) names for a process, as Linux numbers them.
        return time.clock_gettime(~self._process.pid << 3 | CPU_CLOCK)

    def rss_bytes(self) -> int:
        """Memory it holds now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1_024

    def first_line(self) -> str:
        """The first line that it prints."""
        return _pipe(self._process.stdout).readline().decode().strip()

    def wait_ready(self, url: str, *, within_s: float = START_S) -> None:
        """Return when `url` answers 200. Raises RuntimeError when it ends or never does."""
        until = time.monotonic() + within_s
        while time.monotonic() < until and self._process.poll() is None:
            with (
                contextlib.suppress(urllib.error.URLError, ConnectionError),
                urllib.request.urlopen(url, timeout=5),  # noqa: S310 - loopback
            ):
                return
            time.sleep(0.05)
        message = f"{url} never answered; exit code {self._process.poll()}"
        raise RuntimeError(message)


@contextlib.contextmanager
def running(
    module: str, *arguments: str, core: int, env: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """`python -m module` for as long as a block lasts, on one core where there are several."""
    command = (sys.executable, "-m", module, *arguments)
    with running_command(command, core=core, env=env) as child:
        yield child


@contextlib.contextmanager
def running_command(
    command: Sequence[str],
    *,
    core: int,
    env: Mapping[str, str] | None = None,
    folder: Path = ROOT,
    said: bool = True,
) -> Iterator[Child]:
    """Any program, in `folder`, as long as a block lasts; without `said` its output is dropped."""
    process = subprocess.Popen(
        [*_pinned(core), *command],
        cwd=folder,
        env={"PATH": os.defpath, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if said else subprocess.DEVNULL,
        stderr=None if said else subprocess.DEVNULL,
    )
    try:
        yield Child(process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def load(plan: Plan, *, core: int) -> Figures:
    """Carry out a plan in a process of its own. Raises CalledProcessError when it fails."""
    return Figures(**_carried_out(LOAD, plan, core))


def stream_load(plan: StreamPlan, *, core: int) -> StreamFigures:
    """The same for streams."""
    return StreamFigures(**_carried_out(STREAM_LOAD, plan, core))


def _carried_out(module: str, plan: Plan | StreamPlan, core: int) -> dict[str, Any]:
    done = subprocess.run(
        _load_command(module, core),
        cwd=ROOT,
        env={"PATH": os.defpath},
        input=orjson.dumps(asdict(plan)) + b"\n",
        stdout=subprocess.PIPE,
        timeout=LOAD_S,
        check=True,
    )
    figures: dict[str, Any] = orjson.loads(done.stdout)
    return figures


@contextlib.contextmanager
def waiters(plan: Plan | StreamPlan, *, core: int) -> Iterator[None]:
    """`plan.count` callers wait, or read streams, for as long as a block lasts."""
    process = subprocess.Popen(
        _load_command(LOAD if isinstance(plan, Plan) else STREAM_LOAD, core),
        cwd=ROOT,
        env={"PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            _pipe(process.stdin).write(orjson.dumps(asdict(plan)) + b"\n")
            _pipe(process.stdin).flush()
            said = _pipe(process.stdout).readline()
            if said != b"waiting\n":
                message = "the waiting callers could not be set up"
                raise RuntimeError(message)
            yield
            process.communicate(b"\n", timeout=STOP_S)
        finally:
            process.kill()
    if process.returncode:
        message = "a waiting caller was answered"
        raise RuntimeError(message)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cores() -> tuple[int, int]:
    """One core for what is measured and another for all the rest, where there are two."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def _pinned(core: int) -> Sequence[str]:
    pin = f"import os,sys;os.sched_setaffinity(0,{{{core}}});os.execv(sys.argv[1],sys.argv[1:])"
    return (sys.executable, "-c", pin)


def _load_command(module: str, core: int) -> Sequence[str]:
    return (*_pinned(core), sys.executable, "-m", module)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
