"""API keys: made by a proof, found by their text alone, limited, changed, rotated and revoked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cobot_meter.domain.api_key.record import SECRET_PREFIX, is_secret, secret_digest
from cobot_meter.flows.credit.manage_keys import LIVE_MAX
from tests.http_api.face_rig import ASK, FaceRig, ask_of, narrowed, open_face

KEYS = "/v1/keys"
TOPUPS = "/v1/topups"
# About 12 sat at most, where ASK is under one.
DEAR = {**ASK, "max_tokens": 16_000}
NOBODY = f"{SECRET_PREFIX}{'x' * 43}"


def bearer(secret: str) -> str:
    """As SDKs send it."""
    return f"Bearer {secret}"


async def made(rig: FaceRig, proof: str, **wish: object) -> dict[str, Any]:
    """A key of this proof's caller: its text and what is known of it."""
    reply = await rig.send("POST", KEYS, wish, token=proof)
    assert reply.status == 201
    document: dict[str, Any] = reply.json()
    return document


async def test_a_key_buys_at_once_from_the_credit_of_its_caller(tmp_path: Path) -> None:
    """200 without an invoice, and the price is off the credit and on the key."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000)
        reply = await rig.ask(token=bearer(key))
        assert reply.status == 200
        price_msat = rig.last.price_msat
        assert price_msat > 0
        credit = (await rig.get("/v1/credits", token=proof)).json()["cobot"]
        assert credit["available_msat"] == 5_000_000 - price_msat
        listed = (await rig.get(KEYS, token=proof)).json()["data"]
        assert [one["spent_msat"] for one in listed] == [price_msat]
        assert [one["spent_today_msat"] for one in listed] == [price_msat]
        assert listed[0]["last_used_day"] == rig.last.quote.day


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer {}"},
        {"Authorization": "bearer   {}"},
        {"Authorization": "{}"},
        {"x-api-key": "{}"},
        {"Authorization": "Bearer none", "x-api-key": "{}"},
        {"Authorization": "Bearer {}", "x-api-key": "{}"},
    ],
)
async def test_a_key_is_taken_where_sdks_put_it(tmp_path: Path, headers: dict[str, str]) -> None:
    """`Authorization: Bearer`, or `x-api-key`; twice the same is once."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(5_000)
        sent = {name: value.format(key) for name, value in headers.items()}
        assert (await rig.ask(headers=sent)).status == 200
        assert (await rig.get("/v1/credits", headers=sent)).status == 200


async def test_a_proof_is_taken_as_a_bearer_too(tmp_path: Path) -> None:
    """An SDK's one setting can hold the pair."""
    async with open_face(tmp_path) as rig:
        proof = await rig.credited(5_000)
        pair = proof.removeprefix("L402 ")
        for headers in ({"Authorization": f"Bearer {pair}"}, {"x-api-key": pair}):
            assert (await rig.get("/v1/credits", headers=headers)).status == 200


async def test_the_text_is_nowhere_in_the_books(tmp_path: Path) -> None:
    """Its digest is, and how it begins: neither row nor journal has the rest."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000, name="editor")
        assert is_secret(key)
        rows = rig.books.rows
        row = next(iter(rows.api_keys.values()))
        assert row.secret_sha256 == secret_digest(key)
        assert key not in repr((rows.api_keys, rows.journal))
        listed = await rig.get(KEYS, token=proof)
        assert key.encode() not in listed.body
        assert listed.json()["data"][0]["label"] == f"{key[:15]}…"


async def test_a_top_up_gives_its_key_again_to_the_same_proof(tmp_path: Path) -> None:
    """An answer that was lost costs nothing, and makes no second key."""
    async with open_face(tmp_path) as rig:
        body = {"amount_sat": 5_000, "key": {"name": "editor"}}
        asked = await rig.send("POST", TOPUPS, body)
        assert "key" not in asked.json()
        proof = await rig.pay(asked)
        told = [(await rig.send("POST", TOPUPS, body, token=proof)).json()["key"] for _ in range(2)]
        assert told[0] == told[1]
        assert told[0]["data"]["name"] == "editor"
        assert len(rig.books.rows.api_keys) == 1
        await rig.send("DELETE", f"{KEYS}/{told[0]['data']['id']}", token=proof)
        again = (await rig.send("POST", TOPUPS, body, token=proof)).json()["key"]
        assert (again["key"], again["data"]["state"]) == (None, "revoked")


async def test_a_key_is_made_once_under_an_idempotency_key(tmp_path: Path) -> None:
    """The same again for the same caller and text, another one without."""
    async with open_face(tmp_path) as rig:
        proof, named = await rig.credited(5_000), {"Idempotency-Key": "laptop"}
        told = [await rig.send("POST", KEYS, token=proof, headers=named) for _ in range(2)]
        assert told[0].json() == told[1].json()
        other = await made(rig, proof)
        assert other["key"] != told[0].json()["key"]
        assert len((await rig.get(KEYS, token=proof)).json()["data"]) == 2


async def test_a_key_manages_no_keys(tmp_path: Path) -> None:
    """One that leaked can be ended, and whoever has it can make none that outlives it."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000)
        key_id = (await rig.get(KEYS, token=proof)).json()["data"][0]["id"]
        for method, path in (
            ("POST", KEYS),
            ("GET", KEYS),
            ("GET", f"{KEYS}/{key_id}"),
            ("PATCH", f"{KEYS}/{key_id}"),
            ("DELETE", f"{KEYS}/{key_id}"),
            ("POST", f"{KEYS}/{key_id}/rotate"),
        ):
            reply = await rig.send(method, path, token=bearer(key))
            assert (reply.status, reply.error["code"]) == (403, "proof_required")
            nameless = await rig.send(method, path)
            assert (nameless.status, nameless.error["code"]) == (402, "invalid_credential")
        body = {"amount_sat": 100, "key": {}}
        reply = await rig.send("POST", TOPUPS, body, token=bearer(key))
        assert (reply.status, reply.error["code"]) == (403, "proof_required")


async def test_what_a_key_tops_up_gives_no_more_than_the_key(tmp_path: Path) -> None:
    """Whoever pays learns the preimage: with the macaroon that the key was told it is that key."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000, limit_sat=10)
        paid = await rig.credited(700, token=bearer(key))
        assert (await rig.get("/v1/credits", token=paid)).json()["cobot"]["available_msat"] == (
            5_700_000
        )
        assert (await rig.send("POST", KEYS, token=paid)).error["code"] == "proof_required"
        assert (await rig.ask(DEAR, token=paid)).error["code"] == "key_limit_reached"
        key_id = (await rig.get(KEYS, token=proof)).json()["data"][0]["id"]
        await rig.send("DELETE", f"{KEYS}/{key_id}", token=proof)
        assert (await rig.ask(token=paid)).error["code"] == "api_key_revoked"


async def test_a_proof_can_be_narrowed_to_a_key_of_its_caller(tmp_path: Path) -> None:
    """Any holder can append the caveat; of another caller's key it proves nothing."""
    async with open_face(tmp_path) as rig:
        _, proof = await rig.key(5_000)
        key_id = (await rig.get(KEYS, token=proof)).json()["data"][0]["id"]
        assert (await rig.ask(token=narrowed(proof, f"key={key_id}"))).status == 200
        assert rig.last.key_id == key_id
        stranger = await rig.credited(5_000)
        for token in (narrowed(stranger, f"key={key_id}"), narrowed(proof, "key=key_none")):
            reply = await rig.ask(token=token)
            assert (reply.status, reply.error["code"]) == (400, "invalid_api_key")


@pytest.mark.parametrize("secret", [NOBODY, f"{SECRET_PREFIX}short", f"{SECRET_PREFIX}{'.' * 43}"])
async def test_a_key_that_is_none_stops_every_retry(tmp_path: Path, secret: str) -> None:
    """400 with one sentence: on 401, 403 and 429 agents ask again for minutes."""
    async with open_face(tmp_path) as rig:
        for reply in (
            await rig.ask(token=bearer(secret)),
            await rig.ask(b"", token=bearer(secret)),
            await rig.get("/v1/credits", headers={"x-api-key": secret}),
            await rig.send("POST", TOPUPS, {"amount_sat": 50}, token=bearer(secret)),
        ):
            assert (reply.status, reply.error["code"]) == (400, "invalid_api_key")
            assert reply.error["type"] == "invalid_request_error"
            assert reply.header("x-should-retry") == "false"
            assert secret.encode() not in reply.body
        assert rig.upstream.posts == 0


async def test_somebody_elses_key_is_nobody_here(tmp_path: Path) -> None:
    """SDKs always send one: it is as if none were there."""
    async with open_face(tmp_path) as rig:
        for other in ("none", "sk-or-v1-abc", "sk-proj-abc", "DUMMY_KEY"):
            assert (await rig.ask(token=bearer(other))).error["code"] == "payment_required"


async def test_two_keys_are_refused_and_so_is_a_key_with_a_strangers_proof(tmp_path: Path) -> None:
    """They may be two callers, and nobody knows who is to pay."""
    async with open_face(tmp_path) as rig:
        one, proof = await rig.key(5_000)
        other, _ = await rig.key(5_000)
        for headers in (
            {"Authorization": bearer(one), "x-api-key": other},
            {"Authorization": bearer(one), "x-api-key": NOBODY},
            {"Authorization": proof, "x-api-key": other},
        ):
            reply = await rig.ask(headers=headers)
            assert (reply.status, reply.error["code"]) == (400, "invalid_api_key")
        own = {"Authorization": proof, "x-api-key": one}
        assert (await rig.ask(headers=own)).status == 200
        assert rig.last.key_id is not None


@pytest.mark.parametrize(
    "target",
    [
        "/v1/models?key={}",
        "/v1/models?api_key=sk%2Dcobot%2D{}",
        "/v1/{}/models",
        "/v1/credits?x={}&y=1",
    ],
)
async def test_a_key_in_an_address_is_taken_for_leaked(
    tmp_path: Path, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused with what to do, and written down nowhere."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(5_000)
        text = key.removeprefix(SECRET_PREFIX) if "%2D" in target else key
        reply = await rig.get(target.format(text))
        assert (reply.status, reply.error["code"]) == (400, "api_key_in_url")
        assert "leaked" in reply.error["message"]
        assert text.encode() not in reply.body
        assert text not in caplog.text


async def test_a_revoked_key_ends_with_the_next_request(tmp_path: Path) -> None:
    """400 that says so; revoking again is the same, and nothing else can be done with it."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000)
        key_id = (await rig.get(KEYS, token=proof)).json()["data"][0]["id"]
        for _ in range(2):
            ended = await rig.send("DELETE", f"{KEYS}/{key_id}", token=proof)
            assert (ended.status, ended.json()["data"]["state"]) == (200, "revoked")
        assert (await rig.ask(token=bearer(key))).error["code"] == "api_key_revoked"
        for method, path in (("PATCH", key_id), ("POST", f"{key_id}/rotate")):
            reply = await rig.send(method, f"{KEYS}/{path}", {"name": "x"}, token=proof)
            assert (reply.status, reply.error["code"]) == (400, "api_key_revoked")


async def test_a_rotated_key_has_another_text(tmp_path: Path) -> None:
    """The one before ends at once; limits and what was spent stay."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000)
        await rig.ask(token=bearer(key))
        key_id = (await rig.get(KEYS, token=proof)).json()["data"][0]["id"]
        rotated = (await rig.send("POST", f"{KEYS}/{key_id}/rotate", token=proof)).json()
        assert rotated["key"] != key
        assert rotated["data"]["rotations"] == 1
        assert rotated["data"]["spent_msat"] > 0
        assert (await rig.ask(token=bearer(key))).error["code"] == "invalid_api_key"
        assert (await rig.ask(ask_of("other"), token=bearer(rotated["key"]))).status == 200


async def test_an_owner_changes_names_and_limits(tmp_path: Path) -> None:
    """What is not said stays, null takes away, and the same again is no entry."""
    async with open_face(tmp_path) as rig:
        proof = await rig.credited(5_000)
        told = await made(rig, proof, name="a", limit_sat=10, day_limit_sat=5, models=["x/y"])
        path = f"{KEYS}/{told['data']['id']}"
        assert (told["data"]["limit_sat"], told["data"]["day_limit_sat"]) == (10, 5)
        changed = await rig.send("PATCH", path, {"name": "b", "limit_sat": None}, token=proof)
        document = changed.json()["data"]
        assert (document["name"], document["limit_sat"], document["day_limit_sat"]) == (
            "b",
            None,
            5,
        )
        assert document["models"] == ["x/y"]
        entries = len(rig.books.rows.journal)
        await rig.send("PATCH", path, {"name": "b"}, token=proof)
        assert len(rig.books.rows.journal) == entries
        assert (await rig.get(path, token=proof)).json()["data"] == document
        wrong: tuple[dict[str, Any], ...] = (
            {"limit_sat": 0},
            {"day_limit_sat": -1},
            {"limit_sat": 1.5},
            {"name": "x" * 81},
            {"name": 5},
            {"models": []},
            {"models": ["a b"]},
            {"models": "x/y"},
            {"surprise": 1},
        )
        for fields in wrong:
            assert (await rig.send("PATCH", path, fields, token=proof)).status == 400


async def test_a_key_is_its_owners_alone(tmp_path: Path) -> None:
    """404 for everybody else, whatever they send."""
    async with open_face(tmp_path) as rig:
        told = await made(rig, await rig.credited(100))
        stranger = await rig.credited(100)
        path = f"{KEYS}/{told['data']['id']}"
        for method, target in (
            ("GET", path),
            ("PATCH", path),
            ("DELETE", path),
            ("POST", f"{path}/rotate"),
            ("GET", f"{KEYS}/key_nobody"),
        ):
            reply = await rig.send(method, target, {}, token=stranger)
            assert (reply.status, reply.error["code"]) == (404, "not_found")
        assert (await rig.get(KEYS, token=stranger)).json()["data"] == []


async def test_a_caller_has_so_many_keys_and_no_more(tmp_path: Path) -> None:
    """Rows that nobody pays for are bounded; a revoked one makes room."""
    async with open_face(tmp_path) as rig:
        proof = await rig.credited(100)
        first = await made(rig, proof)
        for _ in range(LIVE_MAX - 1):
            await made(rig, proof)
        full = await rig.send("POST", KEYS, token=proof)
        assert (full.status, "at most" in full.error["message"]) == (400, True)
        await rig.send("DELETE", f"{KEYS}/{first['data']['id']}", token=proof)
        await made(rig, proof)


async def test_what_one_key_asked_another_one_does_not_read(tmp_path: Path) -> None:
    """Neither the completion nor the generation, though both are of one caller."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000)
        other = (await made(rig, proof))["key"]
        bought = await rig.ask(token=bearer(key))
        escrow_id = bought.header("x-escrow-id")
        generation = f"/v1/generation?id={bought.header('x-generation-id')}"
        path = f"/v1/escrows/{escrow_id}/completion"
        for token, status in ((bearer(key), 200), (proof, 200), (bearer(other), 404)):
            assert (await rig.get(path, token=token)).status == status
            assert (await rig.get(generation, token=token)).status == status


async def test_a_key_reads_what_openrouter_says_of_keys(tmp_path: Path) -> None:
    """Limit, what is left of it and usage in USD; in msat beside it."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(5_000, name="editor", limit_sat=900, day_limit_sat=2_000)
        fresh = (await rig.get("/v1/key", token=bearer(key))).json()["data"]
        assert fresh["label"] == key[:15]
        assert fresh["limit_reset"] is None
        assert fresh["limit"] == fresh["limit_remaining"] > 0
        await rig.ask(token=bearer(key))
        used = (await rig.get("/v1/key", token=bearer(key))).json()["data"]
        assert 0 < used["usage"] == used["usage_daily"] == used["usage_monthly"]
        assert used["limit_remaining"] < used["limit"]
        own = used["cobot"]["key"]
        assert (own["name"], own["limit_sat"], own["spent_msat"]) == (
            "editor",
            900,
            rig.last.price_msat,
        )
        unlimited, _ = await rig.key(100)
        without = (await rig.get("/v1/key", token=bearer(unlimited))).json()["data"]
        assert (without["limit"], without["limit_remaining"]) == (None, None)


async def test_a_blocked_callers_key_makes_and_asks_nothing(tmp_path: Path) -> None:
    """The operator's word is on the caller, whatever names it."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(5_000)
        caller_id = next(iter(rig.books.rows.api_keys.values())).caller_id
        await rig.service.flows.operating.set_caller.block(caller_id, blocked=True)
        assert (await rig.ask(token=bearer(key))).status == 403
        assert (await rig.send("POST", KEYS, token=proof)).status == 403
