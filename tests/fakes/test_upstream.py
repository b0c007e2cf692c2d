"""What the upstream in memory offers beyond the port: scripts, gates and look-up faults."""

from __future__ import annotations

import asyncio

import pytest

from cobot_meter.domain.errors import CostNotYetKnown, OutcomeUnknown, UpstreamUnreachable
from cobot_meter.domain.upstream.completions import UpstreamCompletion
from tests.contracts.upstream.answer_feeds import whole
from tests.contracts.upstream.upstream_bench import Heard, ask
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import (
    FAKE,
    FREE_MODEL,
    NEVER,
    PRICED_MODEL,
    Completes,
    Unknown,
    Unreachable,
)


async def run(upstream: FakeUpstream) -> UpstreamCompletion:
    """One run of the priced model."""
    return await whole(
        upstream.complete(ask(PRICED_MODEL), price_cap=PRICED_MODEL.price, on_started=Heard())
    )


async def test_script_is_played_in_order() -> None:
    """Scripted outcomes come in order, then the usual one again."""
    upstream = FakeUpstream(usually=Completes(answer="as usual"))
    upstream.then(Unreachable(), Completes(answer="scripted"))
    with pytest.raises(UpstreamUnreachable):
        await run(upstream)
    assert b"scripted" in (await run(upstream)).body
    assert b"as usual" in (await run(upstream)).body
    assert (upstream.posts, len(upstream.runs)) == (3, 2)


@pytest.mark.parametrize("lost", [False, True])
async def test_gate_holds_a_run_that_has_begun(lost: bool) -> None:  # noqa: FBT001
    """A gated run is charged and named, and its answer waits for the gate."""
    gate = asyncio.Event()
    upstream = FakeUpstream()
    upstream.then(Unknown(gate=gate) if lost else Completes(gate=gate))
    heard = Heard()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_outcome(upstream, heard))
        while not heard.ids:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert not task.done()
        assert upstream.spent_pusd > 0
        gate.set()
    assert task.result() is lost


async def _outcome(upstream: FakeUpstream, heard: Heard) -> bool:
    """Whether the run's outcome is unknown."""
    try:
        await whole(
            upstream.complete(ask(PRICED_MODEL), price_cap=PRICED_MODEL.price, on_started=heard)
        )
    except OutcomeUnknown:
        return True
    return False


async def test_record_can_be_kept_back() -> None:
    """A record that never appears does so when the test says."""
    upstream = FakeUpstream(usually=Completes(lookups_before_record=NEVER))
    completion = await run(upstream)
    for _ in range(5):
        with pytest.raises(CostNotYetKnown):
            await upstream.generation_cost(completion.generation_id, upstream=FAKE)
    upstream.record_appears(completion.generation_id)
    assert (await upstream.generation_cost(completion.generation_id, upstream=FAKE)).cost_pusd > 0


async def test_lookups_can_fail() -> None:
    """Scripted look-up faults come first, in order."""
    upstream = FakeUpstream()
    completion = await run(upstream)
    upstream.lookups_fail(UpstreamUnreachable("no"), CostNotYetKnown("busy", retry_after_s=3))
    with pytest.raises(UpstreamUnreachable):
        await upstream.generation_cost(completion.generation_id, upstream=FAKE)
    with pytest.raises(CostNotYetKnown):
        await upstream.generation_cost(completion.generation_id, upstream=FAKE)
    await upstream.generation_cost(completion.generation_id, upstream=FAKE)


async def test_free_model_costs_nothing() -> None:
    """A run of a free model is charged 0, without a script."""
    upstream = FakeUpstream()
    completion = await whole(
        upstream.complete(ask(FREE_MODEL), price_cap=FREE_MODEL.price, on_started=Heard())
    )
    assert completion.inline_cost == "0"
    assert upstream.spent_pusd == 0
