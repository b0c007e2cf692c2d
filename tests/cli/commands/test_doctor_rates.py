"""`doctor` asks every source of the exchange rate and says what is wrong with each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cobot_meter.adapters.system_clock import SystemClock
from tests.cli.shop import CommandLine, command_line_in
from tests.fakes.servers.rate_services import RateServices, rate_services

FAILED = 1


@pytest.fixture
async def services() -> AsyncIterator[RateServices]:
    """All four well, around 64,000 USD."""
    async with rate_services() as up:
        up.say("64000", at_s=now_s())
        up.say("64000.5", "kraken", at_s=now_s())
        yield up


def now_s() -> int:
    """Unix seconds, as the commands see them."""
    return SystemClock().now_ms() // 1_000


def commands_of(folder: Path, services: RateServices) -> CommandLine:
    """Settings that name these services; nothing has been begun yet."""
    environ = command_line_in(folder / "data").environ
    return CommandLine({**environ, "COBOT_METER_RATE_SOURCES": services.sources})


async def rate_rows(commands: CommandLine) -> dict[str, dict[str, Any]]:
    """The rows about the rate, by name."""
    rows = await asyncio.to_thread(commands.read, "doctor")
    return {row["name"]: row for row in rows if row["name"].startswith("exchange rate")}


async def test_each_source_has_a_row_with_its_price(tmp_path: Path, services: RateServices) -> None:
    """The median and who stands behind it, and below it every reading; exit 0."""
    commands = commands_of(tmp_path, services)
    rows = await rate_rows(commands)
    assert {row["well"] for row in rows.values()} == {True}
    median = "1 BTC = 64000 USD (median:bitstamp,coinbase,kraken,mempool)"
    assert rows["exchange rate"]["detail"] == median
    assert rows["exchange rate: kraken"]["detail"].startswith("1 BTC = 64000.5 USD, ")
    shown = await asyncio.to_thread(commands.run, "doctor")
    assert shown.exit_code == 0
    assert any(median in line for line in shown.stdout.splitlines())


async def test_what_does_not_count_says_why(tmp_path: Path, services: RateServices) -> None:
    """Away, an outlier, too old: each in its own words, and without a majority no rate."""
    services.fail("kraken")
    services.say("32000", "coinbase", at_s=now_s())
    services.say("64000", "mempool", at_s=now_s() - 700)
    commands = commands_of(tmp_path, services)
    rows = await rate_rows(commands)
    assert rows["exchange rate"]["well"] is False
    assert rows["exchange rate"]["detail"] == "1 of 2 sources agree, 2 must"
    assert rows["exchange rate: bitstamp"]["well"] is True
    assert rows["exchange rate: kraken"]["detail"] == "answered 503"
    assert rows["exchange rate: mempool"]["detail"].endswith("s old: too old to count")
    assert (await asyncio.to_thread(commands.run, "doctor")).exit_code == FAILED


async def test_an_outlier_is_named(tmp_path: Path, services: RateServices) -> None:
    """The rate stands without it, and its row says that it is cut."""
    services.say("32000", "coinbase", at_s=now_s())
    rows = await rate_rows(commands_of(tmp_path, services))
    assert rows["exchange rate"]["detail"].endswith("(median:bitstamp,kraken,mempool)")
    assert rows["exchange rate: coinbase"]["well"] is False
    assert rows["exchange rate: coinbase"]["detail"].endswith("too far from the others")


async def test_a_wrong_source_is_one_line_and_exit_2(nothing: CommandLine) -> None:
    """Before anything is opened."""
    refused = await asyncio.to_thread(
        nothing.run, "serve", COBOT_METER_RATE_SOURCES="coinbase,kraken"
    )
    assert refused.exit_code == 2
    assert "COBOT_METER_RATE_SOURCES must be 3 names at least" in " ".join(refused.stderr.split())
