"""A seller's statement has a line for each task that it sells, and its buyer's names nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.http_api.tasks.task_face import TaskFace, task_face


async def statement(face: TaskFace, query: str = "") -> dict[str, Any]:
    """What the seller's key reads."""
    reply = await face.send("GET", f"/v1/ledger{query}")
    assert reply.status == 200, reply.json()
    document: dict[str, Any] = reply.json()
    return document


async def test_a_sold_task_is_taken_apart_in_its_sellers_statement(tmp_path: Path) -> None:
    """Cost, service's fee and own fee add up to the price, and the fee is what came as credit."""
    async with task_face(tmp_path) as face:
        before_msat = await face.credit_msat(f"Bearer {face.key}")
        closed = await face.closed(runs=2)
        await face.claim(closed, await face.paid(closed))
        lines = (await statement(face))["data"]
        released, priced = (
            next(line for line in lines if line["kind"] == kind)
            for kind in ("completion_delivered", "task_closed")
        )
        assert released["task"] == priced["task"] == {"id": closed["id"], **closed["price"]}
        price = released["task"]
        parts = (price["cost_msat"], price["service_fee_msat"], price["seller_fee_msat"])
        assert sum(parts) == price["total_msat"]
        assert min(parts) > 0
        own = f"caller/{face.seller_id}/available"
        (fee,) = (one for one in released["transfers"] if one["credit"] == own)
        assert fee["amount"] == str(price["seller_fee_msat"]) == "7000"
        assert await face.credit_msat(f"Bearer {face.key}") == before_msat + 7_000


async def test_a_sellers_statement_does_not_name_the_buyer(tmp_path: Path) -> None:
    """The buyer's accounts are called `buyer`; to the buyer the seller's are called `seller`."""
    async with task_face(tmp_path) as face:
        closed = await face.closed()
        token = await face.paid(closed)
        await face.claim(closed, token)
        buyers = (await face.rig.get("/v1/ledger", token=token)).json()
        sellers = await statement(face)
        assert buyers["caller_id"] not in str(sellers["data"])
        assert face.seller_id not in str(buyers["data"])
        assert not [line for line in buyers["data"] if "task" in line]
        settled = next(line for line in sellers["data"] if line["kind"] == "invoice_settled")
        assert "caller/buyer/available" in {one["credit"] for one in settled["transfers"]}


async def test_the_prices_are_there_on_every_page(tmp_path: Path) -> None:
    """Page by page it is the same statement, each entry once."""
    async with task_face(tmp_path) as face:
        for _ in range(2):
            closed = await face.closed()
            await face.claim(closed, await face.paid(closed))
        whole = (await statement(face, "?limit=200"))["data"]
        pages: list[dict[str, Any]] = []
        before = ""
        while True:
            page = await statement(face, f"?limit=3{before}")
            pages += page["data"]
            if page["next_before"] is None:
                break
            before = f"&before={page['next_before']}"
        assert pages == whole
        assert len({line["task"]["id"] for line in whole if "task" in line}) == 2
