"""Many at once, and callers who hang up: one run, one invoice, one release, and no cap passed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import orjson

from cobot_meter.adapters.lightning.dev_node.signing import NodeFaults
from cobot_meter.domain.escrow.states import Progress
from tests.fakes.servers.serving import serving
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.face_rig import ASK, CHAT, FaceRig, ask_of, open_face

PARALLEL = 200
CAP_MSAT = 10_000


def kinds(rig: FaceRig) -> list[str]:
    """The journal's kinds, in order."""
    return [entry.kind for entry in rig.books.rows.journal.values()]


async def test_budget_race_200_parallel(tmp_path: Path) -> None:
    """200 parallel asks of one caller never have more open than its cap, not even for a moment."""
    async with open_face(tmp_path, NEWCOMER_CAP_SAT="10", UNPAID_DAY_USD="1000") as rig:
        _, token = await rig.buy()
        caller_id = rig.last.caller_id
        open_msat: list[int] = []

        async def ask(number: int) -> int:
            status = (await rig.ask(ask_of(f"Ask {number}"), token=token)).status
            open_msat.append((await rig.books.standing(caller_id)).open_msat)
            return status

        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(ask(number)) for number in range(PARALLEL)]
        statuses = [task.result() for task in asked]
        assert set(statuses) <= {200, 402, 429}
        assert statuses.count(429) > 0 < statuses.count(402)
        cap_msat = CAP_MSAT + (await rig.books.standing(caller_id)).settled_msat // 10
        assert max(open_msat) <= cap_msat


async def test_the_same_ask_200_times_at_once_is_one_run(tmp_path: Path) -> None:
    """Nobody's retry storm makes a second run or a second invoice."""
    async with open_face(tmp_path) as rig:
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(rig.ask()) for _ in range(PARALLEL)]
        replies = [task.result() for task in asked]
        assert {reply.status for reply in replies} <= {402, 503}
        assert rig.upstream.posts == len(rig.escrows) == 1


async def test_all_kinds_of_askers_of_one_body_at_once(tmp_path: Path) -> None:
    """Nameless, keyed, with credit and with a token, interleaved: one run for each, no loop."""
    async with open_face(tmp_path, IDENTICAL_WAIT_S="30", NEWCOMER_CAP_SAT="1000") as rig:
        rich = await rig.top_up(50)
        poor = await rig.top_up(1)
        rig.upstream.usually = Completes(cost="0.0018")
        ask = ask_of("One body", max_tokens=4_000)
        keyed = {"Idempotency-Key": "k"}
        kinds = (
            ("nameless", None, None),
            ("rich", rich, None),
            ("poor", poor, None),
            ("keyed", None, keyed),
            ("poor and keyed", poor, keyed),
        )
        for _ in range(3):
            async with asyncio.TaskGroup() as tasks:
                asked = {
                    kind: [
                        tasks.create_task(rig.ask(ask, token=token, headers=headers))
                        for _ in range(10)
                    ]
                    for kind, token, headers in kinds
                }
            told = {kind: {one.result().status for one in tasks} for kind, tasks in asked.items()}
            assert told == {kind: {200 if kind == "rich" else 402} for kind in asked}
            escrows = {
                kind: {one.result().header("x-escrow-id") for one in tasks}
                for kind, tasks in asked.items()
            }
            assert {len(ids) for ids in escrows.values()} == {1}
        assert rig.upstream.posts == len(kinds)


async def test_double_present_race(tmp_path: Path) -> None:
    """One token presented many times at once: the same answer for all, one release, one price."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask())
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(rig.ask(token=token)) for _ in range(20)]
        replies = [task.result() for task in asked]
        assert {reply.status for reply in replies} == {200}
        assert len({reply.body for reply in replies}) == 1
        assert kinds(rig).count("completion_delivered") == 1
        assert kinds(rig).count("invoice_settled") == 1
        assert rig.upstream.posts == 1


async def test_disconnect_bills_real_generation(tmp_path: Path) -> None:
    """A caller who hangs up cancels the wait and not the run: it is charged, and can be bought."""
    async with open_face(tmp_path) as rig:
        gate = asyncio.Event()
        rig.upstream.then(Completes(gate=gate))
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(rig.ask())
            await rig.until(Progress.REQUESTED)
            rig.caller.hang_up()
            assert (await asked).status == 0
            gate.set()
        escrow = await rig.until(Progress.INVOICED)
        assert escrow.cost_pusd == rig.upstream.spent_pusd > 0
        token = await rig.pay(await rig.ask())
        assert (await rig.ask(token=token)).status == 200
        assert rig.upstream.posts == 1


async def test_paid_replay_returns_same_body(tmp_path: Path) -> None:
    """Paid, and the answer lost on the way: every later present reads it, at both routes."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask())
        async with asyncio.TaskGroup() as tasks:
            lost = tasks.create_task(rig.ask(token=token))
            await asyncio.sleep(0)
            rig.caller.hang_up()
        first = await rig.ask(token=token)
        claimed = await rig.get(f"/v1/escrows/{rig.last.escrow_id}/completion", token=token)
        assert lost.result().status in {0, 200}
        assert (first.status, claimed.status) == (200, 200)
        assert (await rig.ask(token=token)).body == first.body == claimed.body
        assert rig.upstream.posts == kinds(rig).count("completion_delivered") == 1


async def test_a_real_connection_that_is_closed_keeps_the_run(tmp_path: Path) -> None:
    """The same over a socket: the client times out after a moment and its retry buys."""
    async with open_face(tmp_path) as rig, serving(rig.app) as url:
        gate = asyncio.Event()
        rig.upstream.then(Completes(gate=gate))
        body = orjson.dumps(ASK)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            try:
                await http.post(CHAT, content=body, timeout=0.2)
            except httpx.ReadTimeout:
                gate.set()
            escrow = await rig.until(Progress.INVOICED)
            asked = await http.post(CHAT, content=body)
            assert asked.status_code == 402
            assert escrow.invoice is not None
            payment = await rig.node.pay(escrow.invoice.payment_request)
            token = f"L402 {asked.json()['macaroon']}:{payment.preimage}"
            bought = await http.post(CHAT, content=body, headers={"Authorization": token})
        assert bought.status_code == 200
        assert bought.json()["choices"][0]["message"]["content"]
        assert rig.upstream.posts == 1


async def test_stream_bill_equals_nonstream_bill(tmp_path: Path) -> None:
    """How an answer is read changes nothing of its price (the ask itself is another)."""
    async with open_face(tmp_path) as rig:
        plain, _ = await rig.buy()
        replayed, _ = await rig.buy(ask_of("How fast is Lightning?", stream=True))
        last = orjson.loads(replayed.body.split(b"\n\n")[-3].removeprefix(b"data: "))
        assert last["usage"]["cost"] == plain.json()["usage"]["cost"] > 0
        assert [escrow.price_msat for escrow in rig.escrows] == 2 * [rig.last.price_msat]


async def test_an_invoice_paid_late_still_buys(tmp_path: Path) -> None:
    """late_settle: the node's word counts, not our clock: settled after its time is settled."""
    async with open_face(tmp_path) as rig:
        rig.node.set_faults(NodeFaults(holds_expiry=True))
        asked = await rig.ask()
        rig.clock.advance(700)
        token = await rig.pay(asked)
        assert (await rig.ask(token=token)).status == 200
        assert rig.upstream.posts == 1
