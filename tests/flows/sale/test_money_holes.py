"""Where other gateways lost money or trust over what a run cost: one named test each."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.retention import DAY_MS
from tests.fakes.upstream_outcomes import NEVER, Completes
from tests.http_api.face_rig import ASK, FaceRig, ask_of, open_face

COST = "0.0002658"
STREAMED = {**ASK, "stream": True}


async def entries(rig: FaceRig, token: str) -> list[dict[str, object]]:
    """The caller's whole statement."""
    reply = await rig.get("/v1/ledger?limit=200", token=token)
    found: list[dict[str, object]] = reply.json()["data"]
    return found


async def test_budget_is_a_pure_function_of_the_ledger(tmp_path: Path) -> None:
    """Every balance, the day's budget and its holds with it, is what the journal adds up to."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        rig.upstream.then(Completes(cost="0.0007"))
        assert (await rig.ask(ask_of("Two"), token=token)).status == 402
        await rig.expire(rig.last)
        posted: dict[str, int] = defaultdict(int)
        held: dict[str, int] = defaultdict(int)
        async for entry in rig.books.journal():
            for row in entry.transfers:
                if row.kind in {"posted", "post"}:
                    posted[row.debit] += row.amount
                    posted[row.credit] -= row.amount
                change = row.amount if row.kind == "pending" else -row.held
                held[row.debit] += change
                held[row.credit] -= change
        balances = await rig.books.balances()
        budgets = [one for one in balances if one.account.startswith("exposure/unpaid/")]
        assert budgets
        for balance in balances:
            name, pending = balance.account, balance.debits_pending - balance.credits_pending
            assert (posted[name], held[name]) == (balance.net, pending), name


async def test_explain_every_msat(tmp_path: Path) -> None:
    """From what was paid back to what was charged upstream, nothing is left over or made up."""
    async with open_face(tmp_path) as rig:
        rig.upstream.then(Completes(cost=COST))
        bought, token = await rig.buy()
        cobot = bought.json()["cobot"]
        cost = cobot["cost"]
        parts = cost["upstream_msat"] + cost["credit_fee_msat"] + cost["markup_msat"]
        assert parts == cost["price_msat"] == rig.last.price_msat
        assert cobot["paid_msat"] == cost["price_msat"] + cobot["credited_msat"]
        assert cobot["credited_msat"] == cost["rounding_msat"]
        assert cost["upstream_usd"] == COST
        moved: dict[str, int] = defaultdict(int)
        for entry in await entries(rig, token):
            transfers = entry["transfers"]
            assert isinstance(transfers, list)
            for row in transfers:
                if row["commodity"] == "msat" and row["kind"] in {"posted", "post"}:
                    moved[row["credit"]] += int(row["amount"])
                    moved[row["debit"]] -= int(row["amount"])
        caller = f"caller/{rig.last.caller_id}"
        assert moved["revenue/completions"] == cost["price_msat"]
        assert moved[f"{caller}/available"] == cobot["credited_msat"]
        assert moved[f"{caller}/receivable"] == 0
        assert sum(moved.values()) == 0


@pytest.mark.parametrize("answer", ["", " "])
async def test_an_empty_answer_that_cost_something_is_sold_and_shown(
    tmp_path: Path, answer: str
) -> None:
    """The policy: a bill above zero is charged, and token counts and cost are shown as they are.

    A bill of zero on a priced model is unknown and stays unsold; nothing is ever made up.
    """
    async with open_face(tmp_path) as rig:
        rig.upstream.then(Completes(cost=COST, answer=answer, completion_tokens=0))
        asked = await rig.ask()
        assert asked.json()["escrow"]["usage"]["completion_tokens"] == 0
        bought = await rig.ask(token=await rig.pay(asked))
        assert bought.status == 200
        assert bought.json()["cobot"]["cost"]["upstream_usd"] == COST
        rig.upstream.then(Completes(cost="0", answer=answer, completion_tokens=0))
        assert (await rig.ask(ask_of("Again"))).status == 503
        assert (rig.last.progress, rig.last.price_msat) == (Progress.GENERATED, 0)


@pytest.mark.parametrize("body", [ASK, STREAMED])
async def test_missing_usage_is_not_free(tmp_path: Path, body: dict[str, object]) -> None:
    """An answer that says no cost waits for the record, and costs what the record says."""
    async with open_face(tmp_path) as rig:
        rig.upstream.then(Completes(cost=COST, says_cost=False, lookups_before_record=NEVER))
        waiting = await rig.ask(body)
        assert (waiting.status, waiting.error["code"]) == (503, "cost_pending")
        assert rig.last.progress is Progress.GENERATED
        assert rig.last.run.generation_id is not None
        rig.upstream.record_appears(rig.last.run.generation_id)
        rig.clock.set_ms((rig.last.run.lookup_at_ms or 0) + 1)
        await rig.drive(rig.last)
        asked = await rig.ask(body)
        assert asked.status == 402
        assert rig.last.priced_pusd == pusd_from_text(COST)
        assert rig.last.price_msat > 0
        assert rig.upstream.posts == 1


async def test_a_stream_longer_than_the_sweep_is_charged(tmp_path: Path) -> None:
    """A run of an hour, with every timer and sweep in between, keeps its holds and is charged."""
    async with open_face(tmp_path) as rig:
        gate = asyncio.Event()
        rig.upstream.then(Completes(cost=COST, gate=gate))
        accepted = await rig.ask(STREAMED, headers={"Prefer": "respond-async"})
        assert accepted.status == 202
        running = await rig.until(Progress.REQUESTED)
        for _ in range(12):
            await rig.later(DAY_MS // 288)
            await rig.service.flows.recover.due(rig.clock.now_ms())
            await rig.service.flows.recover.unfinished()
        assert rig.escrow(running.escrow_id).progress is Progress.REQUESTED
        assert rig.escrow(running.escrow_id).run.budget_held_pusd > 0
        gate.set()
        charged = await rig.until(Progress.INVOICED)
        assert charged.priced_pusd == pusd_from_text(COST)
        assert (rig.upstream.posts, len(rig.escrows)) == (1, 1)


async def test_parallel_overdraw_is_refused(tmp_path: Path) -> None:
    """Twenty asks at once on the credit of a few: the balance never goes below zero."""
    async with open_face(tmp_path, NEWCOMER_CAP_SAT="0") as rig:
        token = await rig.top_up(3)
        async with asyncio.TaskGroup() as tasks:
            asks = [tasks.create_task(rig.ask(ask_of(f"N{n:02}"), token=token)) for n in range(20)]
        statuses = [task.result().status for task in asks]
        assert 0 < statuses.count(200) < 20
        assert set(statuses) <= {200, 429}
        cobot = (await rig.get("/v1/credits", token=token)).json()["cobot"]
        assert cobot["available_msat"] >= 0
        sold_msat = sum(escrow.price_msat for escrow in rig.escrows)
        assert cobot["available_msat"] == 3_000 - sold_msat
        assert rig.upstream.posts == statuses.count(200)
