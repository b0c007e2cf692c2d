"""Who serves a model: asked once, kept for minutes, and never waited for long."""

from __future__ import annotations

import asyncio

import pytest

from cobot_meter.domain.errors import UpstreamUnreachable
from cobot_meter.domain.upstream.endpoints import Endpoint
from cobot_meter.flows.offer import catalogue as offer_endpoints
from cobot_meter.flows.offer.catalogue import (
    ASK_AGAIN_MS,
    ASKING_MAX,
    ENDPOINTS_FRESH_MS,
    LISTS_MAX,
    EndpointOffers,
)
from tests.fakes.clock import FakeClock
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import PRICED_MODEL, fake_endpoint, fake_model

SERVED = (fake_endpoint("mistral"), fake_endpoint("nebius"))


class Slow(FakeUpstream):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.down = False

    async def endpoints(self, model_id: str) -> tuple[Endpoint, ...]:
        self.asked_for_endpoints.append(model_id)
        await self.let.wait()
        if self.down:
            raise UpstreamUnreachable("down")
        return SERVED


async def test_a_list_is_asked_for_once_in_five_minutes() -> None:
    """However many want to know meanwhile, at once or later."""
    clock, upstream = FakeClock(), Slow()
    offers = EndpointOffers(upstream=upstream, clock=clock)
    async with asyncio.TaskGroup() as tasks:
        asks = [tasks.create_task(offers.of(PRICED_MODEL)) for _ in range(9)]
        await asyncio.sleep(0)
        upstream.let.set()
    assert {task.result() for task in asks} == {SERVED}
    clock.advance((ENDPOINTS_FRESH_MS - 1) / 1_000)
    assert await offers.of(PRICED_MODEL) == SERVED
    assert len(upstream.asked_for_endpoints) == 1
    clock.advance(0.001)
    assert await offers.of(PRICED_MODEL) == SERVED
    assert len(upstream.asked_for_endpoints) == 2


async def test_an_upstream_that_does_not_say_is_asked_again_soon() -> None:
    """Until then nobody waits for it."""
    clock, upstream = FakeClock(), Slow()
    upstream.let.set()
    upstream.down = True
    offers = EndpointOffers(upstream=upstream, clock=clock)
    assert await offers.of(PRICED_MODEL) == ()
    upstream.down = False
    assert await offers.of(PRICED_MODEL) == ()
    clock.advance(ASK_AGAIN_MS / 1_000)
    assert await offers.of(PRICED_MODEL) == SERVED


async def test_an_upstream_that_is_silent_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An ask goes on at the listed price."""
    monkeypatch.setattr(offer_endpoints, "WAIT_S", 0.01)
    assert await EndpointOffers(upstream=Slow(), clock=FakeClock()).of(PRICED_MODEL) == ()


async def test_what_is_kept_is_bounded() -> None:
    """The list asked for first is the first to go."""
    upstream = FakeUpstream()
    offers = EndpointOffers(upstream=upstream, clock=FakeClock())
    models = [fake_model(f"acme/{n}", price=PRICED_MODEL.price) for n in range(LISTS_MAX + 1)]
    for model in models:
        await offers.of(model)
    await offers.of(models[-1])
    assert len(upstream.asked_for_endpoints) == LISTS_MAX + 1
    await offers.of(models[0])
    assert len(upstream.asked_for_endpoints) == LISTS_MAX + 2


async def test_few_lists_are_asked_for_at_once() -> None:
    """Whoever comes when there are enough goes on at the listed price, without waiting."""
    upstream = Slow()
    offers = EndpointOffers(upstream=upstream, clock=FakeClock())
    models = [fake_model(f"acme/{n}", price=PRICED_MODEL.price) for n in range(ASKING_MAX + 1)]
    async with asyncio.TaskGroup() as tasks:
        asks = [tasks.create_task(offers.of(model)) for model in models[:-1]]
        await asyncio.sleep(0)
        assert await offers.of(models[-1]) == ()
        upstream.let.set()
    assert {task.result() for task in asks} == {SERVED}
    assert len(upstream.asked_for_endpoints) == ASKING_MAX
    assert await offers.of(models[-1]) == SERVED


async def test_a_clock_that_goes_back_keeps_no_list_longer() -> None:
    """Five minutes are five minutes of time that has passed."""
    clock, upstream = FakeClock(), Slow()
    upstream.let.set()
    offers = EndpointOffers(upstream=upstream, clock=clock)
    await offers.of(PRICED_MODEL)
    clock.step(-3_600)
    clock.advance(ENDPOINTS_FRESH_MS / 1_000)
    await offers.of(PRICED_MODEL)
    assert len(upstream.asked_for_endpoints) == 2
