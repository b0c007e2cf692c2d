"""Wallets inside a real cobot: over Nostr, at an LND, and ours in place of the cobot's own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from cobot_meter.adapters.lightning.lnd.stubs import lnrpc
from cobot_pay.invoice_terms import read_invoice
from deploy.cobots.real_cobot import COBOT, own_plugins
from tests.architecture.source_tree import ROOT
from tests.client.fake_router import MACAROON, NEVER_HEARD, FakeRouter, serving_router
from tests.client.wallets.nwc_service import NwcService, serving_wallet
from tests.end_to_end.agents.buying_cobots import BuyingCobot
from tests.end_to_end.agents.foreign_agents import needed
from tests.end_to_end.agents.test_cobot_buys import meter
from tests.end_to_end.live import Live, ask_body

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]
PACKAGES = own_plugins().parents[1] if COBOT.exists() else Path("cobot")
# What a model can make a wallet plugin do is what is registered as its tools: here, nothing.
OF_THE_PLUGIN = """
import asyncio, json, sys
from cobot_pay.cobot_wallet.plugin import create_plugin
from cobot.plugins.interfaces import WalletError, WalletProvider
plugin = create_plugin()
assert isinstance(plugin, WalletProvider) and "tools" not in plugin.meta.capabilities
plugin.configure(json.loads(sys.argv[1]))
async def use():
    await plugin.start()
    said = [plugin.pay(one) for one in sys.argv[2:]]
    for ask in (plugin.get_balance, plugin.get_receive_address):
        try:
            said.append(ask())
        except WalletError as fault:
            said.append(str(fault))
    return said
print(json.dumps(asyncio.run(use())))
"""


@pytest.fixture(autouse=True)
def _cobot_is_there() -> None:
    needed(COBOT)


class PayingRouter(FakeRouter):
    """An LND's router that pays what it is asked to, through the development node."""

    def __init__(self, live: Live) -> None:
        super().__init__(send=[NEVER_HEARD], track=[NEVER_HEARD])
        self._live = live

    async def SendPaymentV2(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401, N802
        """Pay it, at a fee of 7 msat."""
        self.sent.append(request)
        self.macaroons |= {v for name, v in context.invocation_metadata() if "mac" in name}
        preimage = await self._live.pay(request.payment_request)
        yield lnrpc.Payment(
            status=lnrpc.Payment.SUCCEEDED,
            payment_hash=sha256(bytes.fromhex(preimage)).hexdigest(),
            payment_preimage=preimage,
            value_msat=read_invoice(request.payment_request).amount_msat,
            fee_msat=7,
        )


async def test_a_cobot_buys_over_nostr(live: Live, tmp_path: Path) -> None:
    """Its wallet is anywhere, behind a relay; the fee that it charged counts."""
    needed(PACKAGES / "aiohttp")

    class PayingService(NwcService):
        """Learns its preimages by paying at the development node."""

        def _pay(self, invoice: str) -> dict[str, Any]:
            asked = {"payment_request": invoice}
            paid = httpx.post(f"{live.node}/pay", json=asked, trust_env=False).json()
            self.preimages[read_invoice(invoice).payment_hash] = paid["payment_preimage"]
            return super()._pay(invoice)

    async with serving_wallet(PayingService) as service:
        cobot = BuyingCobot(tmp_path / "a", meter(live, wallet="nwc", nwc=service.uri))
        said = await cobot.hears("About bridges.")
    assert "bridges" in said.text, said.log
    assert [one["method"] for one in service.seen] == ["pay_invoice"]
    (receipt,) = cobot.budget.receipts()
    assert (receipt.state, len(receipt.preimage)) == ("paid", 64)
    (paid,) = service.paid.values()
    assert receipt.amount_msat == paid["amount"] + paid["fees_paid"]


async def test_a_cobot_buys_with_its_lnd(live: Live, tmp_path: Path) -> None:
    """The node gets the macaroon and a limit for the fee; what it charged counts."""
    needed(PACKAGES / "lndgrpc")
    router = PayingRouter(live)
    async with serving_router(router, tmp_path) as address:
        files = {"tls": str(tmp_path / "tls.cert"), "macaroon": str(tmp_path / "pay.macaroon")}
        block = meter(live, wallet="lnd", lnd={"address": address, **files})
        cobot = BuyingCobot(tmp_path / "a", block)
        said = await cobot.hears("About bridges.")
    assert "bridges" in said.text, said.log
    (sent,) = router.sent
    assert router.macaroons == {MACAROON.hex()}
    assert sent.fee_limit_msat == 5_000
    (receipt,) = cobot.budget.receipts()
    assert receipt.amount_msat == read_invoice(sent.payment_request).amount_msat + 7


async def test_a_wallet_that_needs_more_says_what_to_install(live: Live, tmp_path: Path) -> None:
    """A cobot without the extra of its wallet does not start, and reads one sentence."""
    uri = f"nostr+walletconnect://{'a' * 64}?relay=ws%3A%2F%2F127.0.0.1%3A1&secret={'b' * 64}"
    cobot = BuyingCobot(tmp_path / "a", meter(live, wallet="nwc", nwc=uri))
    cobot.home.mkdir()
    (cobot.home / "aiohttp.py").write_text("raise ModuleNotFoundError(name='aiohttp')\n")
    said = await cobot.hears("About bridges.")
    assert said.code == 1
    assert "this wallet needs more: pip install 'cobot-pay[nwc]' (aiohttp)" in said.log
    assert "Traceback" not in said.log


async def test_our_wallet_pays_as_a_cobots_own(live: Live, tmp_path: Path) -> None:
    """Once, within the budget, with the preimage; what it cannot tell it says as cobot wants it."""
    dear = (await live.ask(ask_body("Of dear bridges."))).json()["invoice"]
    block = meter(live, home=str(tmp_path / "pay"), budget_sat_day=1)
    price_msat = read_invoice(dear).amount_msat
    assert price_msat <= 1_000
    paid, again, balance, address = await _used(tmp_path, live, block, dear, dear)
    assert paid["success"], paid
    assert sha256(bytes.fromhex(paid["preimage"])).hexdigest() == read_invoice(dear).payment_hash
    assert f"paid {price_msat:,} msat" in paid["output"]
    assert again == {"success": False, "error": again["error"]}
    assert "not paid again" in again["error"] or "of the day limit" in again["error"]
    assert balance == "this wallet does not tell what it holds"
    assert "your node's own" in address


async def _used(
    home: Path, live: Live, block: dict[str, object], *invoices: str
) -> tuple[Any, Any, Any, Any]:
    """What the wallet plugin answers to these payments, and to two more questions."""
    config = {"cobot-meter": block, "cobot-pay-wallet": {"wallet": f"dev:{live.node}"}}
    told = await asyncio.to_thread(
        subprocess.run,
        [str(COBOT.with_name("python")), "-c", OF_THE_PLUGIN, json.dumps(config), *invoices],
        env={**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT / "client")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    first, second, third, fourth = json.loads(told.stdout.splitlines()[-1])
    return first, second, third, fourth
