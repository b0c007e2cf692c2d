"""The routing table: the shipped one, the operator's own, and what is no table."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.routing.hints import Task
from cobot_meter.domain.routing.table import Tier
from cobot_meter.wiring.opening.routing_table import BYTES_MAX, routing_table
from cobot_meter.wiring.settings.settings import read_settings

ENDS = {Task.CHEAP, Task.PREMIUM}


def test_the_shipped_table_knows_every_task_and_lists_every_price() -> None:
    """And somebody reaches what is demanded at each of them."""
    table = routing_table(None)
    successes = table.successes
    assert set(successes.records) == set(successes.targets_ppm) == set(Task) - ENDS
    assert table.listed.keys() == successes.tiers.keys()
    assert set(successes.tiers.values()) == set(Tier)
    for task in successes.records:
        bar = successes.bar_ppm(task)
        assert any(successes.record(task, name).lower_ppm >= bar for name in successes.tiers)


def test_the_operators_own_table_is_read(tmp_path: Path) -> None:
    """From the file that a setting names; another one has another version."""
    shipped = json.loads(
        resources.files("cobot_meter.wiring.opening").joinpath("routing_table.json").read_bytes()
    )
    shipped["successes"]["code"]["deepseek/deepseek-chat"] = [1, 200]
    path = tmp_path / "table.json"
    path.write_text(json.dumps(shipped))
    settings = read_settings({"COBOT_METER_ROUTING_TABLE": str(path)})
    own = routing_table(settings.routing_table)
    assert own.successes.version != routing_table(None).successes.version


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"[" * 100_000, b"\xff", b" " * (BYTES_MAX + 1)]
)
def test_a_file_that_is_no_table_stops_the_start(tmp_path: Path, content: bytes) -> None:
    """With one sentence that names the setting and the file."""
    path = tmp_path / "table.json"
    path.write_bytes(content)
    with pytest.raises(SettingInvalid, match=r"COBOT_METER_ROUTING_TABLE .*table\.json"):
        routing_table(path)
    with pytest.raises(SettingInvalid, match="No such file"):
        routing_table(tmp_path / "none.json")
