"""The published program cobot buys from the service: its own process, its own environment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cobot_pay import BudgetLimits, DevWallet, L402Auth, StoredBudget
from cobot_pay.account.service_account import ServiceAccount
from deploy.cobots.real_cobot import COBOT
from tests.end_to_end.agents.buying_cobots import BuyingCobot
from tests.end_to_end.agents.foreign_agents import needed
from tests.end_to_end.agents.test_agents_on_a_key import spent_msat
from tests.end_to_end.agents.test_openai_sdk_key import prepaid_key
from tests.end_to_end.live import MODEL, Live

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _cobot_is_there() -> None:
    needed(COBOT)


def meter(live: Live, **more: object) -> dict[str, object]:
    """The block of `cobot.yml`: this service, and its development wallet unless told otherwise."""
    ours = {"url": f"{live.face}/v1", "model": MODEL, "wallet": "development", "node": live.node}
    return {**ours, **more}


async def test_a_cobot_buys_by_invoice(live: Live, tmp_path: Path) -> None:
    """Two lines are two answers; what was paid is in the file, and the rest of it is used."""
    cobot = BuyingCobot(tmp_path / "a", meter(live, budget_usd_day=1, task="code"))
    said = await cobot.hears("About bridges.", "About tunnels.")
    assert said.code == 0, said.log
    assert "bridges" in said.text, said.log
    assert "tunnels" in said.text, said.log
    receipts = cobot.budget.receipts()
    assert receipts
    assert {one.state for one in receipts} == {"paid"}
    assert (await live.upstream_book())["posts"] == 2


async def test_a_cobot_buys_on_a_key(live: Live, tmp_path: Path) -> None:
    """No wallet is needed; what the service says it cost is what the budget counts."""
    key = await prepaid_key(live, 2_000)
    block = meter(live, wallet="", api_key=key, budget_usd_day=1)
    cobot = BuyingCobot(tmp_path / "a", block)
    said = await cobot.hears("About bridges.", "About tunnels.")
    assert "bridges" in said.text, said.log
    assert "tunnels" in said.text, said.log
    assert 0 < cobot.budget.spent_today_msat == await spent_msat(live, key)
    assert cobot.budget.reserved_msat == 0


async def test_a_spent_budget_is_said_with_its_reset(live: Live, tmp_path: Path) -> None:
    """The first answer takes the whole limit; the second line hears a sentence, and costs nothing.

    A restart finds the limit as spent as it was.
    """
    key = await prepaid_key(live, 2_000)
    cobot = BuyingCobot(tmp_path / "a", meter(live, wallet="", api_key=key))
    await cobot.hears("About bridges.")
    spent_sat = cobot.budget.spent_today_msat // 1_000
    tight = BuyingCobot(cobot.home, {**cobot.meter, "budget_sat_day": spent_sat + 0.5})
    for _ in range(2):
        said = await tight.hears("About tunnels.")
        assert "My budget is spent" in said.text, said.log
        assert "it resets at" in said.text
        assert "00:00 UTC" in said.text
    assert (await live.upstream_book())["posts"] == 1


async def test_a_dollar_a_day_holds(live: Live, tmp_path: Path) -> None:
    """A limit in USD is kept at the rate that the service names."""
    key = await prepaid_key(live, 2_000)
    cobot = BuyingCobot(tmp_path / "a", meter(live, wallet="", api_key=key, budget_usd_day=0.0021))
    said = await cobot.hears("About bridges.", "About tunnels.", "About harbours.")
    assert "budget" in said.text, said.text + said.log
    assert cobot.budget.spent_today_msat <= 2_100


async def test_a_wallet_without_preimages_is_refused_at_the_start(
    live: Live, tmp_path: Path
) -> None:
    """The cobot's own Cashu wallet: one sentence, and nothing was asked."""
    said = await BuyingCobot(tmp_path / "a", meter(live, wallet="cobot")).hears("About bridges.")
    assert said.code == 1
    assert "hands back no preimage" in said.log
    assert "Traceback" not in said.log
    assert (await live.upstream_book())["posts"] == 0


async def test_our_wallet_is_the_cobots_own(live: Live, tmp_path: Path) -> None:
    """`cobot_pay.cobot_wallet` in place of the built-in one hands back what a purchase needs."""
    cobot = BuyingCobot(
        tmp_path / "a",
        meter(live, wallet="cobot"),
        external=("cobot_pay.cobot_wallet", "cobot_pay.cobot"),
        more=f'cobot-pay-wallet: {{wallet: development, node: "{live.node}"}}\n',
    )
    said = await cobot.hears("About bridges.")
    assert "bridges" in said.text, said.log
    assert {one.state for one in cobot.budget.receipts()} == {"paid"}


async def test_a_service_that_is_away_is_one_sentence(live: Live, tmp_path: Path) -> None:
    """The cobot says so and lives on for the next line."""
    live.kill()
    said = await BuyingCobot(tmp_path / "a", meter(live)).hears("About bridges.", "Still there?")
    assert said.code == 0, said.log
    assert said.text.count("is not there, and nothing was paid") == 2, said.text + said.log


async def test_a_price_above_what_is_allowed_is_refused_before_it_runs(
    live: Live, tmp_path: Path
) -> None:
    """The service is told the most that a call may cost, and nobody runs what could cost more."""
    said = await BuyingCobot(tmp_path / "a", meter(live, max_cost_sat=1)).hears("About bridges.")
    assert "could cost more than is allowed" in said.text, said.text + said.log
    assert (await live.upstream_book())["posts"] == 0


async def test_two_cobots_of_one_home_share_the_budget(live: Live, tmp_path: Path) -> None:
    """Two programs at once, one file: both are answered, and each call is booked once."""
    key = await prepaid_key(live, 2_000)
    shared = meter(live, wallet="", api_key=key, home=str(tmp_path / "a" / ".cobot-pay"))
    one, two = BuyingCobot(tmp_path / "a", shared), BuyingCobot(tmp_path / "b", shared)
    async with asyncio.TaskGroup() as both:
        first = both.create_task(one.hears("About bridges."))
        second = both.create_task(two.hears("About tunnels."))
    assert "bridges" in first.result().text, first.result().log
    assert "tunnels" in second.result().text, second.result().log
    assert one.budget.spent_today_msat == await spent_msat(live, key)


async def test_the_daily_limit_is_a_budget_of_the_key_before_the_first_word(
    live: Live, tmp_path: Path
) -> None:
    """The plugin sets it as it starts, by the proof in its file; without one it says what to do."""
    home = tmp_path / "a" / ".cobot-pay"
    wallet = DevWallet(live.node)
    budget = StoredBudget(home / "payments.sqlite", limits=BudgetLimits())
    auth = L402Auth(wallet=wallet, budget=budget)
    account = ServiceAccount(live.http, upstream=live.face, auth=auth)
    key = (await account.topup(900, key={"name": "cobot"})).key
    keyed = {"wallet": "", "api_key": key, "budget_on_key": True, "budget_sat_day": 5_000}
    said = await BuyingCobot(tmp_path / "a", meter(live, **keyed, zone="Asia/Tokyo")).hears(
        "Of it."
    )
    assert said.code == 0, said.log
    worn = {"Authorization": f"Bearer {key}"}
    (stands,) = (await live.http.get(f"{live.face}/v1/budgets", headers=worn)).json()["data"]
    assert (stands["scope"], stands["zone"], stands["limit_msat"]) == (
        "key",
        "Asia/Tokyo",
        5_000_000,
    )
    assert stands["resets_at"].endswith("T00:00:00+09:00")
    assert stands["spent_msat"] > 0, said.text
    without = await BuyingCobot(tmp_path / "b", meter(live, **keyed)).hears("Of it.")
    assert without.code == 1
    assert "needs the proof of the payment that bought the key" in without.log
