"""The whole service, under every fault of its own machine: no byte of what is private leaves it.

The gateway keeps all that it is sent, and a guard at the sockets of this process fails whatever
would go to another machine.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from cobot_meter.wiring.app import running_service
from cobot_meter.wiring.loops import refresh_prices
from cobot_meter.wiring.settings.settings import read_settings
from cobot_pay import Budget, DevWallet, L402Auth
from tests.cli.shop import command_line_in
from tests.fakes.servers.ollama_server import FakeOllama, OllamaFault, fake_ollama
from tests.fakes.servers.outside_connects import OutsideConnects, no_outside_connects
from tests.fakes.servers.recording_gateway import MODEL, RecordingGateway, recording_gateway
from tests.fakes.servers.serving import refused_address

PORTS = ("COBOT_METER_LISTEN", "COBOT_METER_SIMULATOR_LISTEN", "COBOT_METER_NODE_LISTEN")
MARK = "4111 1111 1111 1111"
WAIT_S = 30.0
UNROUTABLE = 422


@dataclass(frozen=True, slots=True)
class Shop:
    """A running service between its own machine's model and a gateway, and who buys of it."""

    http: httpx.AsyncClient
    ollama: FakeOllama
    gateway: RecordingGateway
    guard: OutsideConnects
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def ask(self, text: str, *, model: str = MODEL, **fields: object) -> httpx.Response:
        """One completion, paid for; no two are the same request."""
        said = f"{text} (number {next(self.numbers)})"
        body = {"model": model, "messages": [{"role": "user", "content": said}], "max_tokens": 50}
        return await self.http.post("/v1/chat/completions", json={**body, **fields})

    def prove_nothing_left(self) -> None:
        """Neither to the gateway nor to any other machine."""
        assert MARK.encode() not in self.gateway.received
        assert self.guard.tried == []


@contextlib.asynccontextmanager
async def open_shop(folder: Path, *, ollama_url: str | None = None) -> AsyncIterator[Shop]:
    """The service as it is started, with a chain of the operator's that ends at the gateway."""
    with no_outside_connects() as guard:
        async with fake_ollama() as ollama, recording_gateway() as gateway:
            environ = {
                **command_line_in(folder).environ,
                "COBOT_METER_UPSTREAM": "openrouter",
                "COBOT_METER_UPSTREAM_URL": gateway.url,
                "OPENROUTER_API_KEY": "sk-or-v1-simulated",
                "COBOT_METER_UPSTREAM_TIMEOUT_S": "1",
                "COBOT_METER_OLLAMA_URL": ollama_url or ollama.url,
                "COBOT_METER_OLLAMA_MODELS": "llama3.2:3b 8192 20 40",
                "COBOT_METER_PRIVATE_MODEL": "ollama/llama3.2:3b",
                "COBOT_METER_FALLBACK_MODELS": MODEL,
                "COBOT_METER_UNPAID_DAY_USD": "1000",
                **dict.fromkeys(PORTS, "127.0.0.1:0"),
            }
            async with running_service(read_settings(environ)) as running:
                await refresh_prices(running.service)
                wallet = DevWallet(running.play_wallet_url)
                auth = L402Auth(wallet=wallet, budget=Budget(total_msat=10_000_000))
                async with httpx.AsyncClient(
                    base_url=running.face.url, auth=auth, timeout=WAIT_S, trust_env=False
                ) as http:
                    yield Shop(http, ollama, gateway, guard)


ASKS: tuple[dict[str, Any], ...] = (
    {},  # detected
    {"cobot": {"privacy": "local"}},
    {"cobot": {"privacy": "public"}},  # and detected all the same
    {"model": "cobot/private"},
    {"models": [MODEL, "ollama/llama3.2:3b"]},
    {"stream": True},
)


async def test_no_fault_of_this_machine_sends_a_private_request_elsewhere(tmp_path: Path) -> None:
    """Refusals, failures, cuts, silence, nonsense: every one ends here, as an answer or a 422."""
    async with open_shop(tmp_path) as shop:
        asks = itertools.cycle(ASKS)
        for fault in OllamaFault:
            shop.ollama.faults.append(fault)
            reply = await shop.ask(f"charge {MARK}", **next(asks))
            shop.ollama.faults.clear()
            assert reply.status_code in {200, UNROUTABLE, 502}, (fault, reply.text)
            assert MARK not in reply.text
            shop.prove_nothing_left()
        assert shop.ollama.posts >= len(OllamaFault)


@pytest.mark.parametrize("fields", ASKS)
async def test_a_machine_that_is_down_is_a_refusal(tmp_path: Path, fields: dict[str, Any]) -> None:
    """422 with a sentence, before or within the answer, and nothing goes anywhere."""
    with refused_address() as nowhere:
        async with open_shop(tmp_path, ollama_url=nowhere) as shop:
            reply = await shop.ask(f"charge {MARK}", **fields)
            assert reply.status_code == UNROUTABLE, reply.text
            assert reply.json()["error"]["code"] == "privacy_unroutable"
            shop.prove_nothing_left()


async def test_a_model_that_runs_elsewhere_by_another_name_is_not_asked(tmp_path: Path) -> None:
    """Ollama would pass it on to its cloud: it is looked up before each run."""
    async with open_shop(tmp_path) as shop:
        assert (await shop.ask(f"charge {MARK}")).status_code == httpx.codes.OK
        posts = shop.ollama.posts
        shop.ollama.remote = {"remote_host": "https://ollama.com:443", "remote_model": "big"}
        reply = await shop.ask(f"charge {MARK}")
        assert reply.status_code == UNROUTABLE, reply.text
        assert shop.ollama.posts == posts
        shop.prove_nothing_left()


async def test_the_proof_would_see_what_leaves(tmp_path: Path) -> None:
    """A public request does reach the gateway, and the guard does fail a way out."""
    async with open_shop(tmp_path) as shop:
        await shop.ask("nothing of anybody")
        assert b"nothing of anybody" in shop.gateway.received
        async with httpx.AsyncClient(trust_env=False) as http:
            with pytest.raises((httpx.ConnectError, PermissionError)):
                await http.get("http://203.0.113.7/")
        assert shop.guard.tried == ["203.0.113.7"]
