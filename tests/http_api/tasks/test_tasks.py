"""A task from its opening to the answer in its buyer's hands: one invoice for many runs."""

from __future__ import annotations

from pathlib import Path

from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.pricing.prices import price_for
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.face_rig import MODEL
from tests.http_api.tasks.task_face import ANSWER, task_face


async def test_a_task_is_one_invoice_for_all_its_runs(tmp_path: Path) -> None:
    """Ten runs of different costs are sold as one, to the pico-USD, and the fee is the seller's."""
    costs = [f"0.0000{number:02}12345{number % 10}" for number in range(1, 11)]
    async with task_face(tmp_path) as face:
        face.rig.upstream.then(*(Completes(cost=cost) for cost in costs))
        closed = await face.closed(runs=10)
        row = face.rig.last
        cost_pusd = sum(int(cost.removeprefix("0.").ljust(12, "0")) for cost in costs)
        priced = price_for(
            cost_pusd,
            ceiling_msat=row.quote.ceiling_msat,
            rate=row.quote.rate,
            terms=row.quote.terms,
        )
        price = closed["price"]
        assert row.priced_pusd == cost_pusd
        assert price["seller_fee_msat"] == 7_000
        assert price["total_msat"] == priced.price_msat + 7_000
        assert price["cost_msat"] + price["service_fee_msat"] == priced.price_msat
        assert not price["provisional"]
        token = await face.paid(closed)
        before_msat = await face.credit_msat(f"Bearer {face.key}")
        bought = await face.claim(closed, token)
        assert bought.status == 200
        assert bought.json()["choices"][0]["message"]["content"] == ANSWER
        assert bought.json()["cobot"]["cost"]["seller_fee_msat"] == 7_000
        assert await face.credit_msat(f"Bearer {face.key}") == before_msat + 7_000
        assert face.rig.last.state is EscrowState.RELEASED
        ledger = face.rig.books.rows.ledger
        assert -ledger.of(chart.REVENUE).net == priced.price_msat
        assert ledger.of(chart.COST_UPSTREAM).net == cost_pusd
        assert ledger.open_reservations() == {}


async def test_a_run_is_answered_at_once_and_says_what_is_left(tmp_path: Path) -> None:
    """Its seller pays nothing for it, and reads the price of the run and what the task has left."""
    async with task_face(tmp_path) as face:
        task = await face.opened()
        assert task["spent_msat"] == 0
        assert task["left_msat"] == task["ceiling_msat"] == 500_000
        reply = await face.ask(task)
        assert reply.status == 200
        said = reply.json()
        assert said["model"] == MODEL
        assert float(said["usage"]["cost"]) > 0
        told = said["cobot"]["task"]
        assert told["id"] == task["id"]
        assert told["spent_msat"] + told["left_msat"] == 500_000
        assert not told["near"]
        assert reply.header("x-cobot-task-left-msat") == str(told["left_msat"])
        stands = (await face.send("GET", f"/v1/tasks/{task['id']}")).json()
        assert (stands["runs"], stands["state"]) == (1, "open")
        assert stands["left_msat"] == told["left_msat"]
        assert (await face.send("DELETE", f"/v1/tasks/{task['id']}")).status == 200
