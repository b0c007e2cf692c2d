"""What may have been paid stays reserved and is never paid again; what is being paid is awaited."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from cobot_pay import Budget, L402Auth, Payment, PaymentFailed, PaymentUnknown, PurchaseTerms
from tests.client.seller import Seller, SellersWallet
from tests.client.shop import AT_ONCE, URL, Shop, body, said


class BrokenWallet:
    """Fails in a way that nobody foresaw, after who knows what."""

    def __init__(self, fault: BaseException) -> None:
        self.fault = fault
        self.tries = 0

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:
        self.tries += 1
        raise self.fault


def buyer(wallet: BrokenWallet, budget: Budget) -> httpx.Client:
    """A client of a fresh seller that pays with this wallet."""
    auth = L402Auth(wallet=wallet, budget=budget, terms=AT_ONCE)
    return httpx.Client(transport=Seller().transport(), auth=auth)


@pytest.mark.parametrize(
    "fault", [RuntimeError("a bug"), httpx.ReadTimeout("late"), PaymentUnknown("lost")]
)
def test_unknown_settle_never_reissues_402(fault: Exception) -> None:
    """A wallet's timeout is no failure: the money stays reserved and nothing is paid again."""
    budget, wallet = Budget(total_msat=100_000), BrokenWallet(fault)
    with buyer(wallet, budget) as http:
        with pytest.raises(type(fault)):
            http.post(URL, json=body())
        assert (budget.spent_msat, budget.reserved_msat) == (0, 7_000)
        with pytest.raises(PaymentUnknown) as again:
            http.post(URL, json=body())
    assert len(again.value.payment_hash) == 64
    assert (wallet.tries, budget.reserved_msat) == (1, 7_000)


def test_a_wallet_that_never_answers_is_unknown(shop: Shop) -> None:
    """Past the time allowed the payment counts as unknown, with its hash in the error."""
    auth = L402Auth(wallet=shop.wallet, budget=shop.budget, terms=AT_ONCE, payment_timeout_s=0.01)
    shop.wallet.gate = asyncio.Event()
    with (
        httpx.Client(transport=shop.seller.transport(), auth=auth) as http,
        pytest.raises(PaymentUnknown, match="did not answer in time") as unknown,
    ):
        http.post(URL, json=body())
    assert len(unknown.value.payment_hash) == 64
    assert shop.budget.reserved_msat == 7_000


@pytest.mark.parametrize("lie", ["00" * 32, "00" * 31, "no hex"])
def test_a_preimage_of_something_else_is_unknown(shop: Shop, lie: str) -> None:
    """A wallet that reports success without the right preimage has proved nothing."""
    shop.wallet.lie = lie
    with pytest.raises(PaymentUnknown, match="preimage of something else"):
        shop.ask()
    assert shop.budget.reserved_msat == 7_000


async def test_a_cancelled_payment_is_unknown(shop: Shop) -> None:
    """A caller who stops waiting while the wallet pays leaves the amount reserved."""
    shop.wallet.gate = asyncio.Event()
    async with httpx.AsyncClient(transport=shop.seller.transport(), auth=shop.auth) as http:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await http.post(URL, json=body())
        assert shop.budget.reserved_msat == 7_000
        with pytest.raises(PaymentUnknown):
            await http.post(URL, json=body())
    assert len(shop.wallet.paid) == 1


def test_an_unknown_payment_is_resolved_as_paid(shop: Shop) -> None:
    """Told the preimage, the auth books the amount and claims what was paid for."""
    shop.wallet.lie = "00" * 32
    with pytest.raises(PaymentUnknown) as unknown:
        shop.ask()
    payment_hash = unknown.value.payment_hash
    wrong = Payment(preimage="00" * 32, amount_msat=7_000, fee_msat=2)
    assert not shop.auth.resolve(payment_hash, wrong)
    (preimage,) = shop.seller.preimages.values()
    right = Payment(preimage=preimage.hex(), amount_msat=7_000, fee_msat=2)
    assert shop.auth.resolve(payment_hash, right)
    assert (shop.budget.spent_msat, shop.budget.reserved_msat) == (7_002, 0)
    assert said(shop.ask()) == "You said: hello"
    assert len(shop.wallet.paid) == 1


def test_an_unknown_payment_is_resolved_as_failed(shop: Shop) -> None:
    """Told that nothing was paid, the auth releases the amount and may pay the invoice."""
    shop.wallet.lie = "00" * 32
    with pytest.raises(PaymentUnknown) as unknown:
        shop.ask()
    assert shop.auth.resolve(unknown.value.payment_hash, None)
    assert not shop.auth.resolve(unknown.value.payment_hash, None)
    assert shop.budget.reserved_msat == 0
    shop.seller.settled.clear()
    shop.wallet.lie = ""
    assert said(shop.ask()) == "You said: hello"


def test_already_paid_is_unknown_to_who_may_have_paid(shop: Shop) -> None:
    """The seller's 409 does not hide that our own payment went astray: the hash is in the error."""
    shop.wallet.lie = "00" * 32
    for _ in range(2):
        with pytest.raises(PaymentUnknown) as unknown:
            shop.ask()
        assert len(unknown.value.payment_hash) == 64
    assert shop.asks == 2


async def test_tasks_that_ask_the_same_pay_once(shop: Shop) -> None:
    """While one task pays the invoice the other waits, and both get the completion."""
    shop.wallet.gate = asyncio.Event()
    async with (
        httpx.AsyncClient(transport=shop.seller.transport(), auth=shop.auth) as http,
        asyncio.TaskGroup() as tasks,
    ):
        asks = [tasks.create_task(http.post(URL, json=body())) for _ in range(5)]
        await shop.wallet.started.wait()
        assert shop.budget.reserved_msat == 7_000
        shop.wallet.gate.set()
    assert {said(ask.result()) for ask in asks} == {"You said: hello"}
    assert (len(shop.wallet.paid), shop.budget.spent_msat) == (1, 7_000)


def test_threads_that_ask_the_same_pay_once(shop: Shop) -> None:
    """The same for threads that share one synchronous client."""
    with shop.http() as http, ThreadPoolExecutor(max_workers=4) as threads:
        asks = [threads.submit(http.post, URL, json=body()) for _ in range(4)]
        assert {said(ask.result()) for ask in asks} == {"You said: hello"}
    assert (len(shop.wallet.paid), shop.budget.spent_msat) == (1, 7_000)


async def test_waiting_for_anothers_payment_has_an_end() -> None:
    """Who waits longer than its patience for another task's payment is told that it is unknown."""
    terms = PurchaseTerms(max_fee_msat=0, patience_s=0.02, in_flight_wait_s=0.005)
    shop = Shop(terms=terms)
    shop.wallet.gate = asyncio.Event()
    async with (
        httpx.AsyncClient(transport=shop.seller.transport(), auth=shop.auth) as http,
        asyncio.TaskGroup() as tasks,
    ):
        first = tasks.create_task(http.post(URL, json=body()))
        await shop.wallet.started.wait()
        with pytest.raises(PaymentUnknown, match="still being paid"):
            await http.post(URL, json=body())
        shop.wallet.gate.set()
        assert said(await first) == "You said: hello"


def test_a_failed_payment_of_one_frees_the_invoice_for_another() -> None:
    """Only certainty releases: after PaymentFailed another wallet may pay the same invoice."""
    seller, budget = Seller(), Budget(total_msat=7_000)
    wallet = SellersWallet(seller)
    wallet.refuses = True
    auth = L402Auth(wallet=wallet, budget=budget, terms=AT_ONCE)
    with httpx.Client(transport=seller.transport(), auth=auth) as http:
        with pytest.raises(PaymentFailed):
            http.post(URL, json=body())
        wallet.refuses = False
        assert http.post(URL, json=body()).status_code == 200
    assert (budget.spent_msat, budget.reserved_msat) == (7_000, 0)


@pytest.mark.parametrize("state", ["failed", "unknown, then failed", "unknown, then paid"])
def test_outgoing_refund_states(shop: Shop, state: str) -> None:
    """Row 24: what failed is free again at once, what is unknown only when its end is known."""
    budget = shop.budget
    if state == "failed":
        wallet = BrokenWallet(PaymentFailed("no route"))
        with buyer(wallet, budget) as http, pytest.raises(PaymentFailed):
            http.post(URL, json=body())
        assert (budget.spent_msat, budget.reserved_msat) == (0, 0)
        return
    shop.wallet.lie = "00" * 32
    with pytest.raises(PaymentUnknown) as unknown:
        shop.ask()
    assert (budget.spent_msat, budget.reserved_msat) == (0, 7_000)
    (preimage,) = shop.seller.preimages.values()
    paid = Payment(preimage=preimage.hex(), amount_msat=7_000, fee_msat=0)
    ended = paid if state.endswith("paid") else None
    assert shop.auth.resolve(unknown.value.payment_hash, ended)
    assert (budget.spent_msat, budget.reserved_msat) == (7_000 if ended else 0, 0)
