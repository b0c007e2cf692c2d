"""The whole service, and the keys of the day that it does not find."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from cobot_meter.cli.demo.agent import Agent
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.wiring.app import Running, running_service
from cobot_meter.wiring.settings.settings import BODY_KEYS, read_settings
from cobot_pay import DevWallet
from tests.cli.shop import command_line_in, order
from tests.wiring.patience import answered

METRIC = "cobot_meter_body_keys"
DIRECTORY = "COBOT_METER_BODY_KEYS_DIR"


def agent_of(running: Running) -> Agent:
    """Who asks and pays."""
    return Agent(service_url=running.face.url, wallet=DevWallet(running.play_wallet_url))


async def ready(running: Running) -> tuple[int, str | None]:
    """Status of `/readyz`, and the code at the keys of the day."""
    async with httpx.AsyncClient(base_url=running.face.url, trust_env=False) as http:
        answer = await http.get("/readyz")
    return answer.status_code, answer.json()["parts"]["body_keys"]["code"]


async def test_a_service_without_the_keys_of_its_bodies_sells_nothing_and_says_so(
    tmp_path: Path,
) -> None:
    """Not ready, refused before anything is spent, a wrong line in `doctor`; then all goes on."""
    commands = command_line_in(tmp_path / "data")
    folder = tmp_path / "data" / BODY_KEYS
    async with running_service(read_settings(commands.environ)) as running:
        await answered(running.service.flows.catalogue.refresh)
        agent = agent_of(running)
        await agent.only_ask(order("Write 200 words on vaults."))
        assert await ready(running) == (200, None)
        await agent.aclose()
    (key,) = await asyncio.to_thread(lambda: [path.name for path in folder.glob("*.key")])
    elsewhere = {**commands.environ, DIRECTORY: str(tmp_path / "elsewhere")}
    async with running_service(read_settings(elsewhere)) as running:
        await answered(running.service.flows.catalogue.refresh)
        assert await ready(running) == (503, "body_keys_unusable")
        read = running.service.parts.metrics.registry.get_sample_value
        assert (read(f"{METRIC}_missing"), read(f"{METRIC}_unusable")) == (1, 1)
        async with httpx.AsyncClient(base_url=running.face.url, trust_env=False) as http:
            body = {"model": order("").model, "messages": [{"role": "user", "content": "?"}]}
            refused = await http.post("/v1/chat/completions", json=body)
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert refused.json()["error"]["code"] == "body_keys_unusable"
        assert str(tmp_path) not in refused.text
        doctor = await asyncio.to_thread(
            commands.spawn, "doctor", "--json", **{DIRECTORY: str(tmp_path / "elsewhere")}
        )
        assert f"touch {key.removesuffix('.key')}." in doctor.stdout
        assert await asyncio.to_thread(copied, folder, tmp_path / "elsewhere") == key
        await running.service.flows.keep_body_keys.look()
        running.service.flows.keep_body_keys.check()
        assert (read(f"{METRIC}_missing"), read(f"{METRIC}_unusable")) == (0, 0)
        agent = agent_of(running)
        purchase = await agent.buy(order("Write 300 words on vaults."))
        await agent.aclose()
        row = await running.service.parts.books.escrow(purchase.escrow["id"])
        assert row is not None
        assert row.progress is Progress.RELEASED
    assert (await asyncio.to_thread(commands.spawn, "audit")).returncode == 0


def copied(folder: Path, elsewhere: Path) -> str:
    """The key of the day, brought to where the service looks."""
    assert not elsewhere.exists(), "nothing is made where the keys should be"
    elsewhere.mkdir(mode=0o700)
    (source,) = folder.glob("*.key")
    target = elsewhere / f"{source.stem}-found.key"
    target.write_bytes(source.read_bytes())
    target.chmod(0o600)
    return source.name
