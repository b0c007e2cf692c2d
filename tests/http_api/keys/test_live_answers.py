"""Answers on a key's credit are handed over as they come, and what they cost is said last."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from cobot_meter.domain.escrow.states import Mode, Progress
from tests.fakes.upstream_outcomes import FREE_MODEL, NEVER, Completes, Refused, Unknown
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import ASK, FaceRig, ask_of, open_face
from tests.http_api.keys.test_keys import bearer

STREAMED = {**ASK, "stream": True}
WITH_USAGE = {**STREAMED, "stream_options": {"include_usage": True}}
ANSWER = "Lightning settles in a second, and nobody waits for a block."
SAT = 5_000
DONE = b"data: [DONE]\n\n"
S = Progress


def chunks_of(reply: Reply) -> list[dict[str, Any]]:
    """Every event but the last word."""
    events = reply.body.split(b"\n\n")
    found = [
        orjson.loads(one.removeprefix(b"data: "))
        for one in events
        if one.startswith(b"data:") and not one.endswith(b"[DONE]")
    ]
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in found)
    return found


def text_of(chunks: list[dict[str, Any]]) -> str:
    """What the answer says."""
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
    )


async def standing(rig: FaceRig, proof: str) -> dict[str, int]:
    """What the caller has."""
    found: dict[str, int] = (await rig.get("/v1/credits", token=proof)).json()["cobot"]
    return found


async def begun(
    rig: FaceRig, key: str, document: Mapping[str, Any], *, word: bytes, heard: list[bytes]
) -> asyncio.Task[Reply]:
    """An ask of which `word` has come; `heard` gets every part."""
    asking = asyncio.create_task(
        rig.caller.send(
            "POST",
            "/v1/chat/completions",
            body=orjson.dumps(document),
            headers={"Authorization": bearer(key)},
            heard=heard.append,
        )
    )
    async with asyncio.timeout(5):
        while word not in b"".join(heard):  # noqa: ASYNC110
            await asyncio.sleep(0)
    return asking


async def give_up(rig: FaceRig, key: str, document: Mapping[str, Any]) -> None:
    """Ask, and hang up before a word has come."""
    asking = asyncio.ensure_future(rig.ask(document, token=bearer(key)))
    await rig.upstream.reached.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    rig.caller.hang_up()
    assert (await asking).status == 0


async def test_an_answer_comes_word_by_word_and_ends_with_its_price(tmp_path: Path) -> None:
    """The role first, then the words; usage and price in the last chunk, captured by then."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(SAT)
        rig.upstream.then(Completes(answer=ANSWER))
        reply = await rig.ask(STREAMED, token=bearer(key))
        assert reply.status == 200
        assert reply.header("content-type") == "text/event-stream"
        assert reply.header("content-length") is None
        assert reply.header("x-escrow-id") == rig.last.escrow_id
        assert reply.body.endswith(DONE)
        first, *_, last = chunks = chunks_of(reply)
        assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert text_of(chunks) == ANSWER
        assert len(chunks) > 3
        assert last["choices"][0]["finish_reason"] == "stop"
        assert last["cobot"]["mode"] == "credit"
        assert last["cobot"]["cost"]["standing"] == "provisional"
        assert last["cobot"]["cost"]["price_msat"] == rig.last.price_msat > 0
        assert last["usage"]["completion_tokens"] == 7
        assert (rig.last.mode, rig.last.progress) == (Mode.CREDIT, S.RELEASED)
        left = await standing(rig, proof)
        assert left["available_msat"] == SAT * 1_000 - rig.last.price_msat
        assert left["reserved_msat"] == 0


async def test_the_usage_has_a_chunk_of_its_own_for_whoever_asks(tmp_path: Path) -> None:
    """As OpenAI writes it: the finish reason first, then a chunk without choices."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        *_, finish, last = chunks_of(await rig.ask(WITH_USAGE, token=bearer(key)))
        assert finish["choices"][0]["finish_reason"] == "stop"
        assert "usage" not in finish
        assert (last["choices"], last["cobot"]["mode"]) == ([], "credit")
        assert last["usage"]["cost"] > 0


async def test_the_first_word_is_there_before_the_answer_has_an_end(tmp_path: Path) -> None:
    """Read while the upstream still speaks; who hangs up then stops neither run nor price."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        heard: list[bytes] = []
        rig.upstream.then(Completes(answer=ANSWER, dawdles=True))
        asking = await begun(rig, key, STREAMED, word=b"Lightning", heard=heard)
        assert rig.last.progress is S.REQUESTED
        assert b'finish_reason":"' not in b"".join(heard)
        rig.caller.hang_up()
        partial = await asking
        assert partial.status == 200
        assert DONE not in partial.body
        assert rig.service.flows.runs.active == 1


async def test_who_hangs_up_before_the_first_word_holds_nothing_up(tmp_path: Path) -> None:
    """The run reads on at once, however long the answer is, and is captured."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        gate = asyncio.Event()
        rig.upstream.then(Completes(answer="word " * 20_000, gate=gate))
        await give_up(rig, key, STREAMED)
        gate.set()
        assert (await rig.until(S.RELEASED)).mode is Mode.CREDIT


@pytest.mark.parametrize("words", [1, 3])
async def test_a_break_in_the_middle_is_said_and_is_ours(tmp_path: Path, words: int) -> None:
    """The error beside its finish reason, no [DONE], no other model after it, nothing charged."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(SAT)
        rig.upstream.then(Unknown(words=words), Completes(answer="another"))
        chain = {**STREAMED, "models": [rig.upstream.offered[1].model_id]}
        posts = rig.upstream.posts
        reply = await rig.ask(chain, token=bearer(key))
        assert reply.status == 200
        assert DONE not in reply.body
        *said, last = chunks_of(reply)
        assert last["error"]["code"] == "outcome_unknown"
        assert last["choices"][0]["finish_reason"] == "error"
        assert text_of(said)
        assert rig.upstream.posts == posts + 1
        assert rig.last.progress is S.FAILED
        left = await standing(rig, proof)
        assert (left["available_msat"], left["reserved_msat"]) == (SAT * 1_000, 0)


async def test_what_fails_before_its_first_word_is_asked_elsewhere(tmp_path: Path) -> None:
    """Nobody has read anything: the chain goes on, and the caller reads one answer."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Refused(status=503), Refused(status=503), Completes(answer=ANSWER))
        chain = {**STREAMED, "models": [rig.upstream.offered[1].model_id]}
        reply = await rig.ask(chain, token=bearer(key))
        chunks = chunks_of(reply)
        assert text_of(chunks) == ANSWER
        assert chunks[-1]["cobot"]["fallback"]["asked_model"] == ASK["model"]
        assert chunks[-1]["cobot"]["mode"] == "credit"


async def test_a_failure_before_the_first_word_has_its_own_status(tmp_path: Path) -> None:
    """No 200 with an error inside: SDKs read the status."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Refused(status=400))
        reply = await rig.ask(STREAMED, token=bearer(key))
        assert reply.status == 400
        assert reply.header("content-type") == "application/json"


async def test_nothing_is_said_before_it_is_paid_for(tmp_path: Path) -> None:
    """Without a key a streamed ask gets its invoice, and nobody follows the run."""
    async with open_face(tmp_path) as rig:
        rig.upstream.then(Completes(answer=ANSWER))
        reply = await rig.ask(STREAMED)
        assert reply.status == 402
        assert b"Lightning settles" not in reply.body
        assert rig.last.mode is Mode.ESCROW


async def test_what_costs_a_key_nothing_is_handed_over_as_it_comes(tmp_path: Path) -> None:
    """There is nothing to pay for, before or afterwards."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(SAT)
        rig.upstream.then(Completes(answer=ANSWER, cost="0"))
        reply = await rig.ask({**STREAMED, "model": FREE_MODEL.model_id}, token=bearer(key))
        assert reply.header("content-length") is None
        chunks = chunks_of(reply)
        assert text_of(chunks) == ANSWER
        assert chunks[-1]["cobot"]["cost"]["price_msat"] == 0
        assert reply.body.endswith(DONE)
        assert (await standing(rig, proof))["available_msat"] == SAT * 1_000


async def test_the_same_request_joins_the_run_from_its_start(tmp_path: Path) -> None:
    """Agents send the same again: both read one answer, of one run, at one price."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(SAT)
        gate = asyncio.Event()
        rig.upstream.then(Completes(answer=ANSWER, gate=gate))
        first = asyncio.ensure_future(rig.ask(STREAMED, token=bearer(key)))
        await rig.until(S.REQUESTED)
        second = asyncio.ensure_future(rig.ask(STREAMED, token=bearer(key)))
        for _ in range(50):
            await asyncio.sleep(0)
        gate.set()
        for reply in await asyncio.gather(first, second):
            assert text_of(chunks_of(reply)) == ANSWER
            assert reply.body.endswith(DONE)
        assert len(rig.upstream.runs) == 1
        assert (await standing(rig, proof))["available_msat"] == SAT * 1_000 - rig.last.price_msat


async def test_a_cost_that_is_not_said_is_found_before_the_last_chunk(tmp_path: Path) -> None:
    """The words come at once; the price waits for the upstream's record."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Completes(answer=ANSWER, says_cost=False, lookups_before_record=1))
        reply = await rig.ask(STREAMED, token=bearer(key))
        last = chunks_of(reply)[-1]
        assert last["cobot"]["cost"]["standing"] == "confirmed"
        assert rig.last.progress is S.RELEASED


async def test_an_answer_whose_cost_is_found_later_ends_all_the_same(tmp_path: Path) -> None:
    """Why it ended, [DONE], and no price: an error would make agents ask once more for it."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Completes(answer=ANSWER, says_cost=False, lookups_before_record=NEVER))
        reply = await rig.ask(STREAMED, token=bearer(key))
        assert reply.body.endswith(DONE)
        *_, last = chunks = chunks_of(reply)
        assert text_of(chunks) == ANSWER
        assert last["choices"][0]["finish_reason"] == "stop"
        assert last["cobot"]["state"] == "generated"
        assert last["cobot"]["cost"] is None
        assert last["cobot"]["attempts"][0]["cost_usd"] is None
        assert "usage" not in last
        assert rig.last.reserved_msat > 0


async def test_a_whole_answer_on_credit_is_captured_at_once(tmp_path: Path) -> None:
    """Not streamed: two commits, the cost as the answer said it, and the record afterwards."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        reply = await rig.ask(ask_of("whole"), token=bearer(key))
        assert reply.status == 200
        assert reply.json()["cobot"]["cost"]["standing"] == "provisional"
        escrow = rig.last
        assert (escrow.mode, escrow.progress) == (Mode.CREDIT, S.RELEASED)
        assert rig.upstream.lookups == 0
        kinds = [
            entry.kind
            for entry in rig.books.rows.journal.values()
            if entry.subject_id == escrow.escrow_id
        ]
        assert kinds == ["opened", "completion_costed"]
        assert escrow.run.lookup_at_ms is not None
        rig.clock.set_ms(escrow.run.lookup_at_ms)
        confirmed = await rig.drive(escrow)
        assert confirmed.run.cost is not None
        assert confirmed.run.cost.standing.value == "confirmed"
        assert confirmed.price_msat == escrow.price_msat
