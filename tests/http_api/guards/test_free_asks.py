"""Sixty free asks at once beside a prepaid one, on twenty slots: who pays does not wait (K4.6)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import Progress
from tests.fakes.upstream_outcomes import FREE_MODEL, Completes
from tests.http_api.face_rig import FaceRig, ask_of, open_face

FREE, SLOTS = 60, 20
S = Progress


async def free(rig: FaceRig, number: int, peer: str) -> int:
    """One free ask's status."""
    ask = ask_of(f"Free {number}", model=FREE_MODEL.model_id, max_tokens=10)
    return (await rig.ask(ask, peer=peer)).status


def standing(rig: FaceRig, *states: Progress) -> int:
    """How many free escrows are in these states."""
    return sum(
        one.progress in states and one.quote.model == FREE_MODEL.model_id for one in rig.escrows
    )


async def settled_down(rig: FaceRig, posts: int, *, under_way: int = FREE) -> None:
    """Until so many have reached the upstream and are booked so, and nothing more moves."""
    async with asyncio.timeout(20):
        booked = (Progress.OPENED, Progress.REQUESTED)
        while rig.upstream.posts < posts or standing(rig, *booked) < under_way:  # noqa: ASYNC110
            await asyncio.sleep(0)
        while sum(one.run.generation_id is not None for one in rig.escrows) < posts:  # noqa: ASYNC110
            await asyncio.sleep(0)
    for _ in range(50):
        await rig.service.parts.books.escrow("esc_nobody")  # its turn is after all that waits


@pytest.mark.parametrize(
    ("peers", "running"), [(1, 7), (60, 15)], ids=["one address", "sixty addresses"]
)
async def test_a_prepaid_ask_beside_sixty_free_ones(
    tmp_path: Path, peers: int, running: int
) -> None:
    """Free asks have three quarters of the slots, one address half of those; a payer begins."""
    async with open_face(tmp_path, RUNS_MAX=str(SLOTS)) as rig:
        token = await rig.top_up(sat=100)
        gate = asyncio.Event()
        rig.upstream.by_model[FREE_MODEL.model_id] = Completes(cost="0", gate=gate)
        posts = rig.upstream.posts
        asks = [
            asyncio.ensure_future(free(rig, number, f"203.0.{number % peers}.7"))
            for number in range(FREE)
        ]
        await settled_down(rig, posts + running)
        assert rig.upstream.posts == posts + running
        assert standing(rig, Progress.OPENED) == FREE - running
        paid = await rig.ask(ask_of("Paid"), token=token, peer="203.0.0.7")
        assert paid.status == 200
        assert standing(rig, Progress.REQUESTED) == running
        gate.set()
        assert await asyncio.gather(*asks) == [200] * FREE


async def test_more_than_an_address_may_have_under_way_leaves_no_row(tmp_path: Path) -> None:
    """429 with a sentence and a time, no escrow and no entry; another address is served."""
    async with open_face(tmp_path, ADDRESS_RUNS_MAX="3") as rig:
        gate = asyncio.Event()
        rig.upstream.by_model[FREE_MODEL.model_id] = Completes(cost="0", gate=gate)
        under_way = [asyncio.ensure_future(free(rig, number, "203.0.113.9")) for number in range(3)]
        await settled_down(rig, 3, under_way=3)
        rows = len(rig.escrows), len(rig.books.rows.journal)
        ask = ask_of("One more", model=FREE_MODEL.model_id, max_tokens=10)
        refused = await rig.ask(ask, peer="203.0.113.9")
        assert (refused.status, refused.error["code"]) == (429, "too_many_at_once")
        assert refused.header("retry-after") == "3"
        assert refused.header("x-should-retry") is None
        assert (len(rig.escrows), len(rig.books.rows.journal)) == rows
        gate.set()
        assert (await rig.ask(ask, peer="198.51.100.3")).status == 200
        assert await asyncio.gather(*under_way) == [200] * 3


async def test_a_queue_that_is_full_says_so(tmp_path: Path) -> None:
    """503 with Retry-After for who would wait as one too many, and no row."""
    async with open_face(tmp_path, RUNS_MAX="1", RUNS_KEPT_BPS="0", RUNS_WAITING_MAX="1") as rig:
        gate = asyncio.Event()
        rig.upstream.by_model[FREE_MODEL.model_id] = Completes(cost="0", gate=gate)
        under_way = [
            asyncio.ensure_future(free(rig, number, f"203.0.113.{number}")) for number in range(2)
        ]
        async with asyncio.timeout(5):
            while len(rig.escrows) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
        refused = await rig.ask(ask_of("Third"))
        assert (refused.status, refused.error["code"]) == (503, "service_busy")
        assert refused.header("retry-after") == "3"
        assert len(rig.escrows) == 2
        gate.set()
        assert await asyncio.gather(*under_way) == [200, 200]
