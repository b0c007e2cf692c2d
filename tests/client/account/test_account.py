"""Credit and keys at a seller: bought within the budget, once at a time, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from cobot_pay import BudgetExceeded, DevWallet, L402Auth
from cobot_pay.account.auto_topup import AutoTopup, TopupMark, only_one
from cobot_pay.account.service_account import AccountRefused, Credit, ServiceAccount, Topup
from cobot_pay.spending.limits import Amounts, BudgetLimits, Limits
from cobot_pay.spending.stored_budget import StoredBudget
from tests.client.account.key_seller import KeySeller
from tests.client.shop import AT_ONCE
from tests.fakes.servers.serving import refused_address, serving

DAY = BudgetLimits(all_hosts=Limits(msat=Amounts(day=1_000_000)))


class Rig:
    """A seller, and accounts at it that share one budget file."""

    def __init__(self, url: str, seller: KeySeller, http: httpx.AsyncClient, folder: Path) -> None:
        self.url = url
        self.seller = seller
        self.http = http
        self.folder = folder
        self.budget = StoredBudget(folder / "book.sqlite", limits=DAY)

    def account(self, *, key: str = "") -> ServiceAccount:
        """As a fresh process would open it."""
        path = self.folder / "book.sqlite"
        budget = StoredBudget(path, limits=DAY, for_key=True) if key else self.budget
        auth = L402Auth(wallet=DevWallet(self.url), budget=budget, terms=AT_ONCE)
        return ServiceAccount(self.http, upstream=self.url, auth=auth, key=key)

    def keeper(self, account: ServiceAccount, told: list[str], *, below_sat: int = 50) -> AutoTopup:
        """Looks after the account at every chance."""
        mark = TopupMark(below_sat=below_sat, amount_sat=100, look_every_s=0.0, rest_s=60.0)
        return AutoTopup(account, mark=mark, lock=self.folder / "lock", tell=told.append)


@asynccontextmanager
async def rigged(folder: Path) -> AsyncIterator[Rig]:
    """For as long as the block lasts."""
    seller = KeySeller()
    async with serving(seller.app()) as url, httpx.AsyncClient() as http:
        yield Rig(url, seller, http, folder)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A seller of credit."""
    async with rigged(tmp_path) as found:
        yield found


async def test_a_topup_is_paid_within_the_budget_and_credited(rig: Rig) -> None:
    """One payment, booked; and its proof is who we are there from then on."""
    assert await rig.account().topup(200) == Topup(available_msat=200_000)
    assert (rig.seller.payments, rig.budget.spent_today_msat) == (1, 200_000)
    assert await rig.account().credit() == Credit(available_msat=200_000, reserved_msat=0)


async def test_a_second_topup_is_another_one_of_the_same_caller(rig: Rig) -> None:
    """The proof of the first would answer the second: a fresh name tells them apart."""
    await rig.account().topup(200)
    assert (await rig.account().topup(200)).available_msat == 400_000
    assert (rig.seller.payments, len(rig.seller.credit_msat)) == (2, 1)


async def test_a_topup_beyond_the_budget_is_not_paid(rig: Rig) -> None:
    """It is refused before anything leaves the wallet, with the time at which the limit resets."""
    with pytest.raises(BudgetExceeded, match="resets at"):
        await rig.account().topup(1_001)
    assert rig.seller.payments == 0


async def test_a_key_comes_with_its_topup(rig: Rig) -> None:
    """And it spends what was topped up, without any token."""
    made = await rig.account().topup(200, key={"name": "laptop", "limit_sat": 50})
    (listed,) = await rig.account().keys()
    assert (listed["name"], listed["limit_sat"]) == ("laptop", 50)
    assert made.key in rig.seller.keys
    assert (await rig.account(key=made.key).credit()).available_msat == 200_000


async def test_keys_are_made_rotated_and_revoked_with_the_proof(rig: Rig) -> None:
    """Each new secret is told once, and what it replaces ends."""
    account = rig.account()
    await account.topup(200)
    first = await account.create_key({"name": "one"})
    (listed,) = await account.keys()
    second = await account.rotate_key(listed["id"])
    assert first not in rig.seller.keys
    assert second in rig.seller.keys
    await account.revoke_key(listed["id"])
    assert [one["state"] for one in await account.keys()] == ["revoked"]
    with pytest.raises(AccountRefused, match="No caller"):
        await rig.account(key=second).credit()


async def test_what_the_seller_refuses_is_told_in_its_words(rig: Rig) -> None:
    """With its name before them."""
    with pytest.raises(AccountRefused, match="says: Keys are managed with a proof"):
        await rig.account().keys()
    with pytest.raises(AccountRefused, match="`amount_sat` is 1 or more"):
        await rig.account().topup(0)


@pytest.mark.parametrize("key_id", ["", "../credits", "key_1?x", "key_1/rotate"])
async def test_what_is_no_id_asks_for_nothing(rig: Rig, key_id: str) -> None:
    """An id is a part of a path."""
    with pytest.raises(AccountRefused, match="is no id of a key"):
        await rig.account().revoke_key(key_id)


async def test_a_seller_that_is_away_is_said_to_be_away(tmp_path: Path) -> None:
    """A sentence with its address."""
    auth = L402Auth(wallet=DevWallet(), budget=StoredBudget(tmp_path / "b"))
    with refused_address() as url:
        async with httpx.AsyncClient() as http:
            account = ServiceAccount(http, upstream=url, auth=auth, key="sk-cobot-x")
            with pytest.raises(AccountRefused, match="does not answer"):
                await account.credit()


async def test_credit_is_topped_up_below_the_mark_and_not_above(rig: Rig) -> None:
    """Looked at often, bought once; and again when it has been spent."""
    told: list[str] = []
    account = rig.account()
    await account.topup(20)
    keeper = rig.keeper(account, told)
    assert [await keeper.look() for _ in range(3)] == [True, False, False]
    assert told == ["topped up by 100 sat: 120 sat are there"]
    (caller,) = rig.seller.credit_msat
    rig.seller.credit_msat[caller] = 49_999
    assert await keeper.look()
    assert rig.seller.payments == 3


async def test_many_who_look_at_once_buy_one_topup(rig: Rig) -> None:
    """In one process, and in another one that shares the folder."""
    told: list[str] = []
    account = rig.account()
    await account.topup(20)
    keepers = [rig.keeper(account, told), rig.keeper(rig.account(), told)]
    async with asyncio.TaskGroup() as tasks:
        looks = [tasks.create_task(keeper.look()) for keeper in keepers for _ in range(4)]
    assert sum(look.result() for look in looks) == 1
    assert rig.seller.payments == 2


async def test_a_topup_that_the_budget_does_not_allow_is_not_tried_again_at_once(rig: Rig) -> None:
    """The reason is told once, and credit stays as it is."""
    told: list[str] = []
    account = rig.account()
    await account.topup(20)
    await account.topup(900)
    (caller,) = rig.seller.credit_msat
    rig.seller.credit_msat[caller] = 0
    keeper = rig.keeper(account, told)
    assert not any([await keeper.look() for _ in range(5)])
    assert len(told) == 1
    assert "resets at" in told[0]
    assert rig.seller.payments == 2


async def test_a_key_tops_up_the_credit_that_it_spends(rig: Rig) -> None:
    """Its caller's."""
    made = await rig.account().topup(20, key={})
    assert await rig.keeper(rig.account(key=made.key), []).look()
    assert list(rig.seller.credit_msat.values()) == [120_000]


async def test_what_a_key_pays_takes_no_rights_from_its_owner(rig: Rig) -> None:
    """The proof that a key has earned is that key alone: keys are managed with the one before."""
    made = await rig.account().topup(20, key={})
    await rig.account(key=made.key).topup(30)
    assert len(await rig.account().keys()) == 1
    assert rig.budget.spent_today_msat == 50_000


def test_whoever_is_killed_has_left_the_lock(tmp_path: Path) -> None:
    """Two at once are one; afterwards the next may."""
    with only_one(tmp_path / "lock") as first, only_one(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with only_one(tmp_path / "lock") as third:
        assert third
