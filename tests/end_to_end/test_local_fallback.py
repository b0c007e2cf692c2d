"""The whole service, the simulator and a fake Ollama: the last link of a chain is a local one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cobot_meter.domain.errors import UpstreamUnreachable
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.wiring.app import Running, running_service
from cobot_meter.wiring.loops import refresh_prices
from cobot_meter.wiring.operator_offline import build_audit
from cobot_meter.wiring.settings.settings import read_settings
from cobot_pay import Budget, DevWallet, L402Auth
from tests.cli.shop import CommandLine, command_line_in
from tests.fakes.servers.ollama_server import ANSWER, FakeOllama, OllamaFault, fake_ollama
from tests.fakes.servers.serving import refused_address

PAID = "anthropic/claude-haiku-4.5"
LOCAL = "ollama/llama3.2:3b"
PROMPT_PUSD, ANSWER_PUSD = 20_000_000, 40_000_000
PORTS = ("COBOT_METER_LISTEN", "COBOT_METER_SIMULATOR_LISTEN", "COBOT_METER_NODE_LISTEN")
WAIT_S = 20.0
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Shop:
    """A running service, the Ollama beside it, and an agent that pays."""

    running: Running
    ollama: FakeOllama
    http: httpx.AsyncClient

    async def buy(self, model: str, **fields: object) -> httpx.Response:
        """One completion, paid for."""
        messages = [{"role": "user", "content": "Why do invoices expire?"}]
        body = {"model": model, "messages": messages, "max_tokens": 100, **fields}
        return await self.http.post("/v1/chat/completions", json=body)

    async def break_paid(self, fault: str) -> None:
        """Every run at the simulator ends so."""
        simulator = self.running.simulator
        assert simulator is not None
        async with httpx.AsyncClient(trust_env=False) as http:
            body = {"by_model": {PAID: fault}}
            answer = await http.post(f"{simulator.url}/control/faults", json=body)
            assert answer.status_code == httpx.codes.OK, answer.text

    async def proven(self) -> None:
        """All costs are found, equal what both upstreams say was spent, and the audit passes."""
        service, parts = self.running.service, self.running.service.parts
        async with asyncio.timeout(WAIT_S):
            while (difference := await service.flows.operating.compare_costs.compare()) is None:
                await service.flows.recover.due(parts.clock.now_ms())
                await asyncio.sleep(POLL_S)
        assert difference == 0
        audit = build_audit(parts.reports, node=lambda: parts.node, upstream=parts.upstream)
        report = await audit.audit()
        assert report.findings == report.unchecked == ()
        assert report.figures.unexplained_pusd == 0

    @property
    def earned_pusd(self) -> int:
        """The tariff on what the Ollama sent whole."""
        return sum(
            prompt * PROMPT_PUSD + completion * ANSWER_PUSD
            for prompt, completion in self.ollama.answered
        )


def commands_of(folder: Path, url: str, **more: str) -> CommandLine:
    """Settings with an Ollama at this address, the last link of the operator's chain."""
    environ = {
        **command_line_in(folder).environ,
        "COBOT_METER_OLLAMA_URL": url,
        "COBOT_METER_OLLAMA_MODELS": "llama3.2:3b 8192 20 40",
        "COBOT_METER_FALLBACK_MODELS": LOCAL,
        "COBOT_METER_COMPARE_INTERVAL_S": "3600",
        "COBOT_METER_UNPAID_DAY_USD": "1000",  # each attempt of a chain takes its own of the day
        **dict.fromkeys(PORTS, "127.0.0.1:0"),
    }
    return CommandLine({**environ, **more})


@contextlib.asynccontextmanager
async def shop_of(commands: CommandLine, ollama: FakeOllama) -> AsyncIterator[Shop]:
    """The service of these settings, with its prices, and an agent with a budget."""
    async with running_service(read_settings(commands.environ)) as running:
        with contextlib.suppress(UpstreamUnreachable):
            await refresh_prices(running.service)
        auth = L402Auth(
            wallet=DevWallet(running.play_wallet_url), budget=Budget(total_msat=1_000_000)
        )
        async with httpx.AsyncClient(
            base_url=running.face.url, auth=auth, timeout=WAIT_S, trust_env=False
        ) as http:
            yield Shop(running, ollama, http)


@pytest.fixture
async def ollama() -> AsyncIterator[FakeOllama]:
    """A fresh one."""
    async with fake_ollama() as fake:
        yield fake


@pytest.mark.parametrize("fault", ["status_503", "reset_mid_stream"])
async def test_answered_by_the_last_link(tmp_path: Path, ollama: FakeOllama, fault: str) -> None:
    """The paid model fails: the local one answers at its tariff, and the books balance."""
    async with shop_of(commands_of(tmp_path, ollama.url), ollama) as shop:
        await shop.break_paid(fault)
        bought = await shop.buy(PAID)
        assert bought.status_code == httpx.codes.OK, bought.text
        answer: dict[str, Any] = bought.json()
        assert answer["model"] == LOCAL
        assert answer["choices"][0]["message"]["content"].strip() == ANSWER
        assert answer["cobot"]["fallback"]["asked_model"] == PAID
        cost = answer["cobot"]["cost"]
        assert pusd_from_text(cost["upstream_usd"]) == shop.earned_pusd > 0
        found = (await shop.http.get("/v1/generation", params={"id": answer["id"]})).json()["data"]
        assert found["model"] == LOCAL
        await shop.proven()


async def test_a_local_model_is_one_of_the_list(tmp_path: Path, ollama: FakeOllama) -> None:
    """Listed, quoted, asked for directly and looked at like any other, whole or as a stream."""
    async with shop_of(commands_of(tmp_path, ollama.url), ollama) as shop:
        rows = (await shop.http.get("/v1/models")).json()["data"]
        row = next(row for row in rows if row["id"] == LOCAL)
        assert row["context_length"] == 8_192
        assert (await shop.http.get(row["links"]["details"])).status_code == httpx.codes.OK
        asked = {"model": LOCAL, "messages": [{"role": "user", "content": "Hm?"}]}
        quote = (await shop.http.post("/v1/quotes", json=asked)).json()
        assert int(quote["ceiling"]["msat"]) > 0
        for stream in (False, True):
            bought = await shop.buy(LOCAL, stream=stream)
            assert bought.status_code == httpx.codes.OK, bought.text
            assert "ollama/llama3.2:3b" in bought.text
        await shop.proven()


@pytest.mark.parametrize("fault", [OllamaFault.CUT, OllamaFault.NO_USAGE])
async def test_a_broken_local_answer_is_nobodys_bill(
    tmp_path: Path, ollama: FakeOllama, fault: OllamaFault
) -> None:
    """It is not sold, it cost nothing, and a caller's own chain goes on from it."""
    async with shop_of(commands_of(tmp_path, ollama.url), ollama) as shop:
        ollama.faults.append(fault)
        bought = await shop.buy(LOCAL, models=[PAID])
        assert bought.status_code == httpx.codes.OK, bought.text
        assert bought.json()["cobot"]["fallback"]["asked_model"] == LOCAL
        assert shop.earned_pusd == 0
        await shop.proven()


async def test_an_ollama_that_is_away_stops_nothing(tmp_path: Path) -> None:
    """The service starts, lists it and sells the paid models; the local one is just not there."""
    with refused_address() as nowhere:
        async with shop_of(commands_of(tmp_path, nowhere), FakeOllama()) as shop:
            assert (await shop.buy(PAID)).status_code == httpx.codes.OK
            listed = {row["id"] for row in (await shop.http.get("/v1/models")).json()["data"]}
            assert {PAID, LOCAL} <= listed
            away = await shop.buy(LOCAL, models=[LOCAL])
            assert away.status_code == httpx.codes.SERVICE_UNAVAILABLE, away.text
            await shop.proven()


async def test_books_stay_whole_without_the_setting(tmp_path: Path, ollama: FakeOllama) -> None:
    """What was metered stays in the sum after the Ollama has left the settings."""
    commands = commands_of(tmp_path, ollama.url)
    async with shop_of(commands, ollama) as shop:
        assert (await shop.buy(LOCAL)).status_code == httpx.codes.OK
        await shop.proven()
    unset = dict.fromkeys(("OLLAMA_URL", "OLLAMA_MODELS"), "")
    without = {f"COBOT_METER_{name}": value for name, value in unset.items()}
    async with shop_of(CommandLine({**commands.environ, **without}), ollama) as shop:
        refused = await shop.buy(LOCAL)
        assert refused.status_code == httpx.codes.NOT_FOUND, refused.text
        assert (await shop.buy(PAID)).status_code == httpx.codes.OK
        await shop.proven()


async def test_sold_while_the_paid_upstream_is_away(tmp_path: Path, ollama: FakeOllama) -> None:
    """After a restart without OpenRouter the local model is on offer; nothing else has a price."""
    commands = commands_of(tmp_path, ollama.url)
    async with shop_of(commands, ollama):
        pass
    with refused_address() as nowhere:
        away = {
            "COBOT_METER_UPSTREAM": "openrouter",
            "COBOT_METER_UPSTREAM_URL": nowhere,
            "OPENROUTER_API_KEY": "sk-or-v1-simulated",
        }
        async with shop_of(CommandLine({**commands.environ, **away}), ollama) as shop:
            assert (await shop.buy(LOCAL)).status_code == httpx.codes.OK
            refused = await shop.buy(PAID)
            assert refused.status_code >= httpx.codes.INTERNAL_SERVER_ERROR, refused.text
    async with shop_of(commands, ollama) as shop:
        assert shop.earned_pusd > 0
        await shop.proven()
