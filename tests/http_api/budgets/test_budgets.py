"""A caller's budgets: set by its proof, holding for its keys, told with every answer."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from cobot_meter.flows.budget.zones import offsets_of
from tests.fakes.upstream_outcomes import Completes, Refused
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import ASK, FaceRig, ask_of, open_face
from tests.http_api.keys.test_keys import DEAR, bearer

BUDGETS = "/v1/budgets"
DAY_MS = 86_400_000
BERLIN = "Europe/Berlin"


def caller_day(**amount: object) -> dict[str, object]:
    """What the caller may spend a day in Berlin."""
    return {"scope": "caller", "period": "day", "zone": BERLIN, **amount}


async def put(rig: FaceRig, proof: str, *budgets: object) -> Reply:
    """These budgets and no others."""
    return await rig.send("PUT", BUDGETS, {"budgets": list(budgets)}, token=proof)


def header_of(reply: Reply) -> str:
    """What the answer's header says of the budget of which least is left."""
    return reply.header("x-cobot-budget") or ""


async def listed(rig: FaceRig, token: str) -> list[dict[str, Any]]:
    """How the budgets stand."""
    found: list[dict[str, Any]] = (await rig.get(BUDGETS, token=token)).json()["data"]
    return found


async def test_a_budget_is_set_spent_and_told(tmp_path: Path) -> None:
    """In the answer, in its header, and where the caller asks how its budgets stand."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(50_000)
        assert await listed(rig, proof) == []
        said = await put(rig, proof, caller_day(amount_sat=40_000))
        assert said.status == 200
        assert said.json()["data"][0]["left_msat"] == 40_000_000
        reply = await rig.ask(token=bearer(key))
        price_msat = rig.last.price_msat
        (told,) = reply.json()["cobot"]["budget"]
        assert (told["spent_msat"], told["reserved_msat"]) == (price_msat, 0)
        assert told["left_msat"] == 40_000_000 - price_msat
        assert (told["scope"], told["period"], told["zone"]) == ("caller", "day", BERLIN)
        assert told["notice"] is None
        assert await listed(rig, bearer(key)) == [told]
        header = header_of(reply)
        assert header.startswith("caller/day; used=0; left=")
        assert told["resets_at"] in header
        resets = dt.datetime.fromisoformat(told["resets_at"])
        now_s = rig.clock.now_ms() // 1_000
        assert resets.time() == dt.time(0)
        assert 0 < resets.timestamp() - now_s <= DAY_MS // 1_000
        assert resets.utcoffset() == dt.timedelta(seconds=offsets_of(BERLIN)(now_s))


async def test_what_passes_a_budget_is_refused_with_what_is_left_and_what_fits(
    tmp_path: Path,
) -> None:
    """402, which ends an agent's retries; with the `max_tokens` that it names it is answered."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(50_000)
        await rig.ask(token=bearer(key))
        await put(rig, proof, caller_day(amount_msat=rig.last.quote.ceiling_msat))
        assert (await rig.ask(ask_of("a" * 20), token=bearer(key))).status == 200
        over = await rig.ask(ask_of("b" * 20), token=bearer(key))
        assert (over.status, over.error["code"]) == (402, "budget_exhausted")
        assert over.header("x-should-retry") == "false"
        metadata, message = over.error["metadata"], over.error["message"]
        (stands,) = await listed(rig, proof)
        assert metadata["left_msat"] == stands["left_msat"] < metadata["asked_msat"]
        assert metadata["resets_at"] == stands["resets_at"]
        assert metadata["resets_at"] in message
        assert BERLIN in message
        fits = metadata["fits_max_tokens"]
        assert f"max_tokens {fits} would fit" in message
        assert (
            await rig.ask({**ask_of("b" * 20), "max_tokens": fits}, token=bearer(key))
        ).status == 200
        (after,) = await listed(rig, proof)
        assert after["spent_msat"] <= after["limit_msat"]


async def test_a_budget_begins_anew_at_its_own_midnight(tmp_path: Path) -> None:
    """By the clock of its zone, and without anybody resetting anything."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(50_000)
        await rig.ask(token=bearer(key))
        room_msat = rig.last.quote.ceiling_msat
        told = await put(rig, proof, caller_day(amount_msat=room_msat + 1))
        assert (await rig.ask(ask_of("a"), token=bearer(key))).status == 200
        assert (await rig.ask(ask_of("b"), token=bearer(key))).status == 402
        resets = dt.datetime.fromisoformat(told.json()["data"][0]["resets_at"])
        until_ms = int(resets.timestamp() * 1_000) - rig.clock.now_ms()
        await rig.later(until_ms - 1)
        assert (await rig.ask(ask_of("b"), token=bearer(key))).status == 402
        await rig.later(1)
        assert (await rig.ask(ask_of("b"), token=bearer(key))).status == 200


async def test_budgets_of_a_key_and_of_a_model_bound_these_alone(tmp_path: Path) -> None:
    """Another key, and another model, go on; a key is told of its own budgets only."""
    async with open_face(tmp_path) as rig:
        one, proof = await rig.key(50_000)
        made = await rig.send("POST", "/v1/keys", {"name": "two"}, token=proof)
        two, two_id = made.json()["key"], made.json()["data"]["id"]
        ids = [each["id"] for each in (await rig.get("/v1/keys", token=proof)).json()["data"]]
        (one_id,) = [each for each in ids if each != two_id]
        await put(
            rig,
            proof,
            {"scope": "key", "key": one_id, "period": "hour", "amount_msat": 1},
            {
                "scope": "model",
                "model": "qwen/qwen3-coder",
                "period": "month",
                "amount_usd": "0.0001",
            },
        )
        assert (await rig.ask(token=bearer(one))).error["code"] == "budget_exhausted"
        assert (await rig.ask(token=bearer(two))).status == 200
        scopes = [each["scope"] for each in await listed(rig, bearer(two))]
        assert scopes == ["model"]
        assert len(await listed(rig, proof)) == 2
        dear = {**ask_of("x" * 60_000), "model": "qwen/qwen3-coder"}
        refused = await rig.ask(dear, token=bearer(two))
        assert refused.error["code"] == "budget_exhausted"
        assert "the model qwen/qwen3-coder" in refused.error["message"]


async def test_a_budget_in_usd_counts_at_the_rate_of_each_sale(tmp_path: Path) -> None:
    """What was spent is never valued anew."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(50_000)
        await put(rig, proof, caller_day(amount_usd=5))
        reply = await rig.ask(token=bearer(key))
        (told,) = reply.json()["cobot"]["budget"]
        assert told["spent_usd"] == str(reply.json()["usage"]["cost"])
        assert told["limit_usd"] == "5"


async def test_a_failed_run_gives_the_budget_back(tmp_path: Path) -> None:
    """Nothing was spent, so nothing is reserved."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000)
        await put(rig, proof, caller_day(amount_sat=1_000))
        rig.upstream.then(Refused(status=400))
        assert (await rig.ask(token=bearer(key))).status == 400
        (stands,) = await listed(rig, proof)
        assert (stands["spent_msat"], stands["reserved_msat"]) == (0, 0)


async def test_what_is_bought_by_invoice_counts_too(tmp_path: Path) -> None:
    """Of a caller that has no key: billed it is spent, and lapsed it is not."""
    async with open_face(tmp_path) as rig:
        proof = await rig.credited(10)
        await put(rig, proof, caller_day(amount_sat=1_000))
        rig.upstream.then(Completes(cost="0.0095"))
        assert (await rig.ask(DEAR, token=proof)).status == 402
        (stands,) = await listed(rig, proof)
        assert (stands["spent_msat"], stands["reserved_msat"]) == (rig.last.price_msat, 0)
        await rig.expire(rig.last)
        (stands,) = await listed(rig, proof)
        assert (stands["spent_msat"], stands["reserved_msat"]) == (0, 0)


@pytest.mark.parametrize(
    ("percent", "notice"), [(49, None), (50, 50), (79, 50), (80, 80), (100, 100)]
)
async def test_whoever_spends_is_told_at_fifty_eighty_and_a_hundred(
    tmp_path: Path, percent: int, notice: int | None
) -> None:
    """In the answer, in the header, and as a count for the operator."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(50_000)
        await put(rig, proof, caller_day(amount_sat=50_000))
        assert (await rig.ask(token=bearer(key))).status == 200
        spent_msat = rig.last.price_msat
        # A second answer costs the same: both are so many parts of a hundred of this limit.
        limit_msat = 2 * spent_msat * 100 // percent
        ample = await put(rig, proof, caller_day(amount_msat=limit_msat))
        assert ample.status == 200
        reply = await rig.ask(
            {**ask_of("once more, and short"), "max_tokens": 1}, token=bearer(key)
        )
        (told,) = await listed(rig, proof)
        wanted = next((one for one in (100, 80, 50) if told["used_percent"] >= one), None)
        assert told["notice"] == wanted
        if reply.status == 200:
            said = header_of(reply)
            found = re.search(r"notice=(\d+)", said)
            assert (found and int(found[1])) == wanted
            name = "cobot_meter_budget_notices_total"
            labels = {"scope": "caller", "notice": str(wanted)}
            counted = rig.parts.registry.get_sample_value(name, labels)
            assert counted == (1 if wanted else None)


async def test_twenty_at_once_overspend_nothing_and_use_most_of_it(tmp_path: Path) -> None:
    """Whoever is refused because others run is told 429 and asks again: over 90 % gets used."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(500_000)
        await rig.ask(token=bearer(key))
        ceiling_msat = rig.last.quote.ceiling_msat
        await put(rig, proof, caller_day(amount_msat=40 * ceiling_msat))
        seen: set[int] = set()

        async def asking(number: int) -> None:
            for turn in range(400):
                reply = await rig.ask(ask_of(f"{number} {turn}"), token=bearer(key))
                seen.add(reply.status)
                if reply.status == 402:
                    return
                assert reply.status in {200, 429}
                if reply.status == 429:
                    assert reply.header("retry-after")

        await asyncio.gather(*(asking(number) for number in range(20)))
        (stands,) = await listed(rig, proof)
        assert seen >= {200, 402}
        assert stands["reserved_msat"] == 0
        assert 90 <= stands["used_percent"] <= 100
        assert stands["spent_msat"] <= stands["limit_msat"]


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ({"amount_sat": 0}, "amount_sat must be above zero"),
        ({"amount_sat": -5}, "amount_sat must be above zero"),
        ({"amount_sat": 1.5}, "amount_sat must be whole"),
        ({"amount_sat": "5"}, "amount_sat must be a number"),
        ({"amount_usd": "nan"}, "amount_usd must be above zero"),
        ({"amount_usd": "lots"}, "amount_usd must be a number of USD, and not 'lots'"),
        ({"amount_usd": 1e300}, "amount_usd is more than can be spent here"),
        ({"amount_sat": 10**18}, "amount_sat is more than can be spent here"),
        ({}, "amount is said once"),
        ({"amount_sat": 1, "amount_usd": 1}, "amount is said once"),
        ({"amount_sat": 1, "zone": "Europe/Atlantis"}, "no time zone 'Europe/Atlantis'"),
        ({"amount_sat": 1, "zone": "../../etc/passwd"}, "no time zone '../../etc/passwd'"),
        ({"amount_sat": 1, "zone": 2}, "no time zone '2'"),
        ({"amount_sat": 1, "period": "year"}, "period must be one of hour, day, week, month"),
        ({"amount_sat": 1, "scope": "operator"}, "its operator's to set"),
        ({"amount_sat": 1, "scope": "galaxy"}, "scope must be one of"),
        ({"amount_sat": 1, "scope": "key"}, "key must be an id"),
        ({"amount_sat": 1, "scope": "key", "key": "key_else"}, "no key 'key_else'"),
        ({"amount_sat": 1, "model": "a/b"}, "model belongs to no budget of the scope caller"),
        ({"amount_sat": 1, "colour": "red"}, "budgets have no field 'colour'"),
        (7, "budgets must be a list of objects"),
    ],
)
async def test_what_no_budget_is_gets_a_sentence_and_changes_nothing(
    tmp_path: Path, budget: object, says: str
) -> None:
    """What was set before still stands."""
    async with open_face(tmp_path) as rig:
        _, proof = await rig.key(5_000)
        before = (await put(rig, proof, caller_day(amount_sat=7))).json()
        wrong = caller_day(**budget) if isinstance(budget, dict) else budget
        refused = await put(rig, proof, caller_day(amount_sat=9), wrong)
        assert refused.status == 400
        assert says in refused.error["message"]
        assert (await rig.get(BUDGETS, token=proof)).json() == before


async def test_budgets_are_set_as_a_whole_and_by_a_proof_alone(tmp_path: Path) -> None:
    """A key that leaked cannot raise what it may spend; nor are there too many, or two of one."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000)
        refused = await put(rig, bearer(key), caller_day(amount_sat=9))
        assert (refused.status, refused.error["code"]) == (403, "proof_required")
        twice = await put(rig, proof, caller_day(amount_sat=9), caller_day(amount_sat=8))
        assert "say one amount for it" in twice.error["message"]
        models = [
            {"scope": "model", "model": f"m/{number}", "period": "day", "amount_sat": 1}
            for number in range(17)
        ]
        assert "at most 16 can be set" in (await put(rig, proof, *models)).error["message"]
        none = await rig.send("PUT", BUDGETS, {"budget": []}, token=proof)
        assert "has no field 'budget'" in none.error["message"]
        assert (
            "Say all budgets at once"
            in (await rig.send("PUT", BUDGETS, {}, token=proof)).error["message"]
        )
        assert (await put(rig, proof, caller_day(amount_sat=9))).status == 200
        assert (await put(rig, proof)).json()["data"] == []
        assert (await rig.ask(token=bearer(key))).status == 200
        assert "budget" not in (await rig.ask(ask_of("z"), token=bearer(key))).json()["cobot"]


async def test_a_stream_tells_of_its_budget_at_its_end(tmp_path: Path) -> None:
    """The header says how it stood before; the last chunk how it stands."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(50_000)
        await put(rig, proof, caller_day(amount_sat=40_000))
        reply = await rig.ask({**ASK, "stream": True}, token=bearer(key))
        assert reply.status == 200
        assert header_of(reply).startswith("caller/day; used=0")
        assert f'"spent_msat":{rig.last.price_msat}' in reply.body.decode()
