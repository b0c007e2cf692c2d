"""What an agent installs buys an edition without knowing that there are editions."""

from __future__ import annotations

from pathlib import Path

import httpx

from cobot_meter.adapters.bench_records import RecordFile
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.domain.benchmarks.record import MS_PER_DAY
from cobot_pay import DevWallet
from cobot_pay.budget import Budget
from cobot_pay.l402_auth import L402Auth
from tests.cli.shop import command_line_in, selling
from tests.domain.benchmarks.bench_records import record


async def test_a_paying_client_buys_an_edition_once(tmp_path: Path) -> None:
    """It pays the 402 and repeats; a second look costs nothing, and the books are right."""
    RecordFile(tmp_path).append(record(0, at_ms=SystemClock().now_ms() - MS_PER_DAY))
    commands = command_line_in(tmp_path)
    commands = type(commands)({**commands.environ, "COBOT_METER_BENCHMARKS_PRICE_SAT": "25"})
    async with selling(commands) as (running, _):
        budget = Budget(total_msat=100_000)
        auth = L402Auth(wallet=DevWallet(running.play_wallet_url), budget=budget)
        async with httpx.AsyncClient(
            base_url=running.face.url, auth=auth, trust_env=False
        ) as agent:
            replies = [await agent.get("/v1/benchmarks") for _ in range(2)]
        assert [one.status_code for one in replies] == [200, 200]
        assert replies[0].content == replies[1].content
        assert budget.spent_msat == 25_000
