"""A live answer is cut after every event of it, upstream or by its caller: who pays what.

Whoever reads an answer to its end pays for it once; whoever does not pays nothing, and what the
simulator charged for it is ours. Whoever hangs up has bought the answer and gets it again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import CHAT
from tests.http_api.keys.simulated_face import MODEL, Cut, SimulatedFace, simulated_face
from tests.http_api.keys.test_keys import bearer
from tests.http_api.keys.test_live_answers import DONE, chunks_of, text_of

SAT = 5_000
GOOD_ENDS = {"stop", "length", "tool_calls"}
MINUTE_MS = 61_000
TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}
FORMS: Mapping[str, Mapping[str, Any]] = {
    "text": {},
    "tool call": {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    },
    "reasoning": {"reasoning": {"effort": "low"}, "stream_options": {"include_usage": True}},
}


# One form with every change; the others with the long proofs.
EVERY_FORM = [pytest.param(form, marks=[pytest.mark.slow] if FORMS[form] else []) for form in FORMS]


def asked(form: str, number: int, *, max_tokens: int = 24) -> dict[str, Any]:
    """An ask of its own for a live answer in this form."""
    messages = [{"role": "user", "content": f"Tell me about harbour {number}"}]
    return {
        "model": MODEL,
        "messages": messages,
        "max_tokens": max_tokens,
        "stream": True,
        **FORMS[form],
    }


def said(reply: Reply) -> tuple[str, str, str]:
    """Words, thoughts and arguments of a call that somebody has read."""
    deltas = [one["delta"] for chunk in chunks_of(reply) for one in chunk["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    return (
        text_of(chunks_of(reply)),
        "".join(delta.get("reasoning") or "" for delta in deltas),
        "".join(call["function"].get("arguments") or "" for call in calls),
    )


def is_whole(reply: Reply) -> bool:
    """Whether it has come to a good end, and says so; half an answer never does."""
    if reply.header("content-type") != "text/event-stream":
        return False
    ends = {one.get("finish_reason") for chunk in chunks_of(reply) for one in chunk["choices"]}
    whole = reply.body.endswith(DONE)
    assert whole == bool(ends & GOOD_ENDS)
    assert whole or "error" in ends
    return whole


async def paid_for(face: SimulatedFace, proof: str, key: str, ask: Mapping[str, Any]) -> Reply:
    """Ask on the key: paid at the price that is said if it is whole, and not at all if not."""
    before_msat, _ = await face.standing(proof)
    reply = await face.rig.ask(ask, token=bearer(key))
    await face.quiet()
    left_msat, reserved_msat = await face.standing(proof)
    assert reserved_msat == 0
    if is_whole(reply):
        assert before_msat - left_msat == chunks_of(reply)[-1]["cobot"]["cost"]["price_msat"] > 0
    else:
        assert left_msat == before_msat
        assert reply.status in {200, 502}
    return reply


@pytest.mark.parametrize("cut", list(Cut))
@pytest.mark.parametrize("form", EVERY_FORM)
async def test_cut_upstream_after_every_event(tmp_path: Path, form: str, cut: Cut) -> None:
    """Nobody pays for half an answer; its cost is ours, to the last of the bill; then it works."""
    async with simulated_face(tmp_path) as face:
        key, proof = await face.rig.key(SAT)
        ours_pusd = whole = 0
        for number in itertools.count():
            face.cutter.cut, face.cutter.events = cut, number
            before_pusd = face.bill_pusd
            reply = await paid_for(face, proof, key, asked(form, number))
            assert face.bill_pusd > before_pusd, "what is cut here has run, and is charged"
            if not face.cutter.was_cut:
                assert is_whole(reply)
                break
            if is_whole(reply):
                whole += 1
                continue
            ours_pusd += face.bill_pusd - before_pusd
            assert face.rig.last.progress is Progress.FAILED
            face.cutter.cut = None
            await face.rig.later(MINUTE_MS)
            again = await paid_for(face, proof, key, asked(form, number))
            assert is_whole(again)
        assert number > 4, "an answer of several events"
        assert whole < number
        await face.prove_sound()
        assert face.rig.books.rows.ledger.of(chart.COST_FAILED).net == ours_pusd
        failed = [one for one in face.rig.escrows if one.progress is Progress.FAILED]
        assert len(failed) == number - whole
        assert sum(one.paid_msat for one in failed) == 0


async def left_after(face: SimulatedFace, key: str, ask: Mapping[str, Any], events: int) -> Reply:
    """What a caller has read who hangs up when it has so many events; all, where there are less."""
    heard = bytearray()
    face.cutter.heard = asyncio.Event()

    def hear(part: bytes) -> None:
        heard.extend(part)
        face.cutter.said()
        if heard.count(b"\n\n") >= events:
            face.rig.caller.hang_up()
            face.cutter.heard = None

    return await face.rig.caller.send(
        "POST", CHAT, body=orjson.dumps(ask), headers={"Authorization": bearer(key)}, heard=hear
    )


@pytest.mark.parametrize("form", EVERY_FORM)
async def test_the_caller_hangs_up_after_every_event(tmp_path: Path, form: str) -> None:
    """It has bought the answer, and the same request again gets it whole, for nothing more."""
    async with simulated_face(tmp_path) as face:
        key, proof = await face.rig.key(SAT)
        places: set[int] = set()
        for number in itertools.count():
            ask = asked(form, number, max_tokens=60)
            before_msat, before_runs = (await face.standing(proof))[0], face.account.book.runs
            partial = await left_after(face, key, ask, number)
            if partial.status and partial.body.endswith(DONE):
                break
            again = await face.rig.ask(ask, token=bearer(key))
            assert is_whole(again)
            await face.quiet()
            assert face.account.book.runs == before_runs + 1
            price_msat = chunks_of(again)[-1]["cobot"]["cost"]["price_msat"]
            assert await face.standing(proof) == (before_msat - price_msat, 0)
            if partial.status:
                places.add(len(partial.body))
                read = zip(said(partial), said(again), strict=True)
                assert all(whole.startswith(half) for half, whole in read)
        assert len(places) > 3, "it was left at several places"
        await face.prove_sound()
