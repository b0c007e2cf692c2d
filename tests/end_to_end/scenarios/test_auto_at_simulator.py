"""`cobot/auto` on the whole service and the simulator, whatever goes wrong at the simulator."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from cobot_meter.domain.routing.stored import read_stored
from cobot_meter.wiring.app import Running, running_service
from cobot_meter.wiring.loops import refresh_prices
from cobot_meter.wiring.operator_offline import build_audit
from cobot_meter.wiring.settings.settings import read_settings
from cobot_pay import Budget, DevWallet, L402Auth
from tests.cli.shop import command_line_in
from tests.end_to_end.test_local_fallback import POLL_S, PORTS, WAIT_S

CODE = "cobot/auto:code"
FAULTS = (
    "status_503",
    "status_429",
    "reset_mid_stream",
    "cut_stream",
    "slow_record",
    "context_length_exceeded",
)


@contextlib.asynccontextmanager
async def agent_of(folder: Path) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """The service with its simulator and its prices, and an agent with a budget."""
    environ = {
        **command_line_in(folder).environ,
        "COBOT_METER_COMPARE_INTERVAL_S": "3600",
        "COBOT_METER_UNPAID_DAY_USD": "1000",
        **dict.fromkeys(PORTS, "127.0.0.1:0"),
    }
    async with running_service(read_settings(environ)) as running:
        await refresh_prices(running.service)
        auth = L402Auth(
            wallet=DevWallet(running.play_wallet_url), budget=Budget(total_msat=1_000_000)
        )
        async with httpx.AsyncClient(
            base_url=running.face.url, auth=auth, timeout=WAIT_S, trust_env=False
        ) as http:
            yield running, http


async def break_next(running: Running, fault: str) -> None:
    """The next run at the simulator ends so."""
    simulator = running.simulator
    assert simulator is not None
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{simulator.url}/control/faults", json={"next": [fault]})
        assert answer.status_code == httpx.codes.OK, answer.text


async def proven(running: Running) -> None:
    """All costs are found, equal what the simulator says was spent, and the audit passes."""
    service, parts = running.service, running.service.parts
    async with asyncio.timeout(WAIT_S):
        while (difference := await service.flows.operating.compare_costs.compare()) is None:
            await service.flows.recover.due(parts.clock.now_ms())
            await asyncio.sleep(POLL_S)
    assert difference == 0
    audit = build_audit(parts.reports, node=lambda: parts.node, upstream=parts.upstream)
    report = await audit.audit()
    assert report.findings == report.unchecked == ()


@pytest.mark.parametrize("fault", FAULTS)
async def test_it_is_bought_whatever_happens(tmp_path: Path, fault: str) -> None:
    """Somebody of the chain answers, the decision is that which is stored, and the books balance.

    From the file that the service really writes, the decision can be read again.
    """
    async with agent_of(tmp_path) as (running, http):
        await break_next(running, fault)
        messages = [{"role": "user", "content": "Parse a date."}]
        body = {"model": CODE, "messages": messages, "max_tokens": 60}
        bought = await http.post("/v1/chat/completions", json=body)
        assert bought.status_code == httpx.codes.OK, bought.text
        cobot = bought.json()["cobot"]
        stored = await running.service.parts.books.escrow(cobot["escrow_id"])
        assert stored is not None
        decision = read_stored(str(stored.route)).decision
        assert cobot["route"]["model"] == decision.model
        assert cobot["route"]["task_source"] == "declared"
        assert cobot["model"] in decision.choice.chain
        assert cobot["baseline"]["kind"] == "estimate"
        await proven(running)
