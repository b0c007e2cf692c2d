"""Empty asks: how directories probe a paid route, and how a caller buys credit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.dev_node.signing import NodeFaults
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.flows.credit.top_up import OPEN_MAX
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.face_rig import ask_of, challenge_of, open_face

ELSEWHERE = "198.51.100.9"


@pytest.mark.parametrize("body", [b"", b"   ", b"\n", b"{}", b" { } "])
async def test_an_empty_ask_is_402_with_one_sat_and_runs_nothing(
    tmp_path: Path, body: bytes
) -> None:
    """Zero bytes, blanks or `{}`: 402 with a 1-sat top-up, never 400 or 422, and no model runs."""
    async with open_face(tmp_path) as rig:
        reply = await rig.ask(body)
        assert (reply.status, reply.json()["price_sats"]) == (402, 1)
        assert reply.json()["topup"]["amount_msat"] == 1_000
        assert challenge_of(reply)[1].startswith("lnbcrt10n1")
        assert rig.upstream.posts == len(rig.escrows) == 0


async def test_everybody_at_an_address_is_offered_a_top_up_of_its_own(tmp_path: Path) -> None:
    """No two strangers get the same macaroon or the same caller, also at the same moment."""
    async with open_face(tmp_path) as rig:
        asked = await asyncio.gather(*(rig.ask(b"") for _ in range(OPEN_MAX)))
        assert len({challenge_of(reply) for reply in asked}) == OPEN_MAX
        tokens = [await rig.pay(reply) for reply in asked]
        for token in tokens:
            assert (await rig.ask(b"", token=token)).status == 200
        credits_of = [(await rig.get("/v1/credits", token=token)).json() for token in tokens]
        assert len({document["cobot"]["caller_id"] for document in credits_of}) == OPEN_MAX
        assert {document["cobot"]["available_msat"] for document in credits_of} == {1_000}


async def test_an_address_has_a_few_open_top_ups_and_no_more(tmp_path: Path) -> None:
    """429 with when the first of them ends; a paid or lapsed one makes room, others have theirs."""
    async with open_face(tmp_path) as rig:
        first = await rig.ask(b"")
        rig.clock.advance(100)
        for _ in range(OPEN_MAX - 1):
            assert (await rig.ask(b"{}")).status == 402
        full = await rig.ask(b"")
        assert (full.status, full.error["code"]) == (429, "topups_open")
        assert full.header("retry-after") == "500"
        assert "ask again in 500 seconds" in full.error["message"]
        assert (await rig.ask(b"", peer=ELSEWHERE)).status == 402
        await rig.ask(b"", token=await rig.pay(first))
        assert (await rig.ask(b"")).status == 402
        assert (await rig.ask(b"")).status == 429
        rig.clock.advance(700)
        assert (await rig.ask(b"")).status == 402
        states = [topup.state for topup in rig.books.rows.topups.values()]
        assert states.count(TopupState.LAPSED) == 1
        assert len(states) == OPEN_MAX + 3


async def test_an_invoice_that_could_not_be_made_is_made_for_the_next(tmp_path: Path) -> None:
    """Nobody was told of it while the node was down, so it uses up no place."""
    async with open_face(tmp_path) as rig:
        rig.node.set_faults(NodeFaults(down=True))
        for _ in range(OPEN_MAX + 1):
            assert (await rig.ask(b"")).status == 503
        rig.node.set_faults(NodeFaults())
        assert (await rig.ask(b"")).status == 402
        assert len(rig.books.rows.topups) == 1


async def test_a_paid_top_up_is_credited_and_says_what_to_do(tmp_path: Path) -> None:
    """With its token an empty ask is 200: what was credited, what there is, and the next step."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask(b""))
        reply = await rig.ask(b"", token=token)
        assert reply.status == 200
        assert reply.header("cache-control") == "private, no-store"
        document = reply.json()
        assert (document["state"], document["credited_msat"]) == ("credited", 1_000)
        assert document["available_msat"] == 1_000
        assert "chat completion" in document["message"]
        assert rig.upstream.posts == 0


async def test_credit_is_used_before_an_invoice_is_made(tmp_path: Path) -> None:
    """A top-up's token buys outright what its credit covers, without waiting for the books."""
    async with open_face(tmp_path) as rig:
        macaroon, payment_request = challenge_of(await rig.ask(b""))
        payment = await rig.node.pay(payment_request, amount_msat=5_000)
        token = f"L402 {macaroon}:{payment.preimage}"
        bought = await rig.ask(token=token)
        assert bought.status == 200
        assert rig.last.invoice is None
        cobot = bought.json()["cobot"]
        assert cobot["cost"]["credit_used_msat"] == cobot["cost"]["price_msat"] > 0
        left = (await rig.get("/v1/credits", token=token)).json()["cobot"]["available_msat"]
        assert left == 5_000 - rig.last.price_msat


async def test_what_credit_does_not_cover_is_invoiced(tmp_path: Path) -> None:
    """All the credit first, then an invoice over the rest in whole sats."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up()
        rig.upstream.then(Completes(cost="0.0018"))
        asked = await rig.ask(ask_of("A longer one", max_tokens=4_000), token=token)
        cost = asked.json()["escrow"]["cost"]
        assert (asked.status, cost["credit_used_msat"]) == (402, 1_000)
        assert cost["amount_msat"] == 2_000


async def test_an_unpaid_top_up_opens_nothing(tmp_path: Path) -> None:
    """Its token with a preimage that is not the invoice's names nobody; the 402 comes again."""
    async with open_face(tmp_path) as rig:
        asked = await rig.ask(b"")
        macaroon, _ = challenge_of(asked)
        forged = await rig.ask(b"", token=f"L402 {macaroon}:{'0' * 64}")
        assert forged.status == 402
        assert challenge_of(forged)[0] != macaroon


async def test_a_preimage_that_nobody_paid_for_credits_nothing(tmp_path: Path) -> None:
    """Even a valid pair is asked of the node: OPEN is the same 402 again."""
    async with open_face(tmp_path) as rig:
        asked = await rig.ask(b"")
        topup_id = asked.json()["topup"]["id"]
        preimage = rig.parts.identifiers.preimage(topup_id, 0).hex()
        reply = await rig.ask(b"", token=f"L402 {challenge_of(asked)[0]}:{preimage}")
        assert reply.status == 402
        assert rig.books.rows.topups[topup_id].state is TopupState.INVOICED


async def test_a_known_caller_is_offered_a_top_up_of_its_own(tmp_path: Path) -> None:
    """An empty ask with an escrow's token: what is paid becomes that caller's credit."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        caller_id = rig.last.caller_id
        before = (await rig.books.standing(caller_id)).available_msat
        nameless = await rig.ask(b"")
        asked = await rig.ask(b"", token=token)
        assert challenge_of(asked)[1] != challenge_of(nameless)[1]
        top_up = await rig.pay(asked)
        assert (await rig.ask(b"", token=top_up)).status == 200
        assert (await rig.books.standing(caller_id)).available_msat == before + 1_000


async def test_a_node_that_is_down_is_503(tmp_path: Path) -> None:
    """No invoice can be made: 503 with Retry-After, and a paid token is not called unpaid."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask(b""))
        rig.node.set_faults(NodeFaults(down=True))
        for reply in (await rig.ask(b"", token=token), await rig.ask(b"", peer=ELSEWHERE)):
            assert (reply.status, reply.error["code"]) == (503, "node_unavailable")
        rig.node.set_faults(NodeFaults())
        assert (await rig.ask(b"", token=token)).status == 200
