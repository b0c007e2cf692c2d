"""What the identical POST gets: each row of the table, over the whole face."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.retention import DAY_MS
from cobot_meter.flows.sale.ask_completion import LOOK_BACK
from tests.fakes.upstream_outcomes import FREE_MODEL, Completes, Failed, Refused
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import ASK, FaceRig, ask_of, challenge_of, open_face

ELSEWHERE = "198.51.100.9"


def own_pair(rig: FaceRig, reply: Reply) -> str:
    """The valid pair of a 402 whose invoice nobody has paid: only we can know the preimage."""
    macaroon, _ = challenge_of(reply)
    escrow = rig.escrow(str(reply.header("x-escrow-id")))
    preimage = rig.parts.identifiers.preimage(escrow.escrow_id, escrow.attempt)
    return f"L402 {macaroon}:{preimage.hex()}"


async def test_before_it_is_invoiced_it_waits_and_then_says_cost_pending(tmp_path: Path) -> None:
    """503 cost_pending while the first run goes on for longer than anybody waits."""
    async with open_face(tmp_path) as rig:
        gate = asyncio.Event()
        rig.upstream.then(Completes(gate=gate))
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(rig.ask())
            await rig.until(Progress.REQUESTED)
            second = await rig.ask()
            assert (second.status, second.error["code"]) == (503, "cost_pending")
            assert second.header("retry-after") == "2"
            gate.set()
        assert first.result().status == 402
        assert rig.upstream.posts == 1


async def test_who_waits_until_it_is_invoiced_gets_the_same_402(tmp_path: Path) -> None:
    """One run is made, however many ask for it while it goes on."""
    async with open_face(tmp_path, IDENTICAL_WAIT_S="20") as rig:
        gate = asyncio.Event()
        rig.upstream.then(Completes(gate=gate))
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(rig.ask())
            await rig.until(Progress.REQUESTED)
            second = tasks.create_task(rig.ask())
            gate.set()
        assert challenge_of(first.result())[1] == challenge_of(second.result())[1]
        assert rig.upstream.posts == 1


async def test_invoiced_gets_the_same_402(tmp_path: Path) -> None:
    """The same escrow and the same invoice, however often it is asked."""
    async with open_face(tmp_path) as rig:
        first, second = await rig.ask(), await rig.ask()
        assert first.status == second.status == 402
        assert challenge_of(first)[1] == challenge_of(second)[1]
        assert first.header("x-escrow-id") == second.header("x-escrow-id")
        assert rig.upstream.posts == len(rig.escrows) == 1


async def test_settled_gets_409_and_never_a_second_invoice(tmp_path: Path) -> None:
    """already_paid, without any challenge, with the macaroon and where to claim."""
    async with open_face(tmp_path) as rig:
        await rig.pay(await rig.ask())
        await rig.settle(rig.last)
        reply = await rig.ask()
        assert (reply.status, reply.error["code"]) == (409, "already_paid")
        assert reply.header("www-authenticate") is None
        assert reply.header("x-should-retry") == "false"
        assert reply.json()["claim_url"].endswith(f"/v1/escrows/{rig.last.escrow_id}/completion")
        preimage = rig.parts.identifiers.preimage(rig.last.escrow_id, 0).hex()
        claimed = await rig.ask(token=f"L402 {reply.json()['macaroon']}:{preimage}")
        assert claimed.status == 200
        assert rig.upstream.posts == len(rig.escrows) == 1


async def test_settled_gets_a_known_caller_its_own_macaroon_again(tmp_path: Path) -> None:
    """The 409 of a named ask carries the very macaroon that its 402 did."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        rig.upstream.then(Completes(cost="0.0007"))
        asked = await rig.ask(ask_of("Dearer"), token=token)
        await rig.pay(asked)
        await rig.settle(rig.last)
        reply = await rig.ask(ask_of("Dearer"), token=token)
        assert reply.status == 409
        assert reply.json()["macaroon"] == challenge_of(asked)[0]


async def test_failed_gets_the_same_error_for_a_minute_and_then_runs_anew(tmp_path: Path) -> None:
    """The caller pays nothing, and a retry within 60 s starts no second run."""
    async with open_face(tmp_path) as rig:
        rig.upstream.then(Failed(cost="0.0001", says_cost=True))
        first = await rig.ask()
        again = await rig.ask()
        assert (first.status, first.error) == (502, again.error)
        assert rig.upstream.posts == 1
        rig.clock.advance(61)
        assert (await rig.ask()).status == 402
        assert rig.upstream.posts == 2


async def test_expired_opens_a_new_escrow(tmp_path: Path) -> None:
    """A lapsed invoice is not offered again: the ask runs anew and is invoiced anew."""
    async with open_face(tmp_path) as rig:
        first = await rig.ask()
        assert (await rig.expire(rig.last)).progress is Progress.EXPIRED
        second = await rig.ask()
        assert challenge_of(first)[1] != challenge_of(second)[1]
        assert rig.upstream.posts == 2


async def test_an_expired_invoice_is_canceled_by_the_ask_itself(tmp_path: Path) -> None:
    """Past its time, the identical ask asks the node and does not repeat a dead invoice."""
    async with open_face(tmp_path) as rig:
        first = await rig.ask()
        rig.clock.advance(602)
        second = await rig.ask()
        assert second.status == 402
        assert challenge_of(first)[1] != challenge_of(second)[1]


async def test_refunded_and_released_open_a_new_escrow(tmp_path: Path) -> None:
    """Whoever has read it, or let it lapse, asks for something new with the next POST."""
    async with open_face(tmp_path) as rig:
        await rig.buy()
        assert rig.last.progress is Progress.RELEASED
        assert (await rig.ask()).status == 402
        await rig.pay(await rig.ask())
        settled = await rig.settle(rig.last)
        await rig.later(31 * DAY_MS)
        assert (await rig.drive(settled)).progress is Progress.REFUNDED
        assert (await rig.ask()).status == 402
        assert rig.upstream.posts == len(rig.escrows) == 3


async def test_own_pair_while_the_node_says_open(tmp_path: Path) -> None:
    """402 with the same invoice: a preimage that nobody paid for opens nothing."""
    async with open_face(tmp_path) as rig:
        first = await rig.ask()
        again = await rig.ask(token=own_pair(rig, first))
        assert again.status == 402
        assert challenge_of(again)[1] == challenge_of(first)[1]


async def test_own_pair_while_the_node_is_unreachable(tmp_path: Path) -> None:
    """503: unknown is not unpaid, and no second invoice is made (unknown_settle)."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask())
        rig.node.set_faults(replace(rig.node.faults, down=True))
        down = await rig.ask(token=token)
        assert (down.status, down.error["code"]) == (503, "node_unavailable")
        rig.node.set_faults(replace(rig.node.faults, down=False))
        assert (await rig.ask(token=token)).status == 200
        assert rig.upstream.posts == 1


async def test_own_pair_gets_the_stored_answer_settled_or_released(tmp_path: Path) -> None:
    """The first present releases, and every later one reads the same bytes."""
    async with open_face(tmp_path) as rig:
        first, token = await rig.buy()
        assert (await rig.ask(token=token)).body == first.body
        assert rig.upstream.posts == 1


async def test_own_pair_a_day_after_it_was_read_is_a_new_ask(tmp_path: Path) -> None:
    """The same prompt every morning is a new sale of the same caller, credit first."""
    async with open_face(tmp_path) as rig:
        bought, token = await rig.buy()
        caller_id = rig.last.caller_id
        assert (await rig.ask(token=token)).body == bought.body
        await rig.later(DAY_MS + 1)
        await rig.drive(rig.last)
        rig.upstream.then(Completes(cost="0.0007"))
        again = await rig.ask(token=token)
        assert (again.status, rig.last.caller_id, rig.upstream.posts) == (402, caller_id, 2)
        assert rig.last.credit_used_msat > 0
        assert challenge_of(await rig.ask(token=token))[1] == challenge_of(again)[1]


async def test_own_pair_of_a_refund_says_so_for_a_day_and_then_uses_it(tmp_path: Path) -> None:
    """Paid and not read for 30 days: 410 to whoever comes for it, no silent second run."""
    async with open_face(tmp_path) as rig:
        unclaimed = await rig.pay(await rig.ask())
        settled = await rig.settle(rig.last)
        await rig.later(31 * DAY_MS)
        assert (await rig.drive(settled)).progress is Progress.REFUNDED
        for _ in range(2):
            refunded = await rig.ask(token=unclaimed)
            assert (refunded.status, refunded.error["code"]) == (410, "completion_gone")
        assert rig.upstream.posts == 1
        await rig.later(DAY_MS + 1)
        rig.upstream.then(Completes(cost="0.0007"))
        assert (await rig.ask(token=unclaimed)).status == 402
        assert (rig.last.caller_id, rig.upstream.posts) == (settled.caller_id, 2)
        assert rig.last.credit_used_msat > 0


@pytest.mark.parametrize("kept", [True, False])
async def test_own_pair_with_its_own_key_never_asks_for_another(
    tmp_path: Path, *, kept: bool
) -> None:
    """The Idempotency-Key it was opened with: the same bytes, and 410 when they are gone."""
    key = {"Idempotency-Key": "monday"}
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask(headers=key))
        assert (await rig.ask(token=token, headers=key, peer=ELSEWHERE)).status == 200
        if not kept:
            await rig.later(DAY_MS + 1)
            await rig.drive(rig.last)
        again = await rig.ask(token=token, headers=key, peer=ELSEWHERE)
        assert again.status == (200 if kept else 410)
        assert rig.upstream.posts == 1


async def test_a_fresh_key_beside_the_own_pair_asks_for_a_fresh_one(tmp_path: Path) -> None:
    """Not before the paid one is handed over, then at once, and once for each key."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask())
        first = await rig.ask(token=token, headers={"Idempotency-Key": "one"})
        assert (first.status, rig.upstream.posts) == (200, 1)
        rig.upstream.usually = Completes(cost="0.0007")
        fresh = await rig.ask(token=token, headers={"Idempotency-Key": "two"})
        again = await rig.ask(token=token, headers={"Idempotency-Key": "two"})
        assert (fresh.status, rig.upstream.posts) == (402, 2)
        assert challenge_of(fresh)[1] == challenge_of(again)[1]
        assert (await rig.ask(token=token)).body == first.body


async def test_a_key_used_without_a_name_is_its_callers_afterwards(tmp_path: Path) -> None:
    """The same key and body find that purchase whatever token of the caller comes with it."""
    key = {"Idempotency-Key": "monday"}
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask(headers=key))
        assert (await rig.ask(token=token, headers=key)).status == 200
        top_up = await rig.pay(await rig.ask(b"", token=token))
        found = await rig.ask(token=top_up, headers=key)
        assert (found.status, found.error["code"]) == (409, "already_paid")
        other = await rig.ask(ask_of("Other"), token=top_up, headers=key)
        assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")
        assert rig.upstream.posts == 1


async def test_credit_and_the_same_prompt_a_day_later_is_a_new_run(tmp_path: Path) -> None:
    """Within the day the same bytes for nothing; afterwards it is run and charged again."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up(50)
        first = await rig.ask(token=token)
        assert (await rig.ask(token=token)).body == first.body
        for runs in (2, 3):
            await rig.later(DAY_MS + 1)
            await rig.drive(rig.last)
            assert (await rig.ask(token=token)).status == 200
            assert rig.upstream.posts == runs


async def test_what_a_caller_paid_before_it_had_a_name_is_not_sold_to_it_twice(
    tmp_path: Path,
) -> None:
    """Its other tokens find the paid and unread completion: 409, and no second invoice."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask())
        await rig.settle(rig.last)
        rig.upstream.then(Completes(cost="0.0007"))
        other = await rig.pay(await rig.ask(ask_of("Other"), token=token))
        assert (await rig.ask(token=other)).error["code"] == "already_paid"
        assert (await rig.ask(token=token)).status == 200


async def test_a_pending_ask_is_not_hidden_by_what_others_bought(tmp_path: Path) -> None:
    """Callers with credit buy the very same body at the same address: the 402 stays the same."""
    async with open_face(tmp_path) as rig:
        pending = challenge_of(await rig.ask())[1]
        for _ in range(LOOK_BACK + 1):
            rich = await rig.top_up(50)
            assert (await rig.ask(token=rich)).status == 200
            again = await rig.ask()
            assert (again.status, challenge_of(again)[1]) == (402, pending)


async def test_a_paid_claim_needs_neither_price_list_nor_model(tmp_path: Path) -> None:
    """What is paid for is read although the upstream is long gone and the model withdrawn."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask())
        rig.upstream.offered = (FREE_MODEL,)
        await rig.service.flows.catalogue.refresh()
        rig.upstream.reachable = False
        rig.clock.advance(2 * 3_600)
        assert (await rig.ask(token=token)).status == 200


async def test_another_escrows_macaroon_names_the_caller(tmp_path: Path) -> None:
    """A new challenge for the known caller; 200 at once when its credit covers the price."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        known = rig.last.caller_id
        covered = await rig.ask(ask_of("Second"), token=token)
        assert (covered.status, rig.last.caller_id) == (200, known)
        rig.upstream.then(Completes(cost="0.0007"))
        asked = await rig.ask(ask_of("Third"), token=token)
        assert (asked.status, rig.last.caller_id) == (402, known)
        assert rig.last.credit_used_msat > 0


async def test_a_nameless_ask_meets_a_named_one_from_its_address(tmp_path: Path) -> None:
    """A client that drops its token finds its own run; its new token opens this escrow only."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        rig.upstream.then(Completes(cost="0.0007"))
        named = await rig.ask(ask_of("Again"), token=token)
        nameless = await rig.ask(ask_of("Again"))
        assert challenge_of(named)[1] == challenge_of(nameless)[1]
        assert challenge_of(named)[0] != challenge_of(nameless)[0]
        assert rig.upstream.posts == 2
        fresh = await rig.pay(nameless)
        assert (await rig.ask(ask_of("Again"), token=fresh)).status == 200
        credits_of_fresh = await rig.get("/v1/credits", token=fresh)
        assert credits_of_fresh.json()["cobot"]["available_msat"] == 0


async def test_the_same_body_from_elsewhere_is_another_ask(tmp_path: Path) -> None:
    """The address keeps strangers apart: no escrow is shared between two of them."""
    async with open_face(tmp_path) as rig:
        here, there = await rig.ask(), await rig.ask(peer=ELSEWHERE)
        assert challenge_of(here)[1] != challenge_of(there)[1]
        assert rig.upstream.posts == 2


async def test_other_words_are_another_ask(tmp_path: Path) -> None:
    """What is asked decides, and not how it is written."""
    async with open_face(tmp_path) as rig:
        await rig.ask()
        await rig.ask(orjson.dumps(ASK, option=orjson.OPT_INDENT_2))
        assert rig.upstream.posts == 1
        await rig.ask({**ASK, "max_tokens": 999})
        assert rig.upstream.posts == 2


async def test_a_free_completion_is_read_by_the_identical_post(tmp_path: Path) -> None:
    """Price 0 needs no payment; who lost the connection reads it by asking the same again."""
    free = ask_of("Free", model=FREE_MODEL.model_id)
    async with open_face(tmp_path) as rig:
        gate = asyncio.Event()
        rig.upstream.then(Completes(cost="0", gate=gate))
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(rig.ask(free))
            await rig.until(Progress.REQUESTED)
            rig.caller.hang_up()
            gate.set()
        assert first.result().status == 0
        await rig.until(Progress.SETTLED)
        again = await rig.ask(free)
        assert (again.status, again.json()["usage"]["cost"]) == (200, 0)
        assert rig.upstream.posts == 1


async def test_a_refused_run_costs_nobody_anything(tmp_path: Path) -> None:
    """An upstream that is overloaded is 503 with Retry-After; nothing is reserved any more."""
    async with open_face(tmp_path) as rig:
        rig.upstream.then(Refused(status=429, retry_after_s=7))
        reply = await rig.ask()
        assert (reply.status, reply.error["code"]) == (503, "upstream_refused")
        assert rig.last.price_msat == rig.upstream.spent_pusd == 0
