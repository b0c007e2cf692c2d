"""A run that is followed: all of its answer is heard, and what is committed is the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.flows.sale.ask_completion import AnswerKind
from cobot_meter.flows.sale.follow_run import FollowRun
from cobot_meter.ports.escrow_runs import Follower
from tests.contracts.upstream.answer_feeds import joined
from tests.fakes.books import Crash, Killed, Moment
from tests.fakes.upstream_outcomes import Completes, Unknown
from tests.flows.rigs.process import WAITS
from tests.flows.rigs.stories import COST, Stage, ask_of
from tests.flows.sale.test_crash_points import facts, restart, staged

TEXT = "Lightning settles in a second."


@pytest.fixture(params=[True, False], ids=["at once", "after its turn"])
async def stage(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A service where a run begins at once, or is stored first."""
    async with staged(tmp_path / "node", turns_free=request.param) as begun:
        yield begun


def follow_run(stage: Stage) -> FollowRun:
    """The flow as the process has it."""
    process = stage.process
    return FollowRun(books=process.books, runs=process.runs, wakes=stage.lasting.wakes, waits=WAITS)


async def follower_of(stage: Stage) -> Follower:
    """One who follows the newest escrow's run, which has been sent."""
    while not stage.lasting.upstream.runs:  # noqa: ASYNC110
        await asyncio.sleep(0)
    follower = follow_run(stage).follow(stage.escrow.escrow_id)
    assert follower is not None
    return follower


async def text_of(follower: Follower) -> str:
    """All that it hears."""
    said = [delta async for deltas in follower for delta in deltas.deltas]
    return str(joined(said).said.get("content", ""))


async def test_who_follows_hears_the_answer_that_is_sealed(stage: Stage) -> None:
    """Two follow, one leaves in the middle; the ask gets its challenge, and the books are sound."""
    gate = asyncio.Event()
    stage.lasting.upstream.usually = Completes(answer=TEXT, cost=COST, gate=gate)
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(stage.process.ask_completion.answer(ask_of()))
        staying, leaving = await follower_of(stage), await follower_of(stage)
        heard = tasks.create_task(text_of(staying))
        gate.set()
        first = await anext(leaving)
        await leaving.aclose()
    assert first.head["id"] == stage.lasting.upstream.runs[0].generation_id
    assert heard.result() == TEXT
    assert asked.result().kind is AnswerKind.CHALLENGE
    assert follow_run(stage).follow(stage.escrow.escrow_id) is None
    assert TEXT.encode() in await stage.process.vault.open_completion(stage.escrow.escrow_id)


async def test_to_follow_changes_nothing_in_the_books(stage: Stage, tmp_path: Path) -> None:
    """The same entries, balances and states as of a run that nobody follows."""
    gate = asyncio.Event()
    stage.lasting.upstream.usually = Completes(answer=TEXT, cost=COST, gate=gate)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.process.ask_completion.answer(ask_of()))
        heard = tasks.create_task(text_of(await follower_of(stage)))
        gate.set()
    assert heard.result() == TEXT
    turns_free = stage.lasting.turns_free
    async with staged(tmp_path / "another", turns_free=turns_free) as alone:
        alone.lasting.upstream.usually = Completes(answer=TEXT, cost=COST)
        await alone.process.ask_completion.answer(ask_of())
        await alone.process.runs.finish()
        assert facts(alone) == facts(stage)


async def test_what_was_lost_ends_what_is_followed(stage: Stage) -> None:
    """What came is heard, then the feed ends; that it was lost is the run's to say."""
    gate = asyncio.Event()
    stage.lasting.upstream.usually = Unknown(words=3, cost=COST, gate=gate)
    asked = asyncio.ensure_future(stage.process.ask_completion.answer(ask_of()))
    heard = asyncio.ensure_future(text_of(await follower_of(stage)))
    gate.set()
    assert await heard == "Lightning settles in "
    await asyncio.wait((asked,))
    assert asked.exception() is not None
    assert stage.escrow.progress is Progress.FAILED


async def test_a_run_that_a_restart_takes_up_can_be_followed(tmp_path: Path) -> None:
    """Stored and not yet sent when the process died: whoever asks again hears it all."""
    async with staged(tmp_path / "node", turns_free=False) as stage:
        gate = asyncio.Event()
        stage.lasting.upstream.usually = Completes(answer=TEXT, cost=COST, gate=gate)
        stage.process.mortal.crash = Crash(moment=Moment.AFTER, commits=0)
        with pytest.raises(Killed):
            await stage.process.ask_completion.answer(ask_of())
        assert stage.lasting.upstream.runs == []
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(restart(stage))
            heard = tasks.create_task(text_of(await follower_of(stage)))
            gate.set()
        assert heard.result() == TEXT
        await stage.process.runs.finish()
        assert stage.escrow.progress is Progress.INVOICED


async def test_nothing_to_follow_is_none(stage: Stage) -> None:
    """Of an escrow that nobody runs here there is nothing to hear."""
    assert follow_run(stage).follow("esc_of_nobody") is None
