"""Another key upstream: `doctor` and `audit` ring, and `upstream rebase` is the operator's word."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.domain.upstream.usage import key_mark
from cobot_meter.wiring.settings.settings import read_settings
from tests.cli.shop import CommandLine, selling
from tests.cli.test_damaged_books import damaged


def of_another_key(commands: CommandLine) -> CommandLine:
    """The same shop, with books that have always counted against another key."""
    mark = key_mark(read_settings(commands.environ).upstream.api_key.reveal())
    swap = f"replace(facts, '{mark}', 'f00dfeedf00dfeed')"
    damaged(commands, f"UPDATE journal SET facts = {swap} WHERE subject_id = 'upstream'")  # noqa: S608
    return commands


def test_another_key_is_a_finding_and_rings_in_doctor(shop: CommandLine) -> None:
    """Both name the keys by their marks, and neither shows a key."""
    same = next(row for row in shop.read("doctor") if row["name"] == "upstream usage")
    assert same["well"] is True
    other = of_another_key(shop)
    audit = other.run("audit")
    assert audit.exit_code == ExitCode.FINDING
    assert "upstream_key_changed" in audit.stdout
    usage = next(row for row in other.read("doctor") if row["name"] == "upstream usage")
    assert usage["well"] is False
    assert "upstream rebase" in usage["detail"]
    assert "f00dfeedf00dfeed" in usage["detail"]


def test_the_operators_word_ends_the_ringing(
    shop: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    """A running service rings and sells on; after the word it is quiet, and the audit content."""
    listens = {"COBOT_METER_METRICS_LISTEN": "127.0.0.1:0"}
    other = of_another_key(CommandLine({**shop.environ, **listens}))

    async def run() -> None:
        async with selling(other) as (running, _), httpx.AsyncClient() as http:
            url = f"{running.face.url}/readyz"
            ready = await http.get(url)
            assert ready.status_code == 200
            assert ready.json()["notices"] == {"upstream_usage": "upstream_key_changed"}
            assert running.metrics is not None
            metrics = (await http.get(f"{running.metrics.url}/metrics")).text
            assert "cobot_meter_upstream_usage_alarm 1.0" in metrics
            said = await asyncio.to_thread(
                other.spawn, "upstream", "rebase", "--reason", "the key was rotated"
            )
            assert said.returncode == 0, said.stderr
            assert "baseline 1" in said.stdout
            for _ in range(2):
                await running.service.flows.operating.compare_costs.compare()
            assert running.service.flows.operating.compare_costs.alarm is None

    asyncio.run(run())
    assert "upstream_key_changed" in caplog.text
    assert other.run("audit").exit_code == ExitCode.RIGHT


def test_a_word_without_a_reason_is_refused(shop: CommandLine) -> None:
    """The reason is what the journal keeps: usage, exit 2."""
    assert shop.run("upstream", "rebase").exit_code == ExitCode.USAGE
