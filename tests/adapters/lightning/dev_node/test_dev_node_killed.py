"""The development node over a real `kill -9`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.invoices import InvoiceState
from tests.adapters.lightning.dev_node.dev_node_rig import open_dev_node
from tests.fakes.clock import FakeClock

ROOT = Path(__file__).parents[4]
STATES = {
    "added": InvoiceState.OPEN,
    "settled": InvoiceState.SETTLED,
    "canceled": InvoiceState.CANCELED,
}


def _work_until_killed(path: Path, lines: int) -> list[list[str]]:
    """What a worker said before it was killed, after at least so many lines."""
    command = [
        sys.executable,
        "-m",
        "tests.adapters.lightning.dev_node.dev_node_process",
        str(path),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        said = [worker.stdout.readline() for _ in range(lines)]
        with pytest.raises(SettingInvalid, match="another process"):
            open_dev_node(path, FakeClock())
        worker.kill()
        said += worker.stdout.readlines()
    return [line.split() for line in said if line.endswith("\n")]


async def test_a_killed_node_keeps_all_it_answered(tmp_path: Path) -> None:
    """Row 21: whatever was answered before a kill -9 holds after it, kill after kill."""
    path = tmp_path / "state.jsonl"
    last_said: dict[str, list[str]] = {}
    in_doubt: set[str] = set()  # a kill may come between the effect and the line that says it
    pubkeys = set()
    for lines in (1, 40, 200):
        for fact, payment_hash, *preimage in _work_until_killed(path, lines):
            last_said[payment_hash] = [fact, *preimage]
        in_doubt.add([*last_said][-1])
        node = open_dev_node(path, FakeClock(now_ms=0))  # long before anything expires
        pubkeys.add((await node.identity()).pubkey)
        for payment_hash, (fact, *preimage) in last_said.items():
            found = await node.look_up(payment_hash)
            assert found is not None
            assert found.state is STATES[fact] or payment_hash in in_doubt
            for digits in preimage:
                assert hashlib.sha256(bytes.fromhex(digits)).hexdigest() == payment_hash
        node.close()
    assert len(pubkeys) == 1
    assert len(last_said) > 100
