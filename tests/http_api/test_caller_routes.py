"""What a caller reads of its own: generations, credit, statement; and nothing of others."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.retention import DAY_MS
from tests.fakes.upstream_outcomes import NEVER, Completes
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import RATE_USD_MICRO, FaceRig, ask_of, narrowed, open_face


def exact(reply: Reply) -> dict[str, Any]:
    """The document with its numbers as they were written."""
    document: dict[str, Any] = json.loads(reply.body, parse_float=Decimal)
    return document


async def statement(rig: FaceRig, token: str, query: str = "") -> dict[str, Any]:
    """A page of the caller's statement."""
    reply = await rig.get(f"/v1/ledger{query}", token=token)
    assert reply.status == 200
    return reply.json()


@pytest.mark.parametrize(
    "target", ["/v1/key", "/v1/credits", "/v1/ledger", "/v1/generation?id=gen-1"]
)
async def test_without_a_credential_it_is_402_and_no_invoice_is_made(
    tmp_path: Path, target: str
) -> None:
    """Never 401; the sentence says which POST offers a name for 1 sat, and then it answers."""
    async with open_face(tmp_path) as rig:
        asked = await rig.get(target)
        assert (asked.status, asked.error["code"]) == (402, "invalid_credential")
        assert asked.all("www-authenticate") == []
        assert 'POST {"amount_sat": 1000} to /v1/topups' in asked.error["message"]
        assert rig.books.rows.topups == {}
        token = await rig.top_up()
        assert (await rig.get(target, token=token)).status in {200, 404}


async def test_a_payment_just_made_is_booked_by_a_post_and_not_by_reading(tmp_path: Path) -> None:
    """Reading changes nothing: the credit is there once the node has told, or a POST has asked."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask(b""))
        for _ in range(2):
            read = (await rig.get("/v1/credits", token=token)).json()
            assert read["cobot"]["available_msat"] == 0
        assert (await rig.ask(b"", token=token)).status == 200
        booked = (await rig.get("/v1/credits", token=token)).json()
        assert booked["cobot"]["available_msat"] == 1_000


async def test_a_token_lives_for_years_and_an_expired_one_is_none(tmp_path: Path) -> None:
    """Credit stays within reach; whoever shortens a token has shortened it for everything."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up(50)
        caller_id = (await statement(rig, token))["caller_id"]
        await rig.later(2_000 * DAY_MS)
        assert (await statement(rig, token))["caller_id"] == caller_id
        for caveat in ("chat_valid_until=1", "valid_until=99999999999", "chat_capabilities=read"):
            shortened = narrowed(token, caveat)
            assert (await rig.get("/v1/ledger", token=shortened)).status == 402
            spent = await rig.ask(token=shortened)
            assert (spent.status, rig.last.caller_id != caller_id) == (402, True)
        assert (await rig.books.standing(caller_id)).available_msat == 50_000


async def test_ledger_equals_generation_total_cost(tmp_path: Path) -> None:
    """What each generation says it cost is what the statement books, to the msat."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        for number, cost in enumerate(("0.0001", "0.00007", "0.0002")):
            rig.upstream.then(Completes(cost=cost))
            asked = await rig.ask(ask_of(f"Ask {number}"), token=token)
            if asked.status == 402:
                own = await rig.pay(asked)
                assert (await rig.ask(ask_of(f"Ask {number}"), token=own)).status == 200
        assert {escrow.caller_id for escrow in rig.escrows} == {rig.last.caller_id}
        told_msat = 0
        for escrow in rig.escrows:
            reply = await rig.get(f"/v1/generation?id={escrow.run.generation_id}", token=token)
            data = exact(reply)["data"]
            price_msat = data["cobot"]["cost"]["price_msat"]
            told_msat += price_msat
            assert data["total_cost"] == data["usage"]
            worth = Decimal(price_msat) * RATE_USD_MICRO / 10**17
            assert 0 <= Decimal(str(data["total_cost"])) - worth < Decimal("1e-12")
        transfers = [
            transfer
            for entry in (await statement(rig, token))["data"]
            for transfer in entry["transfers"]
            if transfer["credit"] == "revenue/completions"
        ]
        assert sum(int(transfer["amount"]) for transfer in transfers) == told_msat > 0


async def test_a_generation_in_openrouters_shape(tmp_path: Path) -> None:
    """The members that billing tools read, with our price in place of the upstream's cost."""
    async with open_face(tmp_path) as rig:
        bought, token = await rig.buy()
        generation_id = bought.json()["id"]
        assert bought.header("x-generation-id") == generation_id
        data = (await rig.get(f"/v1/generation?id={generation_id}", token=token)).json()["data"]
        assert data["id"] == generation_id
        assert data["total_cost"] == bought.json()["usage"]["cost"]
        assert (data["native_tokens_prompt"], data["native_tokens_completion"]) == (14, 7)
        assert (data["finish_reason"], data["is_byok"]) == ("stop", False)
        assert data["cobot"]["state"] == "released"


async def test_a_generation_that_is_not_there(tmp_path: Path) -> None:
    """404 for another's, for an unknown one and while its cost is not known; 400 without an id."""
    async with open_face(tmp_path) as rig:
        bought, token = await rig.buy()
        stranger = await rig.top_up()
        target = f"/v1/generation?id={bought.json()['id']}"
        assert (await rig.get(target, token=stranger)).status == 404
        assert (await rig.get("/v1/generation?id=gen-0", token=token)).status == 404
        for wrong in ("", "?id=", f"?id={'x' * 201}"):
            reply = await rig.get(f"/v1/generation{wrong}", token=token)
            assert (reply.status, reply.error["param"]) == (400, "id")
        rig.upstream.then(Completes(lookups_before_record=NEVER, says_cost=False))
        assert (await rig.ask(ask_of("No record"), token=token)).status == 503
        assert rig.last.progress is Progress.GENERATED
        unknown = await rig.get(f"/v1/generation?id={rig.last.run.generation_id}", token=token)
        assert unknown.status == 404


async def test_credits_in_openrouters_shape(tmp_path: Path) -> None:
    """The difference of the totals is what is left, in USD at the rate that stands beside it."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up(10)
        assert (await rig.ask(token=token)).status == 200
        document = exact(await rig.get("/v1/credits", token=token))
        cobot = document["cobot"]
        assert cobot["credited_msat"] == 10_000
        assert cobot["spent_credit_msat"] == rig.last.price_msat
        assert cobot["available_msat"] == 10_000 - rig.last.price_msat
        assert cobot["reserved_msat"] == cobot["open_msat"] == 0
        left = document["data"]["total_credits"] - document["data"]["total_usage"]
        worth = Decimal(cobot["available_msat"]) * RATE_USD_MICRO / 10**17
        assert 0 <= left - worth < Decimal("1e-12")
        assert cobot["cap_msat"] == 200_000
        assert cobot["rate"]["btc_usd"] == "94000.5"


async def test_credits_of_an_open_and_a_paid_invoice(tmp_path: Path) -> None:
    """What is open is shown, and what was paid by invoice counts as usage."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        first = rig.last
        await rig.ask(ask_of("Two"), token=token)
        rig.upstream.then(Completes(cost="0.0007"))
        await rig.ask(ask_of("Three"), token=token)
        document = exact(await rig.get("/v1/credits", token=token))
        cobot = document["cobot"]
        assert cobot["paid_by_invoice_msat"] == first.price_msat
        assert cobot["open_msat"] == rig.last.due_msat > 0
        used_msat = cobot["spent_credit_msat"] + first.price_msat
        worth = Decimal(used_msat) * RATE_USD_MICRO / 10**17
        assert 0 <= document["data"]["total_usage"] - worth < Decimal("1e-12")


async def test_credit_that_a_run_holds_is_reserved(tmp_path: Path) -> None:
    """While it runs its ceiling is taken off what is available, and not off the balance."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up(10)
        gate = asyncio.Event()
        rig.upstream.then(Completes(gate=gate))
        await rig.ask(token=token, headers={"Prefer": "respond-async"})
        cobot = (await rig.get("/v1/credits", token=token)).json()["cobot"]
        assert cobot["reserved_msat"] == rig.last.quote.credit_reserved_msat > 0
        assert cobot["available_msat"] == 10_000 - cobot["reserved_msat"]
        gate.set()
        await rig.until(Progress.SETTLED)


async def test_the_statement_is_paged_backwards(tmp_path: Path) -> None:
    """Newest first; each page names where the next begins, the last names none."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        whole = (await statement(rig, token))["data"]
        paged: list[dict[str, Any]] = []
        query = "?limit=3"
        while True:
            page = await statement(rig, token, query)
            paged += page["data"]
            if page["next_before"] is None:
                break
            query = f"?limit=3&before={page['next_before']}"
        assert paged == whole
        assert whole[0]["kind"] == "completion_delivered"
        assert whole[-1]["kind"] == "opened"


async def test_the_statement_is_the_callers_own(tmp_path: Path) -> None:
    """No entry of another caller, and every amount is a text."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        mine = rig.last
        await rig.buy(ask_of("By another"))
        entries = (await statement(rig, token))["data"]
        assert {entry["subject_id"] for entry in entries} == {mine.escrow_id}
        assert rig.last.caller_id != mine.caller_id
        assert rig.last.caller_id not in json.dumps(entries)
        for entry in entries:
            assert all(isinstance(row["amount"], str) for row in entry["transfers"])
            assert isinstance(entry["facts"].get("price_msat", ""), str)


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=201", "?limit=x", "?before=0", "?before=-1", "?limit=%D9%A1"]
)
async def test_a_page_that_is_none_is_refused(tmp_path: Path, query: str) -> None:
    """Whole numbers in their range, in ASCII digits."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up()
        reply = await rig.get(f"/v1/ledger{query}", token=token)
        assert (reply.status, reply.error["param"]) == (400, query[1:].partition("=")[0])
