"""docs/simulator.md says what the simulator does: its table, its commands, its client."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from openrouter_simulator.faults.fault_document import fault_tables
from tests.architecture.source_tree import ROOT, source
from tests.simulator.driving import ask, fresh_simulator

DOCUMENT = "docs/simulator.md"
ADDRESS = "http://127.0.0.1:8403"
COMMANDS = [line for line in source(DOCUMENT).splitlines() if line.startswith("curl ")]


def test_the_table_is_up_to_date() -> None:
    """What stands between the marks is what the module prints."""
    between = re.search(r"<!-- faults: [^>]*-->\n\n(.*)\n<!-- end", source(DOCUMENT), re.DOTALL)
    assert between is not None
    assert between.group(1) == fault_tables(), (
        "run: python -m openrouter_simulator.faults.fault_document"
    )


def test_the_module_prints_the_table() -> None:
    """The command that the document names prints it."""
    command = [sys.executable, "-m", "openrouter_simulator.faults.fault_document"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == fault_tables()


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_command_is_understood(command: str) -> None:
    """Each curl of the document is answered with 200."""
    _, _, url, *rest = shlex.split(command)
    body = rest[rest.index("-d") + 1] if "-d" in rest else ""
    method = "POST" if rest else "GET"
    reader = await ask(fresh_simulator(), method, url.removeprefix(ADDRESS), body=body.encode())
    assert reader.status == 200, reader.answer


async def test_every_control_path_is_described() -> None:
    """Each path of the table answers a GET or a POST, and each that answers is in the table."""
    rows = re.findall(r"^\| `(\w+)` \| ", source(DOCUMENT), re.MULTILINE)
    simulator = fresh_simulator()
    for name in ("faults", "timing", "prices", "providers", "routing", "key", "free"):
        assert name in rows
        assert (await ask(simulator, "POST", f"/control/{name}", body=b"{}")).status == 200
    assert (await ask(simulator, "GET", "/control/book")).status == 200
