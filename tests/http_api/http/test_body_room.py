"""Bytes of request bodies in memory at once: bounded by address and in all, and given back."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from pathlib import Path

import pytest

from cobot_meter.domain.errors import AddressBusy, ServiceBusy
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.http_api.context import FaceLimits
from cobot_meter.http_api.http.body_room import BodyRoom
from cobot_meter.http_api.http.exchange import BodyLimits
from tests.fakes.upstream_outcomes import Completes, Refused, fake_model
from tests.http_api.face_rig import ask_of, open_face

WIDE = fake_model(
    "acme/wide:free",
    price=ModelPrice(prompt_pusd=0, completion_pusd=0),
    context_length=2_000_000,
)
MIB = 2**20


def test_an_address_has_a_quarter_and_all_have_the_whole() -> None:
    """What does not fit is refused and takes nothing; what ended is free again."""
    room = BodyRoom(bytes_max=400, body_bytes_max=50)
    with room.held_by("a") as own:
        own.grow(100)
        with room.held_by("a") as more, pytest.raises(AddressBusy, match="100 bytes of the 100"):
            more.grow(1)
        assert room.held == 100
        with room.held_by("b") as b, room.held_by("c") as c, room.held_by("d") as d:
            for one in (b, c, d):
                one.grow(100)
            with room.held_by("e") as e, pytest.raises(ServiceBusy, match="400 bytes of the 400"):
                e.grow(1)
        with room.held_by("e") as e:
            e.grow(100)
    assert room.held == 0


def test_one_body_of_any_allowed_size_always_fits() -> None:
    """However small the room is set, a single request is not refused for its size."""
    room = BodyRoom(bytes_max=10, body_bytes_max=1_000)
    with room.held_by("a") as hold:
        hold.grow(1_000)
    assert room.held == 0


async def test_over_the_room_it_is_refused_while_it_is_read(tmp_path: Path) -> None:
    """429 with a time before anything is written; another address, and the next, are served."""
    room = BodyRoom(bytes_max=4_000, body_bytes_max=1_000)
    limits = FaceLimits(body=BodyLimits(bytes_max=1_000, room=room))
    async with open_face(tmp_path, limits=limits) as rig:
        gate = asyncio.Event()
        rig.upstream.usually = Completes(gate=gate)
        first = asyncio.ensure_future(rig.ask(ask_of("x" * 600)))
        async with asyncio.timeout(5):
            while not rig.upstream.posts:  # noqa: ASYNC110
                await asyncio.sleep(0)
        refused = await rig.ask(ask_of("y" * 600))
        assert (refused.status, refused.error["code"]) == (429, "too_many_at_once")
        assert refused.header("retry-after") == "2"
        assert len(rig.escrows) == 1
        elsewhere = asyncio.ensure_future(rig.ask(ask_of("z" * 600), peer="198.51.100.2"))
        await asyncio.sleep(0)
        gate.set()
        assert ((await first).status, (await elsewhere).status) == (402, 402)
        assert room.held == 0
        assert (await rig.ask(ask_of("y" * 600))).status == 402


async def test_a_forwarded_address_is_whose_bytes_they_are(tmp_path: Path) -> None:
    """Behind a trusted proxy callers do not share one part."""
    room = BodyRoom(bytes_max=4_000, body_bytes_max=1_000)
    limits = FaceLimits(body=BodyLimits(bytes_max=1_000, room=room))
    proxies = ("10.0.0.0/8",)
    async with open_face(tmp_path, limits=limits, trusted_proxies=proxies) as rig:
        gate = asyncio.Event()
        rig.upstream.usually = Completes(gate=gate)
        asks = [
            asyncio.ensure_future(
                rig.ask(
                    ask_of(f"{number}{'x' * 600}"),
                    headers={"X-Forwarded-For": f"198.51.100.{number}"},
                    peer="10.0.0.1",
                )
            )
            for number in range(3)
        ]
        async with asyncio.timeout(5):
            while rig.upstream.posts < len(asks):  # noqa: ASYNC110
                await asyncio.sleep(0)
        gate.set()
        assert [reply.status for reply in await asyncio.gather(*asks)] == [402] * 3


@pytest.mark.parametrize("day", ["1000", "0"], ids=["refused upstream", "refused by a guard"])
async def test_a_refused_ask_leaves_no_body_for_the_collector(tmp_path: Path, day: str) -> None:
    """Its error holds no frame, so the body goes with it, and not when the collector comes by."""
    async with open_face(tmp_path, UNPAID_DAY_USD=day) as rig:
        rig.upstream.offered = (WIDE,)
        rig.upstream.by_model[WIDE.model_id] = Refused(status=400)
        await rig.service.flows.catalogue.refresh()
        asks = [
            ask_of(f"{number} {'x' * 900_000}", model=WIDE.model_id, max_tokens=5)
            for number in range(6)
        ]
        await rig.ask(asks.pop())
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for ask in asks:
                assert (await rig.ask(ask)).status in {400, 429}
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
        assert after - before < MIB
