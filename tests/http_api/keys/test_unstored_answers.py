"""What a key buys and nobody comes back for is not stored, and yet is not lost by a retry."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cobot_meter.domain.escrow.states import Mode, Progress
from cobot_meter.flows.answer.recent_answers import KEPT_MS, UNREAD_MS
from cobot_meter.flows.answer.started_run import ALONG_S
from cobot_meter.flows.sale.open_escrow import UNSTORED_BYTES_MAX
from tests.fakes.upstream_outcomes import Completes, Failed, Refused, Unknown
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import ASK, FaceRig, ask_of, open_face
from tests.http_api.keys.test_keys import bearer
from tests.http_api.keys.test_live_answers import STREAMED
from tests.http_api.keys.test_repeated_answers import LONG, lose

SAT = 5_000
S = Progress


async def bought(rig: FaceRig, key: str, document: Any, **headers: str) -> Reply:  # noqa: ANN401
    """The answer to one ask on that key."""
    reply = await rig.ask(document, token=bearer(key), headers=headers)
    assert reply.status == 200, reply.body
    return reply


def kinds_of(rig: FaceRig, escrow_id: str) -> list[str]:
    """What the journal says of one sale."""
    entries = rig.books.rows.journal.values()
    return [entry.kind for entry in entries if entry.subject_id == escrow_id]


@pytest.mark.parametrize("stream", [False, True])
async def test_neither_request_nor_answer_is_stored(tmp_path: Path, *, stream: bool) -> None:
    """Two commits, no body in the books, and nothing to shred a day later."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        await bought(rig, key, {**ASK, "stream": stream})
        sold = rig.last
        assert (sold.mode, sold.progress) == (Mode.CREDIT, S.RELEASED)
        assert kinds_of(rig, sold.escrow_id) == ["opened", "completion_costed"]
        assert await rig.books.bodies(sold.escrow_id) is None
        assert sold.keep_until_ms is None


@pytest.mark.parametrize("late", [False, True])
async def test_a_retry_within_two_minutes_gets_the_same_answer(
    tmp_path: Path, *, late: bool
) -> None:
    """From memory, at no price, if the connection broke; afterwards it is another request."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Completes(answer=LONG))
        await lose(rig, key, STREAMED)
        lost = rig.last.run.generation_id
        assert await rig.books.bodies(rig.last.escrow_id) is None
        rig.clock.advance((KEPT_MS + late) / 1_000)
        again = await bought(rig, key, ASK)
        assert (again.header("x-generation-id") == lost) is not late
        assert len(rig.upstream.runs) == 1 + late


async def test_what_memory_has_lost_is_run_anew(tmp_path: Path) -> None:
    """With room for one answer, the retry of the one before it is another request."""
    async with open_face(tmp_path, RECENT_ANSWERS_BYTES="1") as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Completes(answer=LONG), Completes(answer=LONG))
        await lose(rig, key, STREAMED)
        await lose(rig, key, {**STREAMED, "temperature": 0.5})
        rig.clock.advance((UNREAD_MS + 1) / 1_000)
        await bought(rig, key, ask_of("another"))
        await bought(rig, key, STREAMED)
        assert len(rig.upstream.runs) == 4


@pytest.mark.parametrize("how", ["Idempotency-Key", "Prefer", "RECENT_ANSWERS_BYTES", "large"])
async def test_whoever_comes_back_finds_it_in_the_books(tmp_path: Path, how: str) -> None:
    """A named request, one that is fetched later, a large one, and all where the operator says."""
    nothing = how == "RECENT_ANSWERS_BYTES"
    async with open_face(tmp_path, RECENT_ANSWERS_BYTES="0" if nothing else "1000000") as rig:
        key, _ = await rig.key(SAT)
        headers = {"Idempotency-Key": "again", "Prefer": "respond-async"}
        chosen = {how: headers[how]} if how in headers else {}
        document = ask_of("x" * UNSTORED_BYTES_MAX if how == "large" else "small")
        reply = await rig.ask(document, token=bearer(key), headers=chosen)
        assert reply.status in {200, 202}
        sold = await rig.until(S.RELEASED)
        assert await rig.books.bodies(sold.escrow_id) is not None
        assert sold.keep_until_ms is not None


async def test_an_answer_without_a_cost_is_stored_until_it_is_known(tmp_path: Path) -> None:
    """Nobody can be asked to pay yet, so the answer has to outlive the process."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Completes(says_cost=False, lookups_before_record=1))
        reply = await bought(rig, key, ASK)
        assert reply.json()["cobot"]["cost"]["standing"] == "confirmed"
        stored = await rig.books.bodies(rig.last.escrow_id)
        assert stored is not None
        assert stored.completion is not None
        assert stored.request is None


async def test_what_certainly_never_ran_is_sent_again_from_memory(tmp_path: Path) -> None:
    """A second attempt at the same model, and then another model, of a request not stored."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Refused(status=503), Refused(status=503), Completes(answer="at last"))
        chain = {**ASK, "models": [rig.upstream.offered[1].model_id]}
        reply = await bought(rig, key, chain)
        assert reply.json()["choices"][0]["message"]["content"] == "at last"
        assert await rig.books.bodies(rig.last.escrow_id) is None


@pytest.mark.parametrize("ends", [Failed(cost="0.0001"), Unknown()], ids=["failed", "unknown"])
async def test_a_run_that_failed_is_known_by_its_name(
    tmp_path: Path, ends: Failed | Unknown
) -> None:
    """The name comes before the failure: its cost is looked up by it."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(ends)
        await rig.ask(ASK, token=bearer(key))
        assert rig.last.progress is S.FAILED
        assert rig.last.run.generation_id
        assert kinds_of(rig, rig.last.escrow_id)[:2] == ["opened", "generation_started"]


async def test_the_name_of_a_long_run_is_written_along(tmp_path: Path) -> None:
    """After a second, while the answer is still being read, and once."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        gate = asyncio.Event()
        rig.upstream.then(Completes(gate=gate))
        asking = asyncio.ensure_future(rig.ask(ASK, token=bearer(key)))
        await rig.upstream.reached.wait()
        assert kinds_of(rig, rig.last.escrow_id) == ["opened"]
        async with asyncio.timeout(ALONG_S + 10):
            while len(kinds_of(rig, rig.last.escrow_id)) == 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        gate.set()
        assert (await asking).status == 200
        assert kinds_of(rig, rig.last.escrow_id) == [
            *("opened", "generation_started", "completion_costed")
        ]


async def test_what_nobody_looks_up_is_counted(tmp_path: Path) -> None:
    """By the operator's choice one in so many is confirmed; the others stand in the metrics."""
    async with open_face(tmp_path, CONFIRM_ONE_IN="10000") as rig:
        key, _ = await rig.key(SAT)
        for number in range(3):
            await bought(rig, key, ask_of(f"question {number}"))
        never = [sold for sold in rig.escrows if sold.run.lookup_at_ms is None]
        assert len(never) == 3
        shown = (await rig.get("/metrics")).body.decode()
        assert "cobot_meter_unconfirmed_captures_total 3.0" in shown
        usd = sum(sold.cost_pusd for sold in never) / 10**12
        assert f"cobot_meter_unconfirmed_captures_usd_total {usd}" in shown


async def test_a_cost_that_was_wrong_is_found_by_the_sums(tmp_path: Path) -> None:
    """Nobody looks the answer up; what the upstream's usage says besides is booked all the same."""
    async with open_face(tmp_path, CONFIRM_ONE_IN="10000") as rig:
        compare = rig.service.flows.operating.compare_costs
        await compare.baseline()
        key, _ = await rig.key(SAT)
        rig.upstream.then(Completes(cost="0.0003", inline_cost="0.0002"))
        await bought(rig, key, ASK)
        found = [await compare.compare() for _ in range(2)]
        assert found == [None, 10**8]
