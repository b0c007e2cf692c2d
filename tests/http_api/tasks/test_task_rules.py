"""Who may open a task, how much it may cost, and what is refused in it, each in a true sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.ledger import accounts as chart
from tests.fakes.upstream_outcomes import Completes, Refused
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import ASK
from tests.http_api.tasks.task_face import ANSWER, TASKS, task_face


def code_of(reply: Reply) -> str:
    """The stable code of an error."""
    return str(reply.json()["error"]["code"])


async def test_only_whom_the_operator_trusts_opens_a_task(tmp_path: Path) -> None:
    """The sentence has the operator's own command; a cap that was earned does not count."""
    async with task_face(tmp_path, cap_sat=None) as face:
        refused = await face.open()
        assert (refused.status, code_of(refused)) == (403, "task_not_allowed")
        assert f"cobot-meter callers cap {face.seller_id}" in refused.json()["error"]["message"]
        nobody = await face.rig.send("POST", TASKS, {"ceiling_sat": 5})
        assert nobody.status == 402
        proof = await face.rig.credited(50)
        by_proof = await face.rig.send("POST", TASKS, {"ceiling_sat": 5}, token=proof)
        assert (by_proof.status, code_of(by_proof)) == (400, "invalid_api_key")


async def test_a_blocked_seller_opens_nothing_and_runs_nothing(tmp_path: Path) -> None:
    """The operator's word holds for the next run of a task that is open."""
    async with task_face(tmp_path) as face:
        task = await face.opened()
        await face.rig.service.flows.operating.set_caller.block(face.seller_id, blocked=True)
        assert code_of(await face.ask(task)) == "caller_blocked"
        assert code_of(await face.open()) == "caller_blocked"
        assert face.rig.upstream.posts == 0


async def test_a_key_with_limits_opens_no_task(tmp_path: Path) -> None:
    """What it counts is spent of a credit, and a task is not."""
    async with task_face(tmp_path) as face:
        limited, _ = await face.rig.key(100, limit_sat=5)
        seller = list(face.rig.books.rows.api_keys.values())[-1].caller_id
        await face.rig.service.flows.operating.set_caller.cap(seller, 10_000_000)
        refused = await face.rig.send("POST", TASKS, {"ceiling_sat": 5}, token=f"Bearer {limited}")
        assert (refused.status, code_of(refused)) == (403, "task_not_allowed")


async def test_tasks_together_stay_within_the_operators_cap(tmp_path: Path) -> None:
    """Twenty at once: as many open as ceilings and fees fit, not one more; ended, it is free."""
    async with task_face(tmp_path, cap_sat=2_500) as face:
        replies = await asyncio.gather(*(face.open() for _ in range(20)))
        opened = [reply.json() for reply in replies if reply.status == 201]
        assert len(opened) == 4  # of 500 sat and a fee of 100 each
        refused = {(reply.status, code_of(reply)) for reply in replies if reply.status != 201}
        assert refused == {(429, "exposure_exceeded")}
        receivable = face.rig.books.rows.ledger.of(chart.receivable(face.seller_id))
        assert receivable.claimed <= 2_500_000
        await face.send("DELETE", f"{TASKS}/{opened[0]['id']}")
        assert (await face.open()).status == 201
        assert len((await face.send("GET", TASKS)).json()["data"]) == 4


async def test_the_same_opening_finds_the_same_task(tmp_path: Path) -> None:
    """Repeated and at once it is one; another body with that Idempotency-Key is refused."""
    async with task_face(tmp_path) as face:
        body = {"ceiling_sat": 500}
        headers = {"Idempotency_Key": "k1"}
        replies = await asyncio.gather(
            *(face.send("POST", TASKS, body, **headers) for _ in range(5))
        )
        assert len({(reply.json()["id"], reply.json()["key"]) for reply in replies}) == 1
        other = await face.send("POST", TASKS, {"ceiling_sat": 501}, **headers)
        assert (other.status, code_of(other)) == (422, "idempotency_key_reused")


async def test_the_ceiling_is_never_passed(tmp_path: Path) -> None:
    """What does not fit is refused before anything is sent, with what would fit; and that does."""
    async with task_face(tmp_path) as face:
        task = await face.opened(ceiling_sat=3)
        refused = await face.ask(task, max_tokens=16_000)
        assert (refused.status, code_of(refused)) == (402, "task_ceiling_reached")
        told = refused.json()["error"]["metadata"]
        assert told["left_msat"] == 3_000 < told["needed_msat"]
        assert face.rig.upstream.posts == 0
        fits = told["fits_max_tokens"]
        assert f"max_tokens {fits} would fit" in refused.json()["error"]["message"]
        assert (await face.ask(task, max_tokens=fits + 2)).status == 402
        face.rig.upstream.then(Completes(cost="0.9"))  # far more than it could cost
        bought = await face.ask(task, max_tokens=fits)
        row = face.rig.last
        assert bought.status == 200 or row.run.in_flight
        assert row.priced_pusd <= row.quote.ceiling_pusd


@pytest.mark.parametrize("costs", [("0.0000200", "0.0000900"), ("0.0000900", "0.0000200")])
async def test_the_record_is_what_is_billed(costs: tuple[str, str], tmp_path: Path) -> None:
    """The answer said one cost and the record another: closing asks for it, and bills that."""
    said, real = costs
    async with task_face(tmp_path) as face:
        face.rig.upstream.then(Completes(cost=real, inline_cost=said))
        closed = await face.closed()
        assert closed["price"]["cost_usd"] == real.rstrip("0")
        assert not closed["price"]["provisional"]
        assert face.rig.last.run.cost_pusd == face.rig.last.priced_pusd


async def test_without_a_record_the_price_is_provisional_and_says_so(tmp_path: Path) -> None:
    """Fifteen seconds are waited for it, and not for ever."""
    async with task_face(tmp_path) as face:
        face.rig.upstream.then(Completes(lookups_before_record=50))
        closed = await face.closed()
        assert closed["price"]["provisional"]
        assert closed["price"]["provisional_runs"] == 1
        token = await face.paid(closed)
        bought = (await face.claim(closed, token)).json()
        assert bought["cobot"]["cost"]["standing"] == "provisional"


async def test_runs_go_one_after_the_other(tmp_path: Path) -> None:
    """Another request meanwhile is told so, the same one joins, and closing is refused."""
    async with task_face(tmp_path) as face:
        gate = asyncio.Event()
        face.rig.upstream.then(Completes(gate=gate))
        task = await face.opened()
        first = asyncio.create_task(face.ask(task, "one"))
        await face.rig.upstream.reached.wait()
        same = asyncio.create_task(face.ask(task, "one"))
        await asyncio.sleep(0)
        busy = await face.ask(task, "two")
        assert (busy.status, code_of(busy)) == (409, "task_busy")
        assert busy.header("x-should-retry") == "false"
        assert (await face.answer(task)).status == 200
        for reply in (
            await face.close(task),
            await face.send("DELETE", f"{TASKS}/{task['id']}"),
        ):
            assert (reply.status, code_of(reply)) == (409, "task_busy")
        gate.set()
        assert (await first).json() == (await same).json()
        assert face.rig.upstream.posts == 1
        assert (await face.close(task)).status == 200


async def test_whoever_hangs_up_stops_no_run(tmp_path: Path) -> None:
    """It is booked, and the task goes on."""
    async with task_face(tmp_path) as face:
        gate = asyncio.Event()
        face.rig.upstream.then(Completes(gate=gate))
        task = await face.opened()
        asking = asyncio.create_task(face.ask(task, "one"))
        await face.rig.upstream.reached.wait()
        asking.cancel()
        gate.set()
        while face.rig.last.run.in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert face.rig.last.priced_pusd > 0
        again = await face.ask(task, "two")
        while again.status == 409:  # for as long as the process has not put the run away
            again = await face.ask(task, "two")
        assert again.status == 200


async def test_a_failed_run_is_not_billed(tmp_path: Path) -> None:
    """Its error is the upstream's, and the next run is a run like any other."""
    async with task_face(tmp_path) as face:
        task = await face.opened()
        face.rig.upstream.then(Refused(status=400))
        assert (await face.ask(task)).status == 400
        assert (await face.ask(task)).status == 200
        await face.answer(task)
        closed = (await face.close(task)).json()
        assert closed["runs"] == 2
        assert face.rig.last.priced_pusd == face.rig.last.cost_pusd


async def test_a_closed_task_runs_and_seals_nothing_more(tmp_path: Path) -> None:
    """Told again, closing gives the same invoice, whatever fee it names now."""
    async with task_face(tmp_path) as face:
        closed = await face.closed()
        assert code_of(await face.ask(closed)) == "task_closed"
        assert code_of(await face.answer(closed, "another")) == "task_closed"
        gone = await face.send("DELETE", f"{TASKS}/{closed['id']}")
        assert code_of(gone) == "task_closed"
        again = (await face.close(closed, fee_msat=50_000, answer="another")).json()
        names = ("invoice", "payment_hash", "macaroon", "price", "state")
        assert {name: again[name] for name in names} == {name: closed[name] for name in names}
        token = await face.paid(closed)
        bought = await face.claim(closed, token)
        assert bought.json()["choices"][0]["message"]["content"] == ANSWER


async def test_the_last_answer_that_was_sealed_is_the_one_that_is_sold(tmp_path: Path) -> None:
    """Nothing of the runs is in it, and what was sealed first is gone."""
    async with task_face(tmp_path) as face:
        task = await face.opened()
        await face.ask(task)
        unanswered = await face.close(task)
        assert (unanswered.status, code_of(unanswered)) == (409, "task_unanswered")
        await face.answer(task, "first")
        closed = (await face.close(task, fee_sat=1, answer="second")).json()
        bought = await face.claim(closed, await face.paid(closed))
        assert bought.json()["choices"][0]["message"]["content"] == "second"
        assert "Lightning settles" not in bought.body.decode()


async def test_a_fee_beyond_what_was_named_and_a_price_of_nothing_are_refused(
    tmp_path: Path,
) -> None:
    """Both are said before anything is closed."""
    async with task_face(tmp_path) as face:
        task = await face.opened()
        await face.answer(task)
        refused = await face.close(task, fee_msat=100_001)
        assert (refused.status, code_of(refused)) == (400, "invalid_request")
        assert "at most 100 sat" in refused.json()["error"]["message"]
        nothing = await face.close(task, fee_msat=0)
        assert nothing.status == 400
        assert "comes to nothing" in nothing.json()["error"]["message"]
        assert (await face.close(task, fee_msat=100_000)).status == 200


async def test_a_buyer_is_nobody_but_a_buyer(tmp_path: Path) -> None:
    """Its macaroon is neither the seller nor the seller's credit, and opens this answer alone."""
    async with task_face(tmp_path) as face:
        other = await face.closed()
        closed = await face.closed()
        token = await face.paid(closed)
        assert (await face.claim(closed, token)).status == 200
        row = face.rig.last
        assert row.caller_id != face.seller_id
        assert await face.credit_msat(token) == row.invoice.amount_msat - row.price_msat  # type: ignore[union-attr]
        assert (await face.claim(other, token)).status == 404
        statement = await face.rig.get("/v1/ledger", token=token)
        assert statement.status == 200
        assert b"completion_delivered" in statement.body
        assert face.seller_id.encode() not in statement.body
        for method, path in (
            ("GET", TASKS),
            ("GET", f"{TASKS}/{closed['id']}"),
            ("POST", f"{TASKS}/{closed['id']}/close"),
            ("POST", TASKS),
        ):
            reply = await face.rig.send(method, path, {"ceiling_sat": 5}, token=token)
            assert (reply.status, code_of(reply)) == (400, "invalid_api_key"), path
        stranger, _ = await face.rig.key(10)
        theirs = await face.rig.get(f"{TASKS}/{closed['id']}", token=f"Bearer {stranger}")
        assert theirs.status == 404


async def test_a_tasks_key_asks_completions_and_nothing_else(tmp_path: Path) -> None:
    """Nor is another one made of it by changing its id."""
    async with task_face(tmp_path) as face:
        task, other = await face.opened(), await face.opened()
        refused = await face.rig.get("/v1/credits", token=f"Bearer {task['key']}")
        assert "the key of a task" in refused.json()["error"]["message"]
        mixed = task["key"].replace(task["id"].removeprefix("esc_"), other["id"][4:])
        for key in (mixed, "sk-cobot-task-", f"{task['key']}x"):
            reply = await face.rig.ask(ASK, token=f"Bearer {key}")
            assert (reply.status, code_of(reply)) == (400, "invalid_task_key")
        api_key = next(iter(face.rig.books.rows.api_keys.values()))
        manage = face.rig.service.flows.manage_keys
        await manage.revoke(api_key.caller_id, api_key.key_id)
        reply = await face.ask(task)
        assert (reply.status, code_of(reply)) == (400, "invalid_task_key")
        assert face.rig.upstream.posts == 0


async def test_a_stream_of_a_run_ends_with_what_is_left(tmp_path: Path) -> None:
    """The same document as events."""
    async with task_face(tmp_path) as face:
        task = await face.opened()
        reply = await face.ask(task, stream=True)
        assert reply.status == 200
        assert reply.header("content-type") == "text/event-stream"
        assert b'"left_msat"' in reply.body
        assert reply.body.endswith(b"data: [DONE]\n\n")


async def test_nobody_closes_it_and_it_ends_by_itself(tmp_path: Path) -> None:
    """At its time, with every cost booked as that of a failure, and the cap free again."""
    async with task_face(tmp_path) as face:
        task = await face.opened(expires_in_s=60)
        await face.ask(task)
        face.rig.clock.set_ms(face.rig.clock.now_ms() + 61_000)
        assert code_of(await face.ask(task)) == "task_closed"
        row = await face.rig.drive(face.rig.last)
        assert row.state is EscrowState.FAILED
        ledger = face.rig.books.rows.ledger
        assert ledger.of(chart.COST_FAILED).net == row.cost_pusd > 0
        assert ledger.of(chart.receivable(face.seller_id)).claimed == 0
        assert (await face.send("GET", f"{TASKS}/{task['id']}")).json()["state"] == "failed"


async def test_an_invoice_that_nobody_pays_lapses(tmp_path: Path) -> None:
    """Its seller's, and the cost of all its runs is unpaid; paid late, it is bought after all."""
    async with task_face(tmp_path) as face:
        closed = await face.closed(runs=3)
        row = await face.rig.expire(face.rig.last)
        assert row.state is EscrowState.EXPIRED
        ledger = face.rig.books.rows.ledger
        assert ledger.of(chart.COST_UNPAID).net == row.priced_pusd
        assert ledger.of(chart.lapsed(face.seller_id)).net == row.price_msat
        assert ledger.of(chart.available(row.caller_id)).net == 0
        assert (await face.close(closed)).json()["state"] == "expired"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "ceiling_sat"),
        ({"ceiling_sat": 5, "ceiling_usd": "1"}, "ceiling_sat"),
        ({"ceiling_sat": 0}, "ceiling_sat"),
        ({"ceiling_sat": "5"}, "ceiling_sat"),
        ({"ceiling_usd": "much"}, "ceiling_usd"),
        ({"ceiling_usd": "-1"}, "ceiling_usd"),
        ({"ceiling_sat": 5, "expires_in_s": 9}, "expires_in_s"),
        ({"ceiling_sat": 5, "expires_in_s": 86_400}, "expires_in_s"),
        ({"ceiling_sat": 5, "title": "x" * 201}, "title"),
        ({"ceiling_sat": 5, "max_fee_sat": -1}, "max_fee_sat"),
        ({"ceiling_sat": 5, "else": 1}, "else"),
    ],
)
async def test_a_wrong_field_of_an_opening_is_named(
    body: dict[str, object], param: str, tmp_path: Path
) -> None:
    """400 with the field, and nothing is opened."""
    async with task_face(tmp_path) as face:
        reply = await face.send("POST", TASKS, body)
        assert (reply.status, reply.json()["error"]["param"]) == (400, param)
        assert face.rig.escrows == []


async def test_a_ceiling_in_usd_is_never_more_than_was_named(tmp_path: Path) -> None:
    """At our price; and one in sat is that exactly."""
    async with task_face(tmp_path) as face:
        reply = await face.send("POST", TASKS, {"ceiling_usd": "0.05"})
        row = face.rig.last
        assert reply.json()["ceiling_msat"] == row.quote.ceiling_msat
        worth_pusd = row.quote.ceiling_msat * row.quote.rate.usd_micro_per_btc // 100_000
        assert 0 <= 50_000_000_000 - worth_pusd < 1_000_000
        await face.opened()
        assert face.rig.last.quote.ceiling_msat == 500_000
