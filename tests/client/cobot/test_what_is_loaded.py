"""What a cobot loads of ours before it buys anything: modules are counted, since a time is no fact.

Its plugins are imported at every start. httpx alone, with what it finds in a cobot's environment
(rich, click), costs more than all of ours together.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from deploy.cobots.real_cobot import COBOT
from tests.architecture.source_tree import ROOT
from tests.end_to_end.agents.foreign_agents import needed

HTTP = {"httpx", "httpcore", "h11", "anyio", "certifi", "idna", "rich", "pygments"}
OPENS_A_PURSE = """
from pathlib import Path
from cobot_pay.cobot.opening import open_purse
from cobot_pay.cobot.settings import read_meter_settings
import cobot_pay.cobot.answers, cobot_pay.cobot.tools, cobot_pay.cobot.wizard
block = {"url": "http://127.0.0.1:8402/v1", "model": "a/b", "wallet": "development", "home": HOME}
settings = read_meter_settings({"cobot-meter": block})
purse = open_purse(settings, folder=Path.cwd(), wallet_plugins=())
assert purse.budget.stands_at("http://127.0.0.1:8402")
"""
STARTS_THE_PLUGIN = """
import asyncio
from cobot_pay.cobot.plugin import create_plugin
plugin = create_plugin()
block = {"url": "http://127.0.0.1:8402/v1", "model": "a/b", "wallet": "development", "home": HOME}
plugin.configure({"cobot-meter": block})
asyncio.run(plugin.start())
assert plugin.get_definitions()
"""


def loaded_by(python: Path, program: str, home: Path) -> list[str]:
    """The modules that are there after the program and were not before."""
    before = f"import sys, json; before = set(sys.modules); HOME = {str(home)!r}"
    after = "print(json.dumps(sorted(set(sys.modules) - before)))"
    told = subprocess.run(
        [str(python), "-c", f"{before}\n{program}\n{after}"],
        cwd=home,
        env={"PYTHONPATH": str(ROOT / "client"), "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return list(json.loads(told.stdout.splitlines()[-1]))


def foreign(loaded: Iterable[str]) -> set[str]:
    """Packages of other people among them."""
    return {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names


@pytest.mark.parametrize("name", ["cobot_pay", "cobot_pay.cobot", "cobot_pay.cobot_wallet"])
def test_a_package_loads_itself_alone(tmp_path: Path, name: str) -> None:
    """Neither httpx nor another module of ours: cobot looks into it before it takes the plugin."""
    loaded = loaded_by(Path(sys.executable), f"import {name}", tmp_path)
    assert [one for one in loaded if foreign([one])] == sorted({"cobot_pay", name})


def test_a_public_name_is_there_when_it_is_asked_for(tmp_path: Path) -> None:
    """Then httpx is loaded: what the test before looks for can be found."""
    loaded = loaded_by(Path(sys.executable), "from cobot_pay import L402Auth", tmp_path)
    assert "httpx" in foreign(loaded)


def test_a_budget_is_opened_without_http(tmp_path: Path) -> None:
    """Nor any wallet's libraries: settings, budget, wallet and tools are our own modules."""
    loaded = loaded_by(Path(sys.executable), OPENS_A_PURSE, tmp_path)
    assert foreign(loaded) == {"cobot_pay"}


@pytest.mark.foreign_clients
def test_a_cobot_starts_its_plugin_without_http(tmp_path: Path) -> None:
    """Ours and cobot's own base alone, up to the first call; 31 modules of ours and 5 of cobot."""
    needed(COBOT)
    loaded = loaded_by(COBOT.with_name("python"), STARTS_THE_PLUGIN, tmp_path)
    assert foreign(loaded) == {"cobot_pay", "cobot"}
    assert len([one for one in loaded if foreign([one])]) <= 36
    assert len(loaded) <= 250


@pytest.mark.foreign_clients
def test_the_first_call_loads_http(tmp_path: Path) -> None:
    """And no other of its kind, nor a wallet's gRPC or Nostr."""
    needed(COBOT)
    program = f"{STARTS_THE_PLUGIN}\nplugin._purse.calls()"
    loaded = loaded_by(COBOT.with_name("python"), program, tmp_path)
    extra = foreign(loaded) - {"cobot_pay", "cobot"}
    assert "httpx" in extra
    assert extra <= HTTP | {"click", "markdown_it", "mdurl", "sniffio", "typing_extensions"}
