"""docs/cobot.md as its reader types it, from `pip install` to the first sat spent and earned.

The lines and blocks are those of the page; what is put in their place is where the service and its
node listen, and the key that the reader's own top-up prints. Nothing comes from the network: pip
finds cobot and what it needs installed, and builds the wheel of ours from this repository.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cobot_pay.peers.blocks import Ask, with_block
from deploy.cobots.real_cobot import COBOT, MODEL, QUIET, Person, own_plugins
from tests.architecture.source_tree import ROOT, source
from tests.end_to_end.agents.foreign_agents import needed
from tests.end_to_end.cobots.selling_cobot import bills_of, operator
from tests.end_to_end.live import Live

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]
PAGE = "docs/cobot.md"
BUYS, SELLS = "## A cobot that buys", "## A cobot that sells"
ADDRESS = "http://127.0.0.1:8402"
KEY = re.compile(r"sk-cobot-[A-Za-z0-9_-]+")
TRUST = re.compile(r"callers cap (\S+)")
WITHIN_S = 150


def blocks(section: str, language: str) -> list[str]:
    """The blocks of one section of the page, in their order."""
    (text,) = [
        one
        for one in re.split(r"^(?=## )", source(PAGE), flags=re.MULTILINE)
        if one.startswith(section)
    ]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with an empty home and a new environment of Python, in which cobot is found.

    With `sells` what the service needs is found there too, except what it asks for in vain: what
    lnd-grpc-client names and its stubs never import.
    """

    home: Path
    live: Live
    sells: bool = False

    @property
    def shell(self) -> dict[str, str]:
        """Their environment: our operator's command is on the path behind their own."""
        path = [str(self.home / "venv/bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        return {
            **os.environ,
            **self.live.service.environment,
            "HOME": str(self.home),
            "PATH": os.pathsep.join(path),
            "NO_COLOR": "1",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.home / "wheels"),
            **({"PIP_NO_DEPS": "1"} if self.sells else {}),
        }

    def prepare(self) -> None:
        """Make the environment, and the wheel that a buyer installs."""
        self.home.mkdir()
        subprocess.run([COBOT.with_name("python"), "-m", "venv", self.home / "venv"], check=True)
        (site,) = (self.home / "venv/lib").glob("python3*/site-packages")
        found = [own_plugins().parents[1]]
        if self.sells:
            found += [next(Path(sys.prefix, "lib").glob("python3*/site-packages"))]
            found += [ROOT / "service", ROOT / "client", ROOT / "simulator"]
        else:
            copy = shutil.copytree(ROOT / "client", self.home / "client")
            wheel = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
            words = ("--no-build-isolation", "--wheel-dir", self.home / "wheels", copy)
            subprocess.run([*wheel, *words], check=True)
        (site / "found.pth").write_text("".join(f"{one}\n" for one in found))
        program = self.home / "venv/bin/cobot"  # as pip makes it of what it installs
        program.write_text(f'#!/bin/sh\nexec "{self.home}/venv/bin/python" -m cobot.cli "$@"\n')
        program.chmod(0o755)

    def settings(self, block: str, **more: object) -> None:
        """Write their cobot.yml, and what a quiet cobot has beside it."""
        disabled = json.dumps([*QUIET, *([] if "filedrop" in more else ["filedrop"])])
        block = block.replace(ADDRESS, self.live.face)
        block = block.replace("development,", f'development, node: "{self.live.node}",')
        block = block.replace("plugins: {", f"plugins: {{disabled: {disabled}, ")
        beside = "".join(f"{name}: {json.dumps(each)}\n" for name, each in more.items())
        (self.home / "cobot.yml").write_text(block + beside)

    async def types(self, line: str) -> str:
        """What a shell prints for this line; it has to end well."""
        process = self.start(line)
        said, log = await asyncio.to_thread(process.communicate, timeout=WITHIN_S)
        assert process.returncode == 0, said + log
        return said

    def start(self, line: str) -> subprocess.Popen[str]:
        """A shell with this line."""
        return subprocess.Popen(
            ["/bin/sh", "-c", line.replace(ADDRESS, self.live.face)],
            env=self.shell,
            cwd=self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


async def test_from_pip_install_to_the_first_sat_spent(live: Live, tmp_path: Path) -> None:
    """Installed, written, asked: the answer, its receipt, and what is left of the day's dollar."""
    needed(COBOT)
    reader = Reader(tmp_path / "reader", live)
    reader.prepare()
    install, commands = (block.splitlines() for block in blocks(BUYS, "sh"))
    (block,) = blocks(BUYS, "yaml")
    (line,) = install
    await reader.types(line)
    reader.settings(block)
    ask, receipts, balance = commands
    assert "macaroon" in await reader.types(ask)
    paid = await reader.types(receipts)
    assert re.search(rf"paid +[\d,]+ msat  {live.face}  [0-9a-f]{{64}}  [0-9a-f]{{64}}", paid), paid
    left = await reader.types(balance)
    assert f"day of the cobot in {reader.home}: " in left
    assert re.search(r"day_usd of the cobot in \S+ [\d,]+ of [\d,]+ msat left \([1-9]", left), left


async def test_from_pip_install_to_the_first_sat_earned(live: Live, tmp_path: Path) -> None:
    """A key, the operator's word, a stranger's task over FileDrop, its bill; the fee is credit."""
    needed(COBOT)
    reader = Reader(tmp_path / "reader", live, sells=True)
    reader.prepare()
    (install, top_up, export), (run, credit) = (one.splitlines() for one in blocks(SELLS, "sh"))
    (block,) = blocks(SELLS, "yaml")
    await reader.types(install)
    found = KEY.search(await reader.types(top_up))
    assert found is not None
    assert export == "export COBOT_METER_KEY=sk-cobot-…"
    export = export.replace("sk-cobot-…", found[0])
    drop, stranger = tmp_path / "drop", Person("alice", tmp_path / "drop")
    reader.settings(
        block,
        ppq={"api_base": f"{live.face}/v1", "api_key": found[0], "model": MODEL},
        filedrop={"base_dir": str(drop), "identity": "bob"},
        identity={"name": "bob"},
        polling={"interval_seconds": 0.2},
    )
    told = await live.http.post(
        f"{live.face}/v1/tasks",
        json={"ceiling_sat": 1},
        headers={"Authorization": f"Bearer {found[0]}"},
    )
    caller = TRUST.search(told.json()["error"]["message"])
    assert caller is not None
    await operator(live, "callers", "cap", caller[1], "10000")
    before = json.loads(await reader.types(f"{export}; {credit}"))["cobot"]["available_msat"]
    cobot = reader.start(f"{export}; exec {run}")
    try:
        stranger.write("bob", with_block("Of bridges, please.", Ask(ref="r1", max_msat=900_000)))
        await until(lambda: bool(bills_of(stranger)), cobot)
        (bill,) = bills_of(stranger)
        await live.pay(bill.invoice)
        await until(lambda: "Paid, thank you" in stranger.letters[-1], cobot)
        under_way = reader.home / ".cobot/meter-seller/open"
        await until(lambda: not [*under_way.glob("*.json")], cobot)
        after = json.loads(await reader.types(f"{export}; {credit}"))["cobot"]["available_msat"]
        assert after - before == bill.seller_fee_msat >= 10_000
    finally:
        os.killpg(cobot.pid, signal.SIGKILL)
        await asyncio.to_thread(cobot.communicate)


async def until(what: Callable[[], bool], cobot: subprocess.Popen[str]) -> None:
    """Wait until this holds; the cobot must not end meanwhile."""
    until_s = time.monotonic() + WITHIN_S
    while not what():
        assert time.monotonic() < until_s, "it did not happen in time"
        assert cobot.poll() is None, "the cobot ended"
        await asyncio.sleep(0.1)
