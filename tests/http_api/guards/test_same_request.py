"""One request, written in another way: it finds what it asked for, in the form asked for now."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.flows.sale.ask_completion import Answer, Ask
from cobot_meter.http_api.chat.request import parse_chat_request
from cobot_meter.http_api.l402.tokens import TokenKind
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.asgi_caller import ADDRESS, Reply
from tests.http_api.face_rig import ASK, CHAT, FaceRig, ask_of, challenge_of, open_face
from tests.http_api.keys.test_keys import bearer

SAT = 5_000
# The ask as another library writes it: members turned round, blanks, escapes, a number as 1e3.
OTHERWISE = (
    b'{ "max_tokens": 1000, "client_metadata": {"turn": "2"}, "temperature": 5e-1,\n'
    b'  "messages": [ {"content": "How f\\u0061st is Lightning?", "role": "user"} ],\n'
    b'  "model": "%s" }' % str(ASK["model"]).encode()
)
WARM = {**ASK, "temperature": 0.5}
STREAMED = {**WARM, "stream": True}


async def test_written_otherwise_it_gets_the_same_402(tmp_path: Path) -> None:
    """One run and one invoice, whichever form repeats it."""
    async with open_face(tmp_path) as rig:
        first, second = await rig.ask(WARM), await rig.ask(OTHERWISE)
        assert challenge_of(first)[1] == challenge_of(second)[1]
        assert rig.upstream.posts == len(rig.escrows) == 1


async def test_written_otherwise_it_joins_the_run_under_way(tmp_path: Path) -> None:
    """While it goes on, too."""
    async with open_face(tmp_path, IDENTICAL_WAIT_S="20") as rig:
        gate = asyncio.Event()
        rig.upstream.then(Completes(gate=gate))
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(rig.ask(WARM))
            await rig.until(Progress.REQUESTED)
            second = tasks.create_task(rig.ask(OTHERWISE))
            gate.set()
        assert challenge_of(first.result())[1] == challenge_of(second.result())[1]
        assert rig.upstream.posts == 1


async def test_a_proof_claims_with_the_body_written_otherwise(tmp_path: Path) -> None:
    """What was paid for one form is read with the other."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask(WARM))
        claimed = await rig.ask(OTHERWISE, token=token)
        assert claimed.status == 200
        assert rig.upstream.posts == 1


async def test_an_idempotency_key_takes_every_form_and_no_other_request(tmp_path: Path) -> None:
    """Written otherwise it is the same, with another word it is 422."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy(ask_of("first"))
        keyed = {"Idempotency-Key": "k"}
        first = await rig.ask(WARM, token=token, headers=keyed)
        same = await rig.ask(OTHERWISE, token=token, headers=keyed)
        streamed = await rig.ask(STREAMED, token=token, headers=keyed)
        other = await rig.ask({**WARM, "temperature": 0.6}, token=token, headers=keyed)
        assert first.header("x-escrow-id") == same.header("x-escrow-id")
        assert first.header("x-escrow-id") == streamed.header("x-escrow-id")
        assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(("opened", "claimed"), [(STREAMED, WARM), (WARM, STREAMED)])
async def test_what_was_asked_as_a_stream_is_claimed_whole_and_the_other_way_round(
    tmp_path: Path, opened: dict[str, Any], claimed: dict[str, Any]
) -> None:
    """The form is that of the ask which hands it over, not of the one which opened the sale."""
    async with open_face(tmp_path) as rig:
        rig.upstream.then(Completes(answer="fast enough"))
        token = await rig.pay(await rig.ask(opened))
        told = answer_of(await rig.ask(claimed, token=token), streamed="stream" in claimed)
        assert told == "fast enough"
        again = answer_of(await rig.ask(opened, token=token), streamed="stream" in opened)
        assert again == told
        assert rig.upstream.posts == 1


async def test_a_whole_ask_joins_the_stream_of_the_same_key(tmp_path: Path) -> None:
    """Claude Code gives a stream up and asks without: the run under way answers it, once paid."""
    async with open_face(tmp_path, IDENTICAL_WAIT_S="20") as rig:
        key, _ = await rig.key(SAT)
        gate = asyncio.Event()
        rig.upstream.then(Completes(answer="fast enough", gate=gate))
        async with asyncio.TaskGroup() as tasks:
            stream = tasks.create_task(rig.ask(STREAMED, token=bearer(key)))
            await rig.until(Progress.REQUESTED)
            whole = tasks.create_task(rig.ask(WARM, token=bearer(key)))
            gate.set()
        assert answer_of(stream.result(), streamed=True) == "fast enough"
        assert answer_of(whole.result(), streamed=False) == "fast enough"
        assert rig.upstream.posts == len(rig.escrows) == 1


async def test_a_stream_joins_the_whole_ask_of_the_same_key(tmp_path: Path) -> None:
    """The other way round: it hears the run from its start."""
    async with open_face(tmp_path, IDENTICAL_WAIT_S="20") as rig:
        key, _ = await rig.key(SAT)
        gate = asyncio.Event()
        rig.upstream.then(Completes(answer="fast enough", gate=gate))
        async with asyncio.TaskGroup() as tasks:
            whole = tasks.create_task(rig.ask(WARM, token=bearer(key)))
            await rig.until(Progress.REQUESTED)
            stream = tasks.create_task(rig.ask(STREAMED, token=bearer(key)))
            gate.set()
        assert answer_of(stream.result(), streamed=True) == "fast enough"
        assert answer_of(whole.result(), streamed=False) == "fast enough"
        assert rig.upstream.posts == 1


def answer_of(reply: Reply, *, streamed: bool) -> str:
    """What a 200 says, in the form in which it was asked for."""
    assert reply.status == 200, reply.body
    if not streamed:
        assert reply.json()["object"] == "chat.completion"
        return str(reply.json()["choices"][0]["message"]["content"])
    assert reply.header("content-type") == "text/event-stream"
    events = [one.removeprefix(b"data: ") for one in reply.body.split(b"\n\n") if one]
    assert events.pop() == b"[DONE]"
    chunks = [orjson.loads(event) for event in events]
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
    )


BODY = json.dumps(WARM).encode()


async def opened_before(
    rig: FaceRig, *, idempotency_key: str | None = None, caller_id: str | None = None
) -> Answer:
    """A sale as it stands in books whose asks were known by their bytes."""
    ask = Ask(
        request=parse_chat_request(BODY).completion,
        request_sha256=sha256(BODY).hexdigest(),
        method="POST",
        path=CHAT,
        address=ADDRESS,
        caller_id=caller_id,
        idempotency_key=idempotency_key,
    )
    return await rig.parts.ask_completion.answer(ask)


def macaroon_of(rig: FaceRig, answer: Answer) -> str:
    """The macaroon that the sale's 402 had."""
    escrow = answer.escrow
    return rig.parts.tokens.mint(
        caller_id=answer.caller_id,
        payment_hash=str(escrow.payment_hash),
        subject_id=escrow.escrow_id,
        request_sha256=escrow.ask.request_sha256,
        valid_until_s=rig.clock.now_ms() // 1_000 + 3_600,
        kind=TokenKind.ESCROW,
    )


@pytest.mark.parametrize("idempotency_key", [None, "k"])
async def test_what_older_books_know_by_its_bytes_is_claimed_with_its_proof(
    tmp_path: Path, idempotency_key: str | None
) -> None:
    """Paid before the upgrade, with or without an Idempotency-Key; read after it, at no new run."""
    async with open_face(tmp_path) as rig:
        answer = await opened_before(rig, idempotency_key=idempotency_key)
        assert answer.escrow.invoice is not None
        payment = await rig.node.pay(answer.escrow.invoice.payment_request)
        token = f"L402 {macaroon_of(rig, answer)}:{payment.preimage}"
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        for _ in range(2):
            claimed = await rig.ask(BODY, token=token, headers=headers)
            assert claimed.status == 200
            assert claimed.header("x-escrow-id") == answer.escrow.escrow_id
        assert rig.upstream.posts == 1


async def test_a_fresh_key_beside_an_older_proof_asks_for_a_fresh_one(tmp_path: Path) -> None:
    """The older sale's own key is told from another one as before."""
    async with open_face(tmp_path) as rig:
        answer = await opened_before(rig, idempotency_key="k")
        assert answer.escrow.invoice is not None
        payment = await rig.node.pay(answer.escrow.invoice.payment_request)
        token = f"L402 {macaroon_of(rig, answer)}:{payment.preimage}"
        assert (await rig.ask(BODY, token=token, headers={"Idempotency-Key": "k"})).status == 200
        fresh = await rig.ask(BODY, token=token, headers={"Idempotency-Key": "l"})
        assert fresh.header("x-escrow-id") == rig.last.escrow_id != answer.escrow.escrow_id
        assert rig.upstream.posts == 2


async def test_an_older_idempotency_key_finds_its_sale_without_any_proof(tmp_path: Path) -> None:
    """The same bytes get the same 402; any other body asks for something else."""
    async with open_face(tmp_path) as rig:
        answer = await opened_before(rig, idempotency_key="k")
        same = await rig.ask(BODY, headers={"Idempotency-Key": "k"})
        assert (same.status, same.header("x-escrow-id")) == (402, answer.escrow.escrow_id)
        assert rig.upstream.posts == 1
        other = await rig.ask(ask_of("else"), headers={"Idempotency-Key": "k"})
        assert other.header("x-escrow-id") != answer.escrow.escrow_id


async def test_an_older_key_of_a_named_caller_is_not_taken_for_another_request(
    tmp_path: Path,
) -> None:
    """No 422 for a body that is the very same; 422 for another one."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy(ask_of("first"))
        caller_id = rig.last.caller_id
        answer = await opened_before(rig, idempotency_key="k", caller_id=caller_id)
        same = await rig.ask(BODY, token=token, headers={"Idempotency-Key": "k"})
        assert same.header("x-escrow-id") == answer.escrow.escrow_id
        other = await rig.ask(ask_of("else"), token=token, headers={"Idempotency-Key": "k"})
        assert other.status == 422


async def test_without_proof_and_key_an_older_unpaid_sale_is_left_and_a_new_one_opened(
    tmp_path: Path,
) -> None:
    """What nobody shows anything for is found by its request alone, and that has another name."""
    async with open_face(tmp_path) as rig:
        answer = await opened_before(rig)
        again = await rig.ask(BODY)
        assert again.status == 402
        assert again.header("x-escrow-id") != answer.escrow.escrow_id
