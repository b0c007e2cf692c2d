"""What cobot's setup wizard asks for this plugin, and what becomes of the answers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from cobot_pay.cobot.settings import read_meter_settings
from deploy.cobots.real_cobot import COBOT
from tests.architecture.source_tree import ROOT
from tests.end_to_end.agents.foreign_agents import needed

ASKS = """
import json, sys
from cobot_pay.cobot.plugin import create_plugin
plugin = create_plugin()
section = plugin.wizard_section()
block = plugin.wizard_configure(json.loads(sys.argv[1]))
print()
print(json.dumps([section, block]))
"""

pytestmark = pytest.mark.foreign_clients


def answered(home: Path, before: dict[str, object], *answers: str) -> tuple[dict[str, str], object]:
    """The section, and the block that these lines make of what stood there before."""
    needed(COBOT)
    told = subprocess.run(
        [str(COBOT.with_name("python")), "-c", ASKS, json.dumps(before)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "client"), "HOME": str(home)},
        input="".join(f"{line}\n" for line in answers),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    section, block = json.loads(told.stdout.splitlines()[-1])
    return section, block


def test_its_answers_are_a_block_that_the_plugin_reads(tmp_path: Path) -> None:
    """What is answered stands in it, and an empty line takes what is usual."""
    section, block = answered(tmp_path, {}, "https://b.example", "", "", "2.5")
    assert section["key"] == "cobot-meter"
    assert "within a budget" in section["description"]
    settings = read_meter_settings({"cobot-meter": block})
    assert settings.seller.url == "https://b.example"
    assert settings.models == ("openai/gpt-5-mini",)
    assert settings.wallet == "dev:http://127.0.0.1:8404"
    assert settings.limits.all_hosts.micro_usd.day == 2_500_000


def test_what_stood_there_is_kept(tmp_path: Path) -> None:
    """It is offered as the answer, and what nobody asks for stays."""
    before = {"url": "https://b.example", "model": "a/b", "wallet": "cobot", "task": "code"}
    _, block = answered(tmp_path, {"cobot-meter": before}, "", "", "", "")
    assert block == {**before, "budget_usd_day": 1.0}
