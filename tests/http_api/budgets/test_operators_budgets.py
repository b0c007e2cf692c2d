"""Budgets that the operator sets: whom they bound, and how little others are told of them."""

from __future__ import annotations

from pathlib import Path

from cobot_meter.domain.budgets.budget import OPERATOR, Budget
from cobot_meter.flows.budget.said_budgets import budget_said
from tests.http_api.face_rig import FaceRig, ask_of, open_face
from tests.http_api.keys.test_keys import bearer
from tests.http_api.tasks.task_face import task_face


async def say(rig: FaceRig, **said: object) -> None:
    """The operator's one budget."""
    budget: Budget = budget_said({"period": "day", **said}, by_operator=True)
    await rig.parts.manage_budgets.change(lambda _: (budget,))


async def test_a_budget_of_the_service_bounds_everybody_and_tells_no_figures(
    tmp_path: Path,
) -> None:
    """What others have spent is the operator's to know; when it ends, and what fits, is said."""
    async with open_face(tmp_path) as rig:
        one, _ = await rig.key(50_000)
        two, _ = await rig.key(50_000)
        await rig.ask(token=bearer(one))
        await say(rig, scope="operator", amount_msat=rig.last.quote.ceiling_msat)
        first = await rig.ask(ask_of("a" * 20), token=bearer(one))
        assert first.status == 200
        assert "budget" not in first.json()["cobot"]
        over = await rig.ask(ask_of("b" * 20), token=bearer(two))
        assert (over.status, over.error["code"]) == (402, "budget_exhausted")
        metadata = over.error["metadata"]
        assert not any(name.endswith(("_msat", "_usd")) for name in metadata)
        assert metadata["set_by"] == OPERATOR
        assert metadata["resets_at"] in over.error["message"]
        fitting = {**ask_of("b" * 20), "max_tokens": metadata["fits_max_tokens"]}
        assert (await rig.ask(fitting, token=bearer(two))).status == 200


async def test_a_stranger_is_bound_by_it_too(tmp_path: Path) -> None:
    """Who has no name yet, and is sent an invoice."""
    async with open_face(tmp_path) as rig:
        await say(rig, scope="operator", amount_msat=1)
        refused = await rig.ask()
        assert (refused.status, refused.error["code"]) == (402, "budget_exhausted")
        assert refused.all("www-authenticate") == []


async def test_a_budget_of_one_caller_bounds_nobody_else(tmp_path: Path) -> None:
    """That caller is told of it, and by whom it was set."""
    async with open_face(tmp_path) as rig:
        one, _ = await rig.key(50_000)
        two, _ = await rig.key(50_000)
        assert (await rig.ask(token=bearer(one))).status == 200
        await say(rig, scope="caller", caller=rig.last.caller_id, amount_usd="0.00001")
        refused = await rig.ask(ask_of("again"), token=bearer(one))
        assert refused.error["code"] == "budget_exhausted"
        assert refused.error["metadata"]["limit_usd"] == "0.00001"
        assert (await rig.ask(token=bearer(two))).status == 200


async def test_a_task_counts_against_a_budget_of_the_service(tmp_path: Path) -> None:
    """With its highest fee while it is open, and with its price once it is closed."""
    async with task_face(tmp_path) as face:
        await say(face.rig, scope="operator", amount_sat=700)
        closed = await face.closed(runs=2)
        (stands,) = await face.rig.parts.manage_budgets.standing(OPERATOR)
        assert (stands.spent, stands.reserved) == (face.rig.last.price_msat, 0)
        assert stands.spent > 0
        assert closed["invoice"]
        refused = await face.open(ceiling_sat=650)
        assert (refused.status, refused.error["code"]) == (402, "budget_exhausted")
        assert "open it with a lower ceiling_sat, or ask again later" in refused.error["message"]
        assert (await face.open(ceiling_sat=300)).status == 201
