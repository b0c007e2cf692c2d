"""What a key may spend: its models, its limits, and the credit of its caller."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import cast

import orjson
import pytest
from prometheus_client import CollectorRegistry

from cobot_meter.adapters.lightning.dev_node.signing import NodeFaults
from cobot_meter.domain.refusals import exposure_exceeded
from cobot_meter.flows.sale.ask_completion import Answer, Ask, AskCompletion
from cobot_meter.http_api.app import build_face
from tests.fakes.upstream_outcomes import Completes, Refused
from tests.http_api.asgi_caller import AsgiCaller
from tests.http_api.face_rig import ASK, CHAT, ask_of, challenge_of, open_face
from tests.http_api.keys.test_keys import DEAR, KEYS, TOPUPS, bearer, made


async def test_a_key_asks_for_its_models_alone(tmp_path: Path) -> None:
    """400 that names those it may ask for, before anything is reserved."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000, models=["other/model"])
        reply = await rig.ask(token=bearer(key))
        assert (reply.status, reply.error["code"]) == (400, "model_not_allowed")
        assert "other/model" in reply.error["message"]
        key_id = (await rig.get(KEYS, token=proof)).json()["data"][0]["id"]
        await rig.send("PATCH", f"{KEYS}/{key_id}", {"models": [ASK["model"]]}, token=proof)
        assert (await rig.ask(token=bearer(key))).status == 200


@pytest.mark.parametrize(("limit", "guard"), [("limit_sat", "key"), ("day_limit_sat", "key_day")])
async def test_a_key_spends_no_more_than_its_limit(tmp_path: Path, limit: str, guard: str) -> None:
    """The ceiling is reserved of the limit; 400 says what is taken and what to do."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(50_000)
        assert (await rig.ask(token=bearer(key))).status == 200
        ceiling_msat, price_msat = rig.last.quote.ceiling_msat, rig.last.price_msat
        key_id = (await rig.get(KEYS, token=proof)).json()["data"][0]["id"]
        room_sat = (price_msat + ceiling_msat) // 1_000
        await rig.send("PATCH", f"{KEYS}/{key_id}", {limit: room_sat}, token=proof)
        over = await rig.ask(ask_of("more" * 50), token=bearer(key))
        assert (over.status, over.error["code"]) == (400, "key_limit_reached")
        assert over.error["metadata"]["guard"] == guard
        assert over.error["metadata"]["open_msat"] == price_msat
        await rig.send("PATCH", f"{KEYS}/{key_id}", {limit: room_sat * 2}, token=proof)
        assert (await rig.ask(ask_of("more" * 50), token=bearer(key))).status == 200


async def test_a_day_limit_is_whole_again_the_next_day(tmp_path: Path) -> None:
    """UTC days, by the same clock as every day's budget here."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(50_000)
        await rig.ask(token=bearer(key))
        key_id = (await rig.get(KEYS, token=proof)).json()["data"][0]["id"]
        room_sat = rig.last.quote.ceiling_msat // 1_000 + 1
        await rig.send("PATCH", f"{KEYS}/{key_id}", {"day_limit_sat": room_sat}, token=proof)
        assert (await rig.ask(ask_of("b"), token=bearer(key))).status == 400
        await rig.later(86_400_000)
        assert (await rig.ask(ask_of("b"), token=bearer(key))).status == 200


async def test_a_failed_run_gives_the_limit_back(tmp_path: Path) -> None:
    """Nothing was spent, so nothing is reserved."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000)
        rig.upstream.then(Refused(status=400))
        assert (await rig.ask(token=bearer(key))).status == 400
        listed = (await rig.get(KEYS, token=proof)).json()["data"][0]
        assert (listed["spent_msat"], listed["reserved_msat"]) == (0, 0)


async def test_a_key_is_never_sent_an_invoice_for_one_purchase(tmp_path: Path) -> None:
    """Not even where the same body waits unpaid for the same caller's proof."""
    async with open_face(tmp_path) as rig:
        proof = await rig.credited(10)
        rig.upstream.then(Completes(cost="0.0095"))
        waiting = await rig.ask(DEAR, token=proof)
        assert waiting.status == 402
        key = (await made(rig, proof))["key"]
        short = await rig.ask(DEAR, token=bearer(key))
        assert (short.status, short.error["code"]) == (402, "insufficient_credits")
        assert challenge_of(short) != challenge_of(waiting)
        completion = f"/v1/escrows/{waiting.header('x-escrow-id')}/completion"
        assert (await rig.get(completion, token=bearer(key))).status == 404


async def test_too_little_credit_says_what_fits_and_how_to_top_up(tmp_path: Path) -> None:
    """All of it in the message, and the challenge beside it is the same at every repeat."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(10)
        short = [await rig.ask(DEAR, token=bearer(key)) for _ in range(3)]
        error = short[0].error
        assert [one.status for one in short] == [402] * 3
        assert len({challenge_of(one) for one in short}) == 1
        assert error["type"] == "payment_required"
        assert short[0].header("x-should-retry") == "false"
        metadata = error["metadata"]
        assert metadata["available_msat"] == 10_000
        assert "10 sat are left" in error["message"]
        assert f"https://b.example{TOPUPS}" in error["message"]
        assert f'{{"amount_sat": {metadata["topup_sat"]}}}' in error["message"]
        fits = metadata["fits_max_tokens"]
        assert f"max_tokens {fits} would fit" in error["message"]
        again = await rig.ask({**DEAR, "max_tokens": fits}, token=bearer(key))
        assert again.status == 200
        paid = await rig.pay(short[0])
        assert (await rig.ask(DEAR, token=paid)).status == 200


async def test_a_cheaper_model_is_named_where_no_answer_would_fit(tmp_path: Path) -> None:
    """The dearest that would answer this very request within the credit."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(10)
        long = ask_of("x" * 100_000)
        error = (await rig.ask(long, token=bearer(key))).error
        assert error["code"] == "insufficient_credits"
        named = error["metadata"]["cheaper_model"]
        assert f"the model {named} would fit" in error["message"]
        assert (await rig.ask({**long, "model": named}, token=bearer(key))).status == 200


async def test_without_a_node_the_402_has_its_sentence_still(tmp_path: Path) -> None:
    """No invoice can be made: what is missing is said all the same."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(10)
        rig.node.set_faults(NodeFaults(down=True))
        short = await rig.ask(DEAR, token=bearer(key))
        assert (short.status, short.all("www-authenticate")) == (402, [])
        assert TOPUPS in short.error["message"]
        assert short.error["metadata"]["available_msat"] == 10_000


async def test_parallel_requests_overspend_neither_credit_nor_limit(tmp_path: Path) -> None:
    """Forty at once on a limit of a few: what got through is within it, and credit adds up."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(50_000)
        await rig.ask(token=bearer(key))
        spent_msat = rig.last.price_msat
        limit_sat = (spent_msat + 5 * rig.last.quote.ceiling_msat) // 1_000
        key_id = (await rig.get(KEYS, token=proof)).json()["data"][0]["id"]
        await rig.send("PATCH", f"{KEYS}/{key_id}", {"limit_sat": limit_sat}, token=proof)
        replies = await asyncio.gather(
            *(rig.ask(ask_of(f"n{number}"), token=bearer(key)) for number in range(40))
        )
        assert {one.status for one in replies} == {200, 400}
        listed = (await rig.get(KEYS, token=proof)).json()["data"][0]
        assert listed["reserved_msat"] == 0
        assert listed["spent_msat"] <= limit_sat * 1_000
        credit = (await rig.get("/v1/credits", token=proof)).json()["cobot"]
        assert credit["available_msat"] == 50_000_000 - listed["spent_msat"]


class Contested:
    """Asks whose credit parallel ones take, however often they are opened."""

    async def answer(self, ask: Ask) -> Answer:
        raise exposure_exceeded("available", open_amount=9_000, limit=10_000, asked=2_000)


async def test_credit_that_parallel_requests_took_is_a_402(tmp_path: Path) -> None:
    """Never 429, which agents repeat for minutes: with what is left, and a top-up beside it."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(10)
        parts = dataclasses.replace(
            rig.parts,
            ask_completion=cast("AskCompletion", Contested()),
            registry=CollectorRegistry(),
        )
        contested = AsgiCaller(build_face(parts))
        body = orjson.dumps(ASK)
        worn = {"Authorization": bearer(key)}
        short = await contested.send("POST", CHAT, body=body, headers=worn)
        assert (short.status, short.error["code"]) == (402, "insufficient_credits")
        assert "other requests took it" in short.error["message"]
        assert "10 sat are left" in short.error["message"]
        assert short.error["metadata"]["needed_msat"] == 2_000
        assert challenge_of(short)
        by_proof = {"Authorization": proof}
        unkeyed = await contested.send("POST", CHAT, body=body, headers=by_proof)
        assert unkeyed.status == 429
