"""The same request of a key: the answer again where it was lost, a new one where it was read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from cobot_meter.http_api.chat.answers import completion_answer
from cobot_meter.http_api.chat.receipts import Receipt
from cobot_meter.http_api.http.exchange import Stream
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.face_rig import ASK, CHAT, FaceRig, open_face
from tests.http_api.keys.test_keys import bearer
from tests.http_api.keys.test_live_answers import DONE, STREAMED, chunks_of, give_up, text_of

SAT = 5_000
LONG = "word " * 20_000


async def lose(rig: FaceRig, key: str, ask: dict[str, Any]) -> None:
    """Ask, hear the first word and hang up; the run goes on to its end."""
    gone = asyncio.Event()

    def hear(part: bytes) -> None:
        if b"word" in part and not gone.is_set():
            gone.set()
            rig.caller.hang_up()

    reply = await rig.caller.send(
        "POST", CHAT, body=orjson.dumps(ask), headers={"Authorization": bearer(key)}, heard=hear
    )
    assert gone.is_set()
    assert not reply.body.endswith(DONE)
    await rig.drive(rig.last)


@pytest.mark.parametrize("form", [STREAMED, ASK])
async def test_after_a_whole_answer_the_same_request_is_a_new_one(
    tmp_path: Path, form: dict[str, Any]
) -> None:
    """At once, however it was read: who asks the same twice wants two answers."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Completes(answer="one"), Completes(answer="two"))
        first = await rig.ask(form, token=bearer(key))
        second = await rig.ask(form, token=bearer(key))
        assert b"one" in first.body
        assert b"two" in second.body
        assert rig.upstream.posts == len(rig.escrows) == 2


@pytest.mark.parametrize("again", [STREAMED, ASK])
async def test_what_broke_off_is_read_again_at_no_price_and_then_it_is_over(
    tmp_path: Path, again: dict[str, Any]
) -> None:
    """In whatever form it is asked for now; the one after that is a new one."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(SAT)
        rig.upstream.then(Completes(answer=LONG), Completes(answer="two"))
        await lose(rig, key, STREAMED)
        assert rig.upstream.posts == 1
        repeated = await rig.ask(again, token=bearer(key))
        words = (
            text_of(chunks_of(repeated))
            if again is STREAMED
            else repeated.json()["choices"][0]["message"]["content"]
        )
        assert words == LONG
        assert rig.upstream.posts == 1
        price_msat = rig.last.price_msat
        credit = (await rig.get("/v1/credits", token=proof)).json()["cobot"]
        assert credit["available_msat"] == SAT * 1_000 - price_msat
        assert b"two" in (await rig.ask(again, token=bearer(key))).body
        assert rig.upstream.posts == 2


@pytest.mark.parametrize("writes", [0, 1, 3])
async def test_a_replay_that_breaks_off_is_owed_again(tmp_path: Path, writes: int) -> None:
    """However far it came: only the last write, taken, is the end."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Completes(answer=LONG))
        await lose(rig, key, STREAMED)
        escrow, deliveries = rig.last, rig.service.flows.deliver_completion.deliveries
        body = (await rig.service.flows.deliver_completion.deliver(escrow))[1]
        replay = completion_answer(
            Receipt(escrow), body, stream=True, delivery=deliveries.begun(escrow)
        )
        assert isinstance(replay, Stream)
        await anext(replay.chunks)
        for _ in range(writes):
            await anext(replay.chunks)
        await replay.chunks.aclose()
        assert not deliveries.is_over(escrow)
        assert text_of(chunks_of(await rig.ask(STREAMED, token=bearer(key)))) == LONG
        assert deliveries.is_over(escrow)


async def test_two_minutes_after_the_capture_it_is_a_new_one_in_any_case(tmp_path: Path) -> None:
    """Who lost it and comes late asks for another."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Completes(answer=LONG), Completes(answer="two"))
        await lose(rig, key, STREAMED)
        await rig.later(120_001)
        assert b"two" in (await rig.ask(STREAMED, token=bearer(key))).body


async def test_an_idempotency_key_gets_the_same_however_it_was_read(tmp_path: Path) -> None:
    """That is what it is for."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        headers = {"Idempotency-Key": "k"}
        first = await rig.ask(ASK, token=bearer(key), headers=headers)
        assert (await rig.ask(ASK, token=bearer(key), headers=headers)).body == first.body
        assert rig.upstream.posts == 1


async def test_who_hangs_up_before_the_first_word_gets_it_afterwards(tmp_path: Path) -> None:
    """Nothing was handed over: the same request is a retry."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        gate = asyncio.Event()
        rig.upstream.then(Completes(answer="one", gate=gate))
        await give_up(rig, key, ASK)
        gate.set()
        await rig.drive(rig.last)
        assert b"one" in (await rig.ask(ASK, token=bearer(key))).body
        assert rig.upstream.posts == 1


async def test_two_keys_have_two_answers(tmp_path: Path) -> None:
    """What one has lost is nothing to the other."""
    async with open_face(tmp_path) as rig:
        first, _ = await rig.key(SAT)
        second, _ = await rig.key(SAT)
        rig.upstream.then(Completes(answer=LONG), Completes(answer="two"))
        await lose(rig, first, STREAMED)
        assert b"two" in (await rig.ask(STREAMED, token=bearer(second))).body
        assert text_of(chunks_of(await rig.ask(STREAMED, token=bearer(first)))) == LONG
