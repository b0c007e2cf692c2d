"""The service as its operator runs it, on a real lnd: restarts, a locked wallet, a sale."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from cobot_pay.lnd_wallet import LndWallet
from deploy.regtest.network import Network
from deploy.regtest.standing import bake_for_service, service_settings
from tests.end_to_end.live import READY_S, Live, ask_body, proof_of

pytestmark = pytest.mark.slow
FEE_MSAT = 50_000
AWAY, OK, PAY = 503, 200, 402
SETTING_WRONG = 2


@pytest.fixture
async def live(nodes: Network, tmp_path: Path) -> AsyncIterator[Live]:
    """A running service on bob's node."""
    bob = service_settings(nodes.bob, await bake_for_service(nodes.bob))
    pair = Live(tmp_path, settings={**bob, "COBOT_METER_NODE_PING_INTERVAL_S": "0.2"})
    try:
        await pair.start()
        yield pair
    finally:
        await pair.aclose()


def wallet_of(nodes: Network) -> LndWallet:
    """What an agent with alice's node pays with."""
    alice = nodes.alice
    return LndWallet(
        address=alice.rpc_address,
        tls_cert_path=alice.tls_cert_path,
        macaroon_path=alice.admin_macaroon_path,
    )


async def answered(live: Live, status: int, text: str, **proof: str) -> httpx.Response:
    """The answer to this ask, once it has that status."""
    until_s = time.monotonic() + READY_S
    while True:
        answer = await live.ask(ask_body(text), **proof)
        if answer.status_code == status or time.monotonic() > until_s:
            assert answer.status_code == status, answer.text
            return answer
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("moment", ["before the ask", "before the payment", "before the claim"])
async def test_lnd_restart_matrix(live: Live, nodes: Network, moment: str) -> None:
    """Row 21: lnd is killed and comes back at every step of a sale, and the sale is made."""
    if moment == "before the ask":
        await restarted(live, nodes)
    challenge = await answered(live, PAY, moment)
    if moment == "before the payment":
        await restarted(live, nodes)
    paid = await wallet_of(nodes).pay(challenge.json()["invoice"], max_fee_msat=FEE_MSAT)
    if moment == "before the claim":
        await nodes.bob.kill()
        new = await answered(live, AWAY, "something new")
        assert new.headers["retry-after"]
        await nodes.bob.start()
    proof = proof_of(challenge, paid.preimage)
    assert (await answered(live, OK, moment, **proof)).json()["choices"]
    book = await live.upstream_book()
    # What came in the very moment of the kill may have run, and waits for its invoice then.
    assert book["posts"] in ({1, 2} if moment == "before the claim" else {1})


async def restarted(live: Live, nodes: Network) -> None:
    """Killed, and paying again; the service has noticed both."""
    await nodes.bob.kill()
    await nodes.bob.start()
    await nodes.until_paying()
    await live.until_ready()


async def test_a_locked_wallet_stops_the_start_and_loses_nothing(
    live: Live, nodes: Network
) -> None:
    """One sentence and exit 2 while it is locked; unlocked, what was paid before is handed out."""
    challenge = await answered(live, PAY, "locked")
    paid = await wallet_of(nodes).pay(challenge.json()["invoice"], max_fee_msat=FEE_MSAT)
    live.kill()
    await nodes.bob.stop()
    await nodes.bob.start(unlock=False)
    live.service.start()
    assert live.service.process is not None
    said_before = len(live.log_lines())
    code = await asyncio.to_thread(live.service.process.wait, READY_S)
    assert code == SETTING_WRONG
    (sentence,) = live.log_lines()[said_before:] or live.log_lines()[-1:]
    assert "lncli unlock" in sentence
    await nodes.bob.unlock()
    await nodes.bob.until_ready()
    await live.start()
    proof = proof_of(challenge, paid.preimage)
    assert (await answered(live, OK, "locked", **proof)).json()["choices"]
