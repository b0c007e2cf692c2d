"""The lowest tier of an API key: what its owner says of it holds for whatever it asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cobot_meter.domain.retention import Retention
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.http_api.views import completion_path
from tests.http_api.face_rig import ASK, MODEL, ask_of, open_face
from tests.http_api.keys.test_keys import KEYS, bearer, made
from tests.http_api.privacy.test_privacy import (
    CARD,
    HERE,
    LOCAL,
    PUBLIC,
    privacy_in,
    private_face,
    sent,
)
from tests.http_api.tasks.task_face import CAP_SAT, TaskFace

LATER = {"Idempotency-Key": "fetched-later"}


@pytest.mark.parametrize(
    ("policy", "headers", "said", "tier", "by"),
    [
        ("local", {}, "Hello", "local", "key"),
        ("local", PUBLIC, "Hello", "local", "key"),
        ("zdr", {}, "Hello", "zdr", "key"),
        ("zdr", PUBLIC, "Hello", "zdr", "key"),
        ("zdr", LOCAL, "Hello", "local", "caller"),
        ("zdr", {}, f"charge {CARD}", "local", "detector"),
        ("public", {}, f"charge {CARD}", "local", "detector"),
    ],
)
async def test_the_highest_of_declared_demanded_and_detected_holds(
    tmp_path: Path, policy: str, headers: dict[str, str], said: str, tier: str, by: str
) -> None:
    """Whoever answers may; the answer says which tier, and at whose word, and so does the fetch."""
    async with private_face(tmp_path) as rig:
        key, _ = await rig.key(1_000, privacy=policy)
        reply = await rig.ask(ask_of(said), token=bearer(key), headers={**headers, **LATER})
        assert reply.status == 200, reply.json()
        told = privacy_in(reply)
        assert (told["tier"], told["by"]) == (tier, by)
        assert told["declared"] is bool(headers)
        [(model, body)] = sent(rig)
        assert model == (HERE.model_id if tier == "local" else MODEL)
        assert body["provider"] == {"zdr": True, "data_collection": "deny"}
        path = completion_path(rig.last.escrow_id)
        fetched = privacy_in(await rig.get(path, token=bearer(key)))
        assert fetched == {**told, "signals": None}
        assert CARD not in rig.last.privacy
        audit = AuditLedger(
            reports=rig.books, node=lambda: rig.node, upstream=None, retention=Retention()
        )
        assert list((await audit.audit()).findings) == []


async def test_an_owner_sets_changes_and_lifts_it_and_it_holds_from_the_next_request(
    tmp_path: Path,
) -> None:
    """What was bought before says what it was bought under; nobody claims a tier afterwards."""
    async with private_face(tmp_path) as rig:
        key, proof = await rig.key(1_000)
        (row,) = (await rig.get(KEYS, token=proof)).json()["data"]
        assert row["privacy"] == "public"
        before = await rig.ask(token=bearer(key), headers=LATER)
        assert "privacy" not in before.json()["cobot"]
        changed = await rig.send("PATCH", f"{KEYS}/{row['id']}", {"privacy": "zdr"}, token=proof)
        assert changed.json()["data"]["privacy"] == "zdr"
        again = await rig.ask(token=bearer(key), headers=LATER)
        assert "privacy" not in again.json()["cobot"]
        assert len(rig.upstream.runs) == 1
        assert privacy_in(await rig.ask(ask_of("next"), token=bearer(key)))["tier"] == "zdr"
        lifted = await rig.send("PATCH", f"{KEYS}/{row['id']}", {"privacy": None}, token=proof)
        assert lifted.json()["data"]["privacy"] == "public"
        after = await rig.ask(ask_of("after"), token=bearer(key))
        assert "privacy" not in after.json()["cobot"]


async def test_what_nobody_here_may_read_is_refused_and_says_that_it_is_the_key(
    tmp_path: Path,
) -> None:
    """422, nothing spent; to declare it public is no advice, since that would not help."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(1_000, privacy="local")
        reply = await rig.ask(token=bearer(key), headers=PUBLIC)
        assert (reply.status, reply.error["code"]) == (422, "privacy_unroutable")
        message = reply.error["message"]
        assert "its API key is for requests of the tier local" in message
        assert message.endswith("or ask with another API key.")
        assert rig.upstream.posts == 0
        assert (await made(rig, proof, privacy="public"))["data"]["privacy"] == "public"


async def test_a_wish_that_providers_may_keep_it_contradicts_the_key(tmp_path: Path) -> None:
    """One sentence, and nothing is sent."""
    async with private_face(tmp_path) as rig:
        key, _ = await rig.key(1_000, privacy="zdr")
        wish: dict[str, Any] = {**ASK, "provider": {"data_collection": "allow"}}
        reply = await rig.ask(wish, token=bearer(key))
        assert (reply.status, reply.error["param"]) == (400, "provider.data_collection")
        assert reply.error["message"].endswith("or ask with a key that allows it.")
        assert rig.upstream.posts == 0


@pytest.mark.parametrize("said", ["secret", "LOCAL", 1, ["local"], {}, ""])
async def test_a_word_that_is_no_tier_changes_nothing(tmp_path: Path, said: object) -> None:
    """400 with the words that there are, at the making and at the change of a key."""
    async with open_face(tmp_path) as rig:
        _, proof = await rig.key(1_000)
        (row,) = (await rig.get(KEYS, token=proof)).json()["data"]
        path = f"{KEYS}/{row['id']}"
        for method, where in (("POST", KEYS), ("PATCH", path)):
            reply = await rig.send(method, where, {"privacy": said}, token=proof)
            assert (reply.status, reply.error["param"]) == (400, "privacy")
            assert "public, zdr, local" in reply.error["message"]
        assert (await rig.get(KEYS, token=proof)).json()["data"] == [row]


async def test_the_runs_of_a_task_are_bound_by_the_key_that_opened_it(tmp_path: Path) -> None:
    """A task is no way around what its seller's key demands."""
    async with private_face(tmp_path) as rig:
        key, _ = await rig.key(1_000, privacy="zdr")
        seller_id = next(iter(rig.books.rows.api_keys.values())).caller_id
        await rig.service.flows.operating.set_caller.cap(seller_id, CAP_SAT * 1_000)
        face = TaskFace(rig, key, seller_id)
        task = await face.opened()
        plain = await face.ask(task)
        assert plain.status == 200, plain.json()
        assert (privacy_in(plain)["tier"], privacy_in(plain)["by"]) == ("zdr", "key")
        found = privacy_in(await face.ask(task, f"charge {CARD}"))
        assert (found["tier"], found["by"], found["signals"]) == ("local", "detector", ["card"])
        (first, body), (second, _) = sent(rig)
        assert (first, second) == (MODEL, HERE.model_id)
        assert body["provider"]["zdr"] is True
        await face.audited()
