"""However a top-up is paid, twice, late, by parts or while nobody listens, it is credited once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.dev_node.payments import PaymentRefused
from cobot_meter.adapters.lightning.dev_node.signing import NodeFaults
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import FaceRig, challenge_of, open_face

TOPUPS, KEYS = "/v1/topups", "/v1/keys"
SAT = 5_000
BODY = {"amount_sat": SAT}


async def stands(rig: FaceRig, asked: Reply) -> tuple[str, int]:
    """State and paid amount of a top-up, as anybody reads them who knows its id."""
    told = (await rig.get(f"{TOPUPS}/{asked.json()['topup']['id']}")).json()["topup"]
    return str(told["state"]), int(told["paid_msat"])


async def available_msat(rig: FaceRig, proof: str) -> int:
    """What this proof's caller may spend."""
    told = (await rig.get("/v1/credits", token=proof)).json()["cobot"]
    return int(told["available_msat"])


async def swept(rig: FaceRig) -> None:
    """The service looks through its open invoices, as it does at every start and then on."""
    await rig.service.flows.recover.open_invoices()


async def test_paid_and_told_twice_it_is_credited_once(tmp_path: Path) -> None:
    """A wallet that pays again, a node that says it again, five who show one proof at once."""
    async with open_face(tmp_path) as rig:
        asked = await rig.send("POST", TOPUPS, BODY)
        proof, again = await rig.pay(asked), await rig.pay(asked)
        assert proof == again
        shown = await asyncio.gather(
            *(rig.send("POST", TOPUPS, BODY, token=proof) for _ in range(5))
        )
        assert {one.status for one in shown} == {200}
        for _ in range(2):
            payment_hash = next(iter(rig.books.rows.topups.values())).payment_hash
            await rig.service.flows.settle_invoice.ask_node(payment_hash)
            await swept(rig)
        assert await available_msat(rig, proof) == SAT * 1_000
        kinds = [entry.kind for entry in rig.books.rows.journal.values()]
        assert kinds.count("topup_credited") == 1


async def test_more_than_was_asked_for_is_credited_whole(tmp_path: Path) -> None:
    """A wallet may round up; what it paid is the caller's."""
    async with open_face(tmp_path) as rig:
        asked = await rig.send("POST", TOPUPS, BODY)
        macaroon, invoice = challenge_of(asked)
        payment = await rig.node.pay(invoice, amount_msat=SAT * 1_000 + 777)
        proof = f"L402 {macaroon}:{payment.preimage}"
        assert (await rig.send("POST", TOPUPS, BODY, token=proof)).status == 200
        assert await available_msat(rig, proof) == SAT * 1_000 + 777


async def test_parts_that_have_not_all_come_are_no_payment(tmp_path: Path) -> None:
    """While the node holds some nothing is credited; given back nothing was; whole it is once."""
    async with open_face(tmp_path) as rig:
        asked = await rig.send("POST", TOPUPS, BODY)
        _, invoice = challenge_of(asked)
        held = await rig.node.hold_payment(invoice)
        await swept(rig)
        assert await stands(rig, asked) == ("invoiced", 0)
        await rig.node.give_back_payment(held.payment_hash)
        await swept(rig)
        assert await stands(rig, asked) == ("invoiced", 0)
        await rig.node.hold_payment(invoice)
        proof = await rig.pay(asked)
        await swept(rig)
        assert await stands(rig, asked) == ("credited", SAT * 1_000)
        assert await available_msat(rig, proof) == SAT * 1_000


async def test_too_late_is_refused_by_the_node_and_another_one_can_be_had(tmp_path: Path) -> None:
    """Nobody can pay what was taken back; the same amount again is another invoice."""
    async with open_face(tmp_path) as rig:
        proof = await rig.credited(SAT)
        other = {"amount_sat": 70}
        asked = await rig.send("POST", TOPUPS, other, token=proof)
        rig.clock.set_ms(rig.clock.now_ms() + 2 * 3_600_000)
        await swept(rig)
        assert await stands(rig, asked) == ("lapsed", 0)
        with pytest.raises(PaymentRefused):
            await rig.node.pay(challenge_of(asked)[1])
        anew = await rig.send("POST", TOPUPS, other, token=proof)
        assert anew.status == 402
        assert challenge_of(anew) != challenge_of(asked)


async def test_paid_late_and_taken_by_the_node_it_is_credited(tmp_path: Path) -> None:
    """A node that keeps an invoice open beyond its time has the money: so has the caller."""
    async with open_face(tmp_path) as rig:
        rig.node.set_faults(NodeFaults(holds_expiry=True))
        asked = await rig.send("POST", TOPUPS, BODY)
        rig.clock.set_ms(rig.clock.now_ms() + 3_600_000 + 500)
        proof = await rig.pay(asked)
        await swept(rig)
        assert await stands(rig, asked) == ("credited", SAT * 1_000)
        assert await available_msat(rig, proof) == SAT * 1_000


async def test_paid_while_nobody_listened_it_is_found(tmp_path: Path) -> None:
    """By the sweep of a start, or because its proof is shown: whichever comes first, and once."""
    async with open_face(tmp_path) as rig:
        for heard_of_by_proof in (True, False):
            rig.node.set_faults(replace(rig.node.faults, lost_settle_events=1))
            asked = await rig.send("POST", TOPUPS, BODY)
            proof = await rig.pay(asked)
            assert await stands(rig, asked) == ("invoiced", 0)
            if heard_of_by_proof:
                assert (await rig.send("POST", TOPUPS, BODY, token=proof)).status == 200
            await swept(rig)
            assert await stands(rig, asked) == ("credited", SAT * 1_000)
            assert await available_msat(rig, proof) == SAT * 1_000


async def test_a_key_that_is_made_twice_at_once_is_one(tmp_path: Path) -> None:
    """With one proof, with its top-up or by a named request: one key, and each is told it."""
    async with open_face(tmp_path) as rig:
        body = {**BODY, "key": {"name": "editor"}}
        proof = await rig.pay(await rig.send("POST", TOPUPS, body))
        told = await asyncio.gather(
            *(rig.send("POST", TOPUPS, body, token=proof) for _ in range(8))
        )
        assert {one.status for one in told} == {200}
        assert len({one.json()["key"]["key"] for one in told}) == 1
        named = {"Idempotency-Key": "one"}
        made = await asyncio.gather(
            *(rig.send("POST", KEYS, {"name": "b"}, token=proof, headers=named) for _ in range(8))
        )
        assert len({one.json()["key"] for one in made}) == 1
        assert len((await rig.get(KEYS, token=proof)).json()["data"]) == 2
