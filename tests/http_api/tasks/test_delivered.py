"""A seller that hands the answer over itself says so, and earns its fee."""

from __future__ import annotations

from pathlib import Path

from cobot_meter.domain.escrow.states import EscrowState
from tests.http_api.tasks.task_face import ANSWER, TASKS, task_face


async def test_a_paid_task_is_released_at_its_sellers_word(tmp_path: Path) -> None:
    """The fee is credit of the seller at once; the buyer can fetch the same answer still."""
    async with task_face(tmp_path) as face:
        closed = await face.closed()
        token = await face.paid(closed)
        before_msat = await face.credit_msat(f"Bearer {face.key}")
        for _ in range(2):
            said = await face.send("POST", f"{TASKS}/{closed['id']}/delivered")
            assert said.status == 200, said.json()
            assert said.json()["state"] == "released"
        assert face.rig.last.state is EscrowState.RELEASED
        assert await face.credit_msat(f"Bearer {face.key}") == before_msat + 7_000
        bought = await face.claim(closed, token)
        assert bought.json()["choices"][0]["message"]["content"] == ANSWER


async def test_an_unpaid_task_is_released_at_nobodys_word(tmp_path: Path) -> None:
    """Neither open nor with an unpaid invoice; a stranger's key finds no such task."""
    async with task_face(tmp_path) as face:
        closed = await face.closed()
        said = await face.send("POST", f"{TASKS}/{closed['id']}/delivered")
        assert said.status == 402
        assert said.json()["error"]["code"] == "payment_required"
        assert face.rig.last.state.value == "invoiced"
        task = await face.opened()
        said = await face.send("POST", f"{TASKS}/{task['id']}/delivered")
        assert said.status >= 400
        assert face.rig.last.state.value == "running"
