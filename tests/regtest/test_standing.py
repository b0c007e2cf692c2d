"""`make regtest`: what it tells to type works, and Ctrl-C leaves nothing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from deploy.regtest.binaries import Binaries
from tests.architecture.source_tree import ROOT
from tests.regtest.test_processes import alive

LAST_LINE = "goes with Ctrl-C"
TIMEOUT_S = 60


@pytest.fixture
def standing(tmp_path: Path, node_binaries: Binaries) -> Iterator[subprocess.Popen[str]]:
    """The command, with temporary files in a folder of the test's."""
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.regtest", "up"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def told(standing: subprocess.Popen[str]) -> str:
    """Everything it says until the nodes are up."""
    lines = []
    assert standing.stdout
    for line in standing.stdout:
        lines.append(line)
        if LAST_LINE in line:
            break
    return "".join(lines)


def typed(line: str, environ: Mapping[str, str] = os.environ) -> str:
    """What a line that a person is told to type prints."""
    ended = subprocess.run(
        shlex.split(line),
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def processes_under(folder: Path) -> list[int]:
    """Every process that was started with something in the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes under /proc")
def test_what_is_told_can_be_typed_and_ctrl_c_ends_it(
    standing: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Bob makes an invoice, alice pays it, a block is mined; then no process or file is left."""
    text = told(standing)
    started = processes_under(tmp_path)
    assert len(started) == 4
    lines = [line.strip() for line in text.splitlines()]
    add, pay, mine = (
        next(line for line in lines if line.endswith(end))
        for end in ("addinvoice --amt 100", "--pay_req INVOICE", "generate 1")
    )
    invoice = re.search(r'"payment_request": *"(\w+)"', typed(add))
    assert invoice
    assert "SUCCEEDED" in typed(pay.replace("INVOICE", invoice.group(1)))
    assert len(typed(mine)) > 64
    settings = dict(re.findall(r"export (COBOT_METER_\w+)=(\S+)", text))
    assert settings["COBOT_METER_NODE"] == "lnd"
    for name in ("COBOT_METER_LND_TLS_CERT", "COBOT_METER_LND_MACAROON"):
        assert Path(settings[name]).is_file()
    given = {**os.environ, **settings, "COBOT_METER_DATA_DIR": str(tmp_path / "service")}
    found = typed(f"{sys.executable} -m cobot_meter doctor", given)
    assert "bob" in found
    shutil.rmtree(tmp_path / "service", ignore_errors=True)
    standing.send_signal(signal.SIGINT)
    assert standing.wait(TIMEOUT_S) == 0
    assert standing.stderr
    assert standing.stderr.read() == ""
    assert not [pid for pid in started if alive(pid)]
    assert list(tmp_path.iterdir()) == []
