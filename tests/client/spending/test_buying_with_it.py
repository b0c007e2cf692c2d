"""A purchase with a budget on disk: the next process is the same caller, and pays nothing twice."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from cobot_pay import L402Auth, PaymentFailed, PaymentUnknown
from cobot_pay.spending.stored_budget import StoredBudget
from tests.client.seller import Seller, SellersWallet
from tests.client.shop import AT_ONCE, URL, body, said
from tests.fakes.servers.serving import serving


class Buyer:
    """A process that buys: its own auth and budget object, on a shared file."""

    def __init__(self, seller: Seller, folder: Path) -> None:
        self.wallet = SellersWallet(seller)
        self.budget = StoredBudget(folder / "book.sqlite")
        self.auth = L402Auth(wallet=self.wallet, budget=self.budget, terms=AT_ONCE)
        self._transport = seller.transport()

    def ask(self, text: str = "hello") -> httpx.Response:
        with httpx.Client(transport=self._transport, auth=self.auth) as http:
            return http.post(URL, json=body(text))


def test_the_next_process_is_the_same_caller(tmp_path: Path) -> None:
    """It shows the newest token of the origin at once, and no `tokens=` was handed over."""
    seller = Seller()
    first, second = Buyer(seller, tmp_path), None
    assert said(first.ask("one")) == "You said: one"
    second = Buyer(seller, tmp_path)
    assert said(second.ask("two")) == "You said: two"
    assert seller.callers[-2] == seller.callers[-1] == seller.callers[1]
    receipts = second.budget.receipts()
    assert [(one.state, one.amount_msat) for one in receipts] == [("paid", 7_000)] * 2
    assert second.budget.spent_today_msat == 14_000


def test_what_one_process_paid_another_shows(tmp_path: Path) -> None:
    """A process that began earlier meets the invoice that another has paid: proof, no payment."""
    seller = Seller()
    first, second = Buyer(seller, tmp_path), Buyer(seller, tmp_path)
    first.ask()
    assert said(second.ask()) == "You said: hello"
    assert second.wallet.paid == []


def test_what_another_process_is_paying_is_not_paid(tmp_path: Path) -> None:
    """It may have been paid by a process that is gone: unknown until somebody says so."""
    seller = Seller()
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    first = Buyer(seller, tmp_path)
    first.wallet.lie = "ff" * 32  # so that it stays unknown
    with pytest.raises(PaymentUnknown):
        first.ask()
    with first.budget.book.change() as book:
        book.execute("UPDATE payment SET state = 'reserved', process = ?", (dead.pid,))
    assert first.budget.receipts(unknown_only=True) == []
    second = Buyer(seller, tmp_path)
    with pytest.raises(PaymentUnknown, match="may have been paid"):
        second.ask()
    assert second.wallet.paid == []
    (unknown,) = second.budget.receipts(unknown_only=True)
    preimage = next(iter(seller.preimages.values())).hex()
    assert second.budget.settle(unknown.payment_hash, (7_000, preimage))
    assert not second.budget.settle(unknown.payment_hash, None)
    assert said(second.ask()) == "You said: hello"
    assert (second.wallet.paid, second.budget.spent_today_msat) == ([], 7_000)


def test_what_certainly_failed_is_forgotten_and_can_be_tried_again(tmp_path: Path) -> None:
    """The reservation is gone, and the same invoice is paid at the next try."""
    seller = Seller()
    buyer = Buyer(seller, tmp_path)
    buyer.wallet.refuses = True
    with pytest.raises(PaymentFailed):
        buyer.ask()
    assert (buyer.budget.reserved_msat, buyer.budget.receipts()) == (0, [])
    buyer.wallet.refuses = False
    assert said(buyer.ask()) == "You said: hello"


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_all_clients_of_both_libraries_buy_with_it(library: Any, tmp_path: Path) -> None:  # noqa: ANN401 - a module
    """Synchronous and asynchronous, on one budget, as one caller."""
    seller = Seller()
    buyer = Buyer(seller, tmp_path)

    def ask(url: str) -> int:
        with library.Client(auth=buyer.auth) as http:
            return int(http.post(url, json=body("one")).status_code)

    async with serving(seller) as address:
        url = f"{address}/v1/chat/completions"
        assert await asyncio.to_thread(ask, url) == 200
        async with library.AsyncClient(auth=buyer.auth) as http:
            assert (await http.post(url, json=body("two"))).status_code == 200
    assert len({caller for caller in seller.callers if caller}) == 1
    assert buyer.budget.spent_today_msat == 14_000


async def test_a_cancelled_purchase_stays_reserved(tmp_path: Path) -> None:
    """Cancelled while paying: nobody knows, also in the file."""
    seller = Seller()
    buyer = Buyer(seller, tmp_path)
    buyer.wallet.gate = asyncio.Event()
    http = httpx.AsyncClient(transport=seller.transport(), auth=buyer.auth)
    async with http, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(http.post(URL, json=body()))
        await buyer.wallet.started.wait()
        asking.cancel()
    assert [one.state for one in buyer.budget.receipts()] == ["unknown"]
    assert buyer.budget.reserved_msat >= 7_000
