"""What is left of a budget says how dear a model the service may choose."""

from __future__ import annotations

from pathlib import Path

from cobot_meter.domain.money import usd_text
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.budgets.test_budgets import caller_day, put
from tests.http_api.face_rig import FaceRig
from tests.http_api.keys.test_keys import bearer
from tests.http_api.routing.test_auto import HARD, auto, open_router

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
