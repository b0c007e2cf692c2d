"""What is left of a budget says how dear a model the service may choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobot_meter.domain.money import usd_text
from cobot_meter.domain.retention import Retention
from cobot_meter.flows.audit.ledger import AuditLedger
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.budgets.test_budgets import caller_day, put
from tests.http_api.face_rig import FaceRig, ask_of, open_face
from tests.http_api.keys.test_keys import DEAR, bearer
from tests.http_api.routing.test_auto import CHEAP, CODE, HARD, auto, open_router

NEVER = {"X-Cobot-Downgrade": "never"}
ONE_SESSION = {"X-Cobot-Session": "morning"}
COST_SHARE = 8  # of ten parts of what was reserved


async def dearest_msat(rig: FaceRig, token: str) -> int:
    """The most that a hard question costs; what is asked next costs most of it."""
    await rig.ask(auto(HARD, model="cobot/auto:reasoning"), token=token)
    quote = rig.last.quote
    rig.upstream.usually = Completes(cost=usd_text(quote.ceiling_pusd * COST_SHARE // 10))
    return quote.ceiling_msat


async def chosen(rig: FaceRig, token: str, **headers: str) -> tuple[str, tuple[str, ...]]:
    """The tier of the model that a hard question is given, and why."""
    asked = auto(HARD + " " * rig.upstream.posts, model="cobot/auto:reasoning")
    reply = await rig.ask(asked, headers=headers, token=token)
    assert reply.status == 200, reply.json()
    route = reply.json()["cobot"]["route"]
    return route["tier"], tuple(route["reasons"])


async def test_a_budget_that_is_spent_is_given_cheaper_models(tmp_path: Path) -> None:
    """Premium in the morning; within the same session it falls with what is left, and says so."""
    async with open_router(tmp_path) as rig:
        key, proof = await rig.key(500_000)
        most_msat = await dearest_msat(rig, bearer(key))
        await put(rig, proof, caller_day(amount_msat=most_msat * 8 // 5))
        tier, reasons = await chosen(rig, bearer(key), **ONE_SESSION)
        assert tier == "premium"
        assert "budget" not in reasons
        tier, reasons = await chosen(rig, bearer(key), **ONE_SESSION)
        assert tier in {"middle", "cheap"}
        assert "budget" in reasons


async def test_whoever_wants_no_lesser_model_is_refused(tmp_path: Path) -> None:
    """With a sentence that says what is in the way; nothing is spent."""
    async with open_router(tmp_path) as rig:
        key, proof = await rig.key(500_000)
        most_msat = await dearest_msat(rig, bearer(key))
        await put(rig, proof, caller_day(amount_msat=most_msat * 8 // 5))
        await chosen(rig, bearer(key), **ONE_SESSION)
        posts = rig.upstream.posts
        asked = auto(f"{HARD} Again.", model="cobot/auto:reasoning")
        reply = await rig.ask(asked, headers=ONE_SESSION | NEVER, token=bearer(key))
        assert reply.status == 400
        assert "budget" in reply.error["message"] or "session" in reply.error["message"]
        assert rig.upstream.posts == posts


async def test_without_budgets_nothing_is_barred(tmp_path: Path) -> None:
    """However much credit is spent."""
    async with open_router(tmp_path) as rig:
        key, _ = await rig.key(500_000)
        await dearest_msat(rig, bearer(key))
        for _ in range(3):
            assert (await chosen(rig, bearer(key)))[0] == "premium"


async def test_its_owner_says_at_which_shares_dearer_models_go(tmp_path: Path) -> None:
    """Shares of his own, or no plan at all: then only what is left bounds it, as ever."""
    async with open_router(tmp_path) as rig:
        key, proof = await rig.key(500_000)
        most_msat = await dearest_msat(rig, bearer(key))
        dear, rig.upstream.usually = rig.upstream.usually, Completes()
        day = caller_day(amount_msat=most_msat * 8 // 5)

        async def planned(plan: object) -> object:
            body = {"budgets": [day], "plan": plan}
            said = (await rig.send("PUT", "/v1/budgets", body, token=proof)).json()["plan"]
            read = (await rig.get("/v1/budgets", token=bearer(key))).json()["plan"]
            assert said == read
            return said

        assert await planned({"premium_above": 100, "middle_above": 100}) == {
            "premium_above": 100,
            "middle_above": 100,
        }
        assert (await chosen(rig, bearer(key)))[0] == "cheap"
        rig.upstream.usually = dear
        assert await planned("off") == "off"
        assert (await chosen(rig, bearer(key)))[0] == "premium"
        left_msat = (await rig.get("/v1/budgets", token=proof)).json()["data"][0]["left_msat"]
        assert left_msat < most_msat
        refused = await rig.ask(auto(HARD, model="cobot/auto:premium"), token=bearer(key))
        assert (refused.status, refused.error["code"]) == (402, "budget_exhausted")
        rig.upstream.usually = Completes()
        assert await planned(None) == {"premium_above": 60, "middle_above": 25}
        assert (await chosen(rig, bearer(key)))[0] != "premium"


@pytest.mark.parametrize(
    "plan",
    [
        "on",
        7,
        [60, 25],
        {"premium_above": 60},
        {"premium_above": 20, "middle_above": 30},
        {"premium_above": 101, "middle_above": 30},
        {"premium_above": True, "middle_above": False},
        {"premium_above": 60.5, "middle_above": 25},
        {"premium_above": 60, "middle_above": 25, "cheap_above": 1},
    ],
)
async def test_what_no_plan_is_gets_a_sentence_and_changes_nothing(
    tmp_path: Path, plan: object
) -> None:
    """The budgets beside it are not set either."""
    async with open_face(tmp_path) as rig:
        _, proof = await rig.key(5_000)
        before = (await put(rig, proof, caller_day(amount_sat=7))).json()
        body = {"budgets": [caller_day(amount_sat=9)], "plan": plan}
        refused = await rig.send("PUT", "/v1/budgets", body, token=proof)
        assert (refused.status, refused.error["param"]) == (400, "plan")
        assert "two whole shares from 0 to 100" in refused.error["message"]
        assert (await rig.get("/v1/budgets", token=proof)).json() == before


async def test_a_budget_of_a_task_bounds_that_task_alone(tmp_path: Path) -> None:
    """By the declared word or by what the rules read; of a named model by the hint alone."""
    async with open_router(tmp_path) as rig:
        key, proof = await rig.key(500_000)
        await rig.ask(auto(CODE), token=bearer(key))
        most_msat = rig.last.quote.ceiling_msat
        code_day = {"scope": "task", "task": "code", "period": "day", "amount_msat": 8 * most_msat}
        assert (await put(rig, proof, code_day)).status == 200
        first = await rig.ask(auto(f"{CODE} Once more."), token=bearer(key))
        (told,) = first.json()["cobot"]["budget"]
        assert (told["scope"], told["subject"]) == ("task", "code")
        assert told["spent_msat"] == rig.last.price_msat > 0
        again = await rig.ask(auto("Anything", model="cobot/auto:code"), token=bearer(key))
        assert again.json()["cobot"]["budget"][0]["spent_msat"] > told["spent_msat"]
        assert (await put(rig, proof, {**code_day, "amount_msat": 1})).status == 200
        named = {**ask_of("Anything"), "model": CHEAP}
        for refused in (
            await rig.ask(auto(f"{CODE} And again."), token=bearer(key)),
            await rig.ask(named, headers={"X-Cobot-Task": "code"}, token=bearer(key)),
        ):
            assert (refused.status, refused.error["code"]) == (402, "budget_exhausted")
            assert "The budget of the task code" in refused.error["message"]
        for free in (auto(HARD), {**ask_of("Anything"), "model": CHEAP}):
            reply = await rig.ask(free, token=bearer(key))
            assert reply.status == 200
            assert "budget" not in reply.json()["cobot"]
        wrong = {**code_day, "task": "poetry"}
        refused = await put(rig, proof, wrong)
        assert (refused.status, refused.error["param"]) == (400, "task")
        assert "code" in refused.error["message"]
        audit = AuditLedger(
            reports=rig.books, node=lambda: rig.node, upstream=None, retention=Retention()
        )
        assert list((await audit.audit()).findings) == []


async def test_a_402_before_payment_tells_how_the_callers_budget_stands(tmp_path: Path) -> None:
    """To its owner, who asks by a proof; a stranger who asks the same there is told nothing."""
    async with open_face(tmp_path) as rig:
        _, proof = await rig.buy(ask_of("known"))
        await put(rig, proof, caller_day(amount_sat=40_000))
        rig.upstream.usually = Completes(cost="0.0020000")
        asked = await rig.ask(DEAR, token=proof)
        assert asked.status == 402, asked.json()
        (told,) = asked.json()["cobot"]["budget"]
        assert told["scope"] == "caller"
        assert told["spent_msat"] + told["reserved_msat"] + told["left_msat"] == 40_000_000
        assert told["spent_msat"] + told["reserved_msat"] > 0
        assert told["resets_at"]
        stranger = await rig.ask(DEAR)
        assert stranger.status == 402
        assert stranger.json()["invoice"] == asked.json()["invoice"]
        assert "budget" not in stranger.json()["cobot"]
