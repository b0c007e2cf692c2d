"""An answer that grows while it comes stays within the budgets that bound it."""

from __future__ import annotations

from pathlib import Path

from tests.http_api.budgets.test_budgets import caller_day, listed, put
from tests.http_api.face_rig import open_face
from tests.http_api.keys.test_growing_answers import SMALL, kinds_of, offer, said
from tests.http_api.keys.test_keys import bearer
from tests.http_api.keys.test_live_answers import chunks_of

AMPLE_SAT = 1_000_000


async def test_a_budget_ends_an_answer_that_would_pass_it(tmp_path: Path) -> None:
    """Credit has room for all of it: the answer ends with `length` where the budget has no more."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(AMPLE_SAT)
        await offer(rig, said(20_000, tokens=40_000, cut_tokens=2_500))
        await put(rig, proof, caller_day(amount_sat=200))
        reply = await rig.ask(SMALL, token=bearer(key))
        assert reply.status == 200
        assert chunks_of(reply)[-1]["choices"][0]["finish_reason"] == "length"
        (stands,) = await listed(rig, proof)
        assert stands["reserved_msat"] == 0
        assert 0 < stands["spent_msat"] <= stands["limit_msat"]
        assert stands["spent_msat"] == rig.last.price_msat
        assert rig.last.quote.ceiling_msat > stands["limit_msat"]


async def test_an_answer_grows_under_a_budget_that_has_room(tmp_path: Path) -> None:
    """Each extension passes the budget's guard too, and all of it is captured at the price."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(AMPLE_SAT)
        await offer(rig, said(3_000, tokens=6_000))
        await put(rig, proof, caller_day(amount_usd=1))
        reply = await rig.ask(SMALL, token=bearer(key))
        assert chunks_of(reply)[-1]["choices"][0]["finish_reason"] == "stop"
        assert kinds_of(rig, rig.last).count("reservation_extended") == rig.last.extensions > 0
        (stands,) = await listed(rig, proof)
        assert float(stands["reserved_usd"]) == 0
        assert 0 < float(stands["spent_usd"]) < 1


async def test_a_budget_that_is_lowered_meanwhile_bounds_what_is_still_to_come(
    tmp_path: Path,
) -> None:
    """What was reserved before stays: a limit below what is spent leaves nothing, and no more."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(AMPLE_SAT)
        await offer(rig, said(3_000, tokens=6_000))
        await put(rig, proof, caller_day(amount_usd=1))
        assert (await rig.ask(SMALL, token=bearer(key))).status == 200
        lowered = await put(rig, proof, caller_day(amount_usd="0.001"))
        (stands,) = lowered.json()["data"]
        assert (stands["left_usd"], stands["notice"]) == ("0", 100)
        again = {**SMALL, "messages": [{"role": "user", "content": "Once more."}]}
        refused = await rig.ask(again, token=bearer(key))
        assert refused.error["code"] == "budget_exhausted"
        assert "not even one token of an answer would fit" in refused.error["message"]
