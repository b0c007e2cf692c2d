"""A cobot's daily limit as a budget of its key: set by the plugin's code, kept by the service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from cobot_meter.wiring.app import Running
from cobot_pay import BudgetLimits, DevWallet, L402Auth, StoredBudget
from cobot_pay.account.service_account import ServiceAccount
from cobot_pay.cli.settings import BadSettings
from cobot_pay.cobot.key_budget import put_key_budget
from cobot_pay.cobot.opening import open_purse
from cobot_pay.cobot.settings import MeterSettings, read_meter_settings
from tests.end_to_end.scenarios.test_auto_at_simulator import agent_of

MODEL = "openai/gpt-5-mini"
BERLIN = "Europe/Berlin"


async def bought_key(running: Running, home: Path) -> tuple[str, str]:
    """A key with credit, and the proof that stays in the cobot's file of payments."""
    budget = StoredBudget(home / "payments.sqlite", limits=BudgetLimits())
    auth = L402Auth(wallet=DevWallet(running.play_wallet_url), budget=budget)
    async with httpx.AsyncClient(trust_env=False) as http:
        account = ServiceAccount(http, upstream=running.face.url, auth=auth)
        bought = await account.topup(900, key={"name": "cobot"})
    (proof,) = budget.tokens.values()
    return bought.key, proof


def written(running: Running, home: Path, key: str, **more: object) -> MeterSettings:
    """What its owner writes in `cobot.yml`."""
    block = {"url": running.face.url, "model": MODEL, "api_key": key, "home": str(home)}
    limits = {"budget_on_key": True, "zone": BERLIN, "budget_sat_day": 3_000}
    return read_meter_settings({"cobot-meter": {**block, **limits, **more}})


async def started(settings: MeterSettings, folder: Path) -> list[str]:
    """What a cobot with these settings logs as it starts."""
    told: list[str] = []
    purse = open_purse(settings, folder=folder, wallet_plugins=())
    await purse.limit_key(told.append)
    purse.close()
    return told


async def stands(http: httpx.AsyncClient, key: str) -> Mapping[str, Any]:
    """The budgets that bound the key, as the service has them."""
    answer = await http.get("/v1/budgets", headers={"Authorization": f"Bearer {key}"})
    found: Mapping[str, Any] = answer.json()
    return found


async def test_the_limit_of_cobot_yml_bounds_the_key_wherever_it_is_used(tmp_path: Path) -> None:
    """In the cobot's zone, beside what its owner has set else; raised where that says more."""
    async with agent_of(tmp_path / "service") as (running, http):
        home = tmp_path / "home"
        key, proof = await bought_key(running, home)
        month = {"scope": "caller", "period": "month", "zone": "UTC", "amount_usd": "20"}
        code = {"scope": "task", "task": "code", "period": "day", "amount_sat": 900}
        word = {"budgets": [month, code], "plan": "off"}
        worn = {"Authorization": proof}
        assert (await http.put("/v1/budgets", json=word, headers=worn)).is_success
        settings = written(running, home, key, budget_usd_day=1.5)
        assert await started(settings, tmp_path) == []
        found = await stands(http, key)
        assert found["plan"] == "off"
        caller, task, in_sat, in_usd = found["data"]
        assert (caller["scope"], task["subject"]) == ("caller", "code")
        assert (in_sat["scope"], in_sat["period"], in_sat["zone"]) == ("key", "day", BERLIN)
        assert (in_sat["limit_msat"], in_usd["limit_usd"]) == (3_000_000, "1.5")
        assert in_sat["resets_at"].endswith(("T00:00:00+01:00", "T00:00:00+02:00"))
        assert await asyncio.to_thread(put_key_budget, settings, proof=proof) is False
        tight = written(running, home, key, budget_sat_day=1)
        assert await started(tight, tmp_path) == []
        (in_sat,) = [one for one in (await stands(http, key))["data"] if one["scope"] == "key"]
        assert in_sat["limit_msat"] == 1_000
        ask = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9_000}
        refused = await http.post(
            "/v1/chat/completions", json=ask, headers={"Authorization": f"Bearer {key}"}
        )
        assert refused.status_code == httpx.codes.PAYMENT_REQUIRED
        assert refused.json()["error"]["code"] == "budget_exhausted"


async def test_what_is_in_the_way_is_one_sentence_and_changes_nothing(tmp_path: Path) -> None:
    """No proof, somebody else's, a limit of nothing; a service that is away is told of."""
    async with agent_of(tmp_path / "service") as (running, http):
        key, proof = await bought_key(running, tmp_path / "one")
        _, others = await bought_key(running, tmp_path / "two")
        settings = written(running, tmp_path / "one", key)
        with pytest.raises(BadSettings, match="needs the proof of the payment that bought the key"):
            await asyncio.to_thread(put_key_budget, settings, proof="")
        with pytest.raises(BadSettings, match=r"There is no key .* or it is not yours"):
            await asyncio.to_thread(put_key_budget, settings, proof=others)
        nothing = written(running, tmp_path, key, budget_sat_day=0)
        with pytest.raises(BadSettings, match="must be above zero"):
            await asyncio.to_thread(put_key_budget, nothing, proof=proof)
        assert (await stands(http, key))["data"] == []
    (told,) = await started(settings, tmp_path)
    assert "holds here alone" in told
    assert "does not answer" in told
