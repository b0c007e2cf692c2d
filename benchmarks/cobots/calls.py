"""What the plugin of a cobot adds to a call: its CPU less that of the same call without it.

Both sides run in the environment of the real cobot, in turns and processes of their own, and buy
from a service and a node that are other processes: by a prepaid key, and by an invoice for each
call. Cobot itself is in neither: its loop costs the same with any provider.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.credit.targets import prepaid_key
from benchmarks.rig.mock_upstream import MODEL
from benchmarks.rig.processes import ROOT
from benchmarks.rig.sizes import Size
from benchmarks.rig.stacks import Stack, service_stack
from benchmarks.rig.tables import Bar, bars, spread, table
from deploy.cobots.real_cobot import COBOT

NAME = "cobot_calls"
ADDED_BAR_MS = 5.0
CALLS_MAX = 200
DRIVER = Path(__file__).with_name("driver.py")
WITHIN_S = 300
# A call costs some sat, so that none is paid with what the invoice before left over.
SETTINGS = {"COBOT_METER_RATE_USD_PER_BTC": "10000"}
# As many as a cobot has without any plugin of ours.
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Use {name} on a file or a command of the workspace",
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "text": {"type": "string"}},
                "required": ["path"],
            },
        },
    }
    for name in ("read_file", "write_file", "edit_file", "exec", "search", "wallet_pay")
]


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    if not COBOT.exists():
        raise RuntimeError("cobot is not installed: `make demo-cobots` or `make test` installs it")
    count = min(CALLS_MAX, size.service_cycles)
    found: dict[tuple[str, str], list[float]] = {}
    with service_stack(settings=SETTINGS) as stack, tempfile.TemporaryDirectory() as homes:
        ways = {"key": prepaid_key(stack), "invoice": ""}
        for number in range(size.rounds):
            for way, key in ways.items():
                for side in ("bare", "plugin"):
                    plan = {"side": side, "key": key, "count": count, "tools": TOOLS}
                    home = str(Path(homes) / f"{way}-{number}")
                    took = _driven(stack, {**plan, "home": home})
                    found.setdefault((way, side), []).append(took)
    rows, judged = [], []
    for way in ways:
        sides = found[way, "bare"], found[way, "plugin"]
        added = [with_it - without for without, with_it in zip(*sides, strict=True)]
        rows.append((f"by {way}", *(spread(one, 2) for one in (*sides, added))))
        judged.append(
            Bar(
                what=f"added to a call by {way}", value=median(added), limit=ADDED_BAR_MS, unit="ms"
            )
        )
    columns = (f"CPU ms of a call ({count} a round)", "bare", "with the plugin", "added")
    return "\n\n".join((table(columns, rows), bars(judged)))


def _driven(stack: Stack, plan: Mapping[str, object]) -> float:
    """CPU milliseconds of a call, as a process in a cobot's environment measures itself."""
    ports = {"url": stack.port, "node": stack.node_port}
    where = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    said = subprocess.run(
        [
            str(COBOT.with_name("python")),
            str(DRIVER),
            json.dumps({**plan, **where, "model": MODEL}),
        ],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT / "client")},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    if said.returncode:
        raise RuntimeError(said.stdout[-2_000:] + said.stderr[-2_000:])
    return float(json.loads(said.stdout.splitlines()[-1])["cpu_ms"])
