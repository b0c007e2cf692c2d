"""Several processes on the same books: nobody ends a panel, or a part of it, that another asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.flows.sale.ask_completion import Ask
from tests.fakes.upstream_outcomes import Completes
from tests.flows.panel.test_panel_crashes import (
    ANSWER,
    FIRST,
    checked_ask,
    members,
    panel_ask,
)
from tests.flows.rigs.process import Process
from tests.flows.rigs.stories import end
from tests.flows.sale.test_crash_points import prove_sound, staged


@pytest.mark.parametrize(("asked", "posts"), [(panel_ask(), 3), (checked_ask(), 2)])
async def test_a_process_that_recovers_leaves_anothers_panel_alone(
    asked: Ask, posts: int, tmp_path: Path
) -> None:
    """Some have answered, one is awaited or was never asked: it is all still that process's."""
    gate = asyncio.Event()
    held = Completes(answer=ANSWER, cost="0.0000300", gate=gate)
    poor = Completes(answer="no JSON", cost="0.0000200")
    first = FIRST if asked.request.asks_panel else poor
    async with staged(tmp_path / "node") as stage:
        await members(first, held, Completes(answer=ANSWER, cost="0"))(stage)
        answer = asyncio.ensure_future(stage.process.ask_completion.answer(asked))
        async with asyncio.timeout(5):
            while stage.lasting.upstream.posts < posts:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        other = Process(stage.lasting)
        await other.start()
        await other.recover.unfinished()
        await other.runs.finish()
        assert [one.state for one in stage.books.rows.escrows.values()] == [EscrowState.RUNNING]
        assert [run.failure for run in stage.escrow.runs] == [None] * len(stage.escrow.runs)
        gate.set()
        await answer
        assert stage.escrow.state is EscrowState.INVOICED
        assert len(stage.lasting.upstream.runs) == posts
        stage.lasting.clock.advance(3_600)
        await stage.process.tick()
        await stage.process.runs.finish()
        await end(stage)
        await prove_sound(stage)
