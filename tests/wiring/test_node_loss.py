"""A running service whose lnd goes away: it refuses new asks, hands out what is paid, and stays."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cobot_meter.adapters.lightning.lnd.stubs import staterpc
from cobot_meter.wiring.app import Running, running_service
from cobot_meter.wiring.settings.settings import read_settings
from tests.cli.shop import command_line_in
from tests.end_to_end.live import ask_body, proof_of
from tests.fakes.lnd.lnd_certificates import make_tls_pair
from tests.fakes.lnd.lnd_server import FakeLnd
from tests.wiring.patience import answered

OK, PAY, AWAY = 200, 402, 503
TRIES, PAUSE_S = 600, 0.02


@dataclass
class Shop:
    """A service in this event loop, and the node it sells with."""

    running: Running
    lnd: FakeLnd
    http: httpx.AsyncClient

    async def ask(self, text: str, **headers: str) -> httpx.Response:
        """One ask over HTTP."""
        url = f"{self.running.face.url}/v1/chat/completions"
        return await self.http.post(url, json=ask_body(text), headers=headers)

    async def bought(self, text: str) -> tuple[httpx.Response, dict[str, str]]:
        """What was asked, paid for and read, and the proof it is read with."""
        challenge = await self.ask(text)
        proof = self.paid(challenge)
        return await self.ask(text, **proof), proof

    def paid(self, challenge: httpx.Response) -> dict[str, str]:
        """The proof, after the node has taken the money."""
        preimage = self.lnd.memory.pay(challenge.json()["invoice"])
        assert preimage
        return proof_of(challenge, preimage)

    async def readiness(self) -> int:
        """The status of `/readyz`."""
        return (await self.http.get(f"{self.running.face.url}/readyz")).status_code

    async def until_new_asks_get(self, status: int) -> httpx.Response:
        """The first answer with this status to an ask that nobody has sent before."""
        said = ""
        for number in range(TRIES):
            answer = await self.ask(f"{status} {number}")
            if answer.status_code == status:
                return answer
            said = answer.text
            await asyncio.sleep(PAUSE_S)
        raise TimeoutError(said)

    async def refuses(self) -> None:
        """New asks are refused soon, and told when to come again."""
        answer = await self.until_new_asks_get(AWAY)
        assert answer.json()["error"]["code"] == "node_unavailable"
        assert answer.headers["retry-after"]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """Selling with a fake lnd."""
    lnd = FakeLnd(tmp_path)
    await lnd.start()
    access = lnd.access()
    settings = {
        **command_line_in(tmp_path / "data").environ,
        "COBOT_METER_NODE": "lnd",
        "COBOT_METER_LND_ADDRESS": access.address,
        "COBOT_METER_LND_TLS_CERT": str(access.tls_cert_path),
        "COBOT_METER_LND_MACAROON": str(access.macaroon_path),
        "COBOT_METER_NODE_PING_INTERVAL_S": "0.05",
        "COBOT_METER_SWEEP_INTERVAL_S": "0.2",
    }
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(lnd.stop)
        running = await stack.enter_async_context(running_service(read_settings(settings)))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=30.0, trust_env=False))
        await answered(running.service.flows.catalogue.refresh)
        await answered(running.service.flows.operating.compare_costs.baseline)
        yield Shop(running, lnd, http)


async def test_no_process_exit_on_stream_loss(shop: Shop) -> None:
    """Row 23: lnd goes and comes back; what was paid meanwhile is found, and nothing has ended."""
    read, proof = await shop.bought("first")
    assert read.status_code == OK
    waiting = await shop.ask("second")
    await shop.lnd.stop()
    await shop.refuses()
    assert await shop.readiness() == AWAY
    again = await shop.ask("first", **proof)
    assert (again.status_code, again.content) == (OK, read.content)
    meanwhile = shop.paid(waiting)
    await shop.lnd.start()
    await shop.until_new_asks_get(PAY)
    assert (await shop.ask("second", **meanwhile)).status_code == OK
    third, _ = await shop.bought("third")
    assert third.status_code == OK


async def test_a_locked_wallet_refuses_new_asks_only(shop: Shop) -> None:
    """Locked while it runs: 503 for what is new, the paid one is read; unlocked, it goes on."""
    read, proof = await shop.bought("first")
    shop.lnd.faults.state = staterpc.LOCKED
    await shop.refuses()
    assert (await shop.ask("first", **proof)).content == read.content
    shop.lnd.faults.state = staterpc.SERVER_ACTIVE
    await shop.until_new_asks_get(PAY)
    assert (await shop.bought("second"))[0].status_code == OK


async def test_a_changed_certificate_is_taken_up_without_a_restart(shop: Shop) -> None:
    """New asks are refused until the new file lies where the old one was."""
    read, proof = await shop.bought("first")
    await shop.lnd.stop()
    shop.lnd.pair = make_tls_pair()
    await shop.lnd.start()
    await shop.refuses()
    assert (await shop.ask("first", **proof)).content == read.content
    shop.lnd.show_certificate()
    await shop.until_new_asks_get(PAY)
    assert (await shop.bought("second"))[0].status_code == OK
