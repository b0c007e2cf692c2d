"""Several processes on the same books: nobody's running request is declared lost by another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.domain.errors import OutcomeUnknown
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.flows.sale.ask_completion import AnswerKind
from tests.fakes.books import Crash, Killed, Moment
from tests.fakes.upstream_outcomes import FAKE, Completes
from tests.flows.rigs.process import Process
from tests.flows.rigs.stories import COST, Stage, ask_of, end
from tests.flows.rigs.story_book import STORIES
from tests.flows.sale.test_crash_points import commits_of, prove_sound, staged

S = Progress


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """One process is started; tests start another."""
    async with staged(tmp_path / "node") as begun:
        begun.lasting.upstream.usually = Completes(cost=COST)
        yield begun


async def another(stage: Stage) -> Process:
    """A second process on the same books; its start recovers."""
    process = Process(stage.lasting)
    await process.start()
    return process


def states(stage: Stage) -> list[Progress]:
    """Where every escrow stands."""
    return [escrow.progress for escrow in stage.books.rows.escrows.values()]


async def asked_and_waiting(stage: Stage) -> asyncio.Task[object]:
    """The first process has asked the upstream, which does not answer yet."""
    stage.lasting.upstream.open.clear()
    task: asyncio.Task[object] = asyncio.ensure_future(
        stage.process.ask_completion.answer(ask_of())
    )
    await stage.lasting.upstream.reached.wait()
    return task


async def test_a_start_leaves_anothers_running_request_alone(stage: Stage) -> None:
    """A second process starts, recovers and ticks while the first one waits for the upstream."""
    answer = await asked_and_waiting(stage)
    other = await another(stage)
    await other.recover.unfinished()
    await other.runs.finish()
    assert states(stage) == [Progress.REQUESTED]
    stage.lasting.upstream.open.set()
    await answer
    assert states(stage) == [S.INVOICED]
    assert stage.lasting.upstream.posts == 1


async def test_the_same_ask_elsewhere_waits_for_the_first(stage: Stage) -> None:
    """Asked again at another process it is the same invoice, and one run."""
    first = await asked_and_waiting(stage)
    other = await another(stage)
    second = asyncio.ensure_future(other.ask_completion.answer(ask_of()))
    await asyncio.sleep(0)
    stage.lasting.upstream.open.set()
    await first
    answer = await second
    assert answer.kind is AnswerKind.CHALLENGE
    assert answer.escrow == stage.escrow
    assert stage.lasting.upstream.posts == 1


async def test_who_is_killed_is_found_out_by_the_living(stage: Stage) -> None:
    """Once the asker is gone, another process books the outcome as unknown, and nothing twice."""
    answer = await asked_and_waiting(stage)
    other = await another(stage)
    await stage.process.kill()
    answer.cancel()
    await asyncio.wait((answer,))
    await other.recover.unfinished()
    await other.runs.finish()
    assert stage.escrow.progress is S.FAILED
    assert stage.escrow.failure is not None
    assert stage.escrow.failure.code == "outcome_unknown"
    assert stage.lasting.upstream.posts == 1


async def test_what_another_process_ended_is_off_our_count(stage: Stage) -> None:
    """Taken for dead, and back: what its run could cost counts against our credit no more."""
    answer = await asked_and_waiting(stage)
    other = await another(stage)
    stage.process.replicas.die()
    await other.recover.unfinished()
    await other.runs.finish()
    assert stage.escrow.progress is S.FAILED
    stage.lasting.upstream.open.set()
    with pytest.raises(OutcomeUnknown):
        await answer
    await stage.process.watch_account.look()
    assert stage.process.watch_account.by_upstream[FAKE].in_flight_pusd == 0


async def test_two_that_start_the_same_escrow_send_it_once(stage: Stage) -> None:
    """Opened by a process that died, driven by two others at once: one of them sends it."""
    stage.lasting.turns_free = False
    stage.process.mortal.crash = Crash(moment=Moment.AFTER)
    with pytest.raises(Killed):
        await stage.process.ask_completion.answer(ask_of())
    assert states(stage) == [Progress.OPENED]
    await stage.process.kill()
    one, two = Process(stage.lasting), Process(stage.lasting)
    runs = [process.runs.start(stage.escrow.escrow_id) for process in (one, two)]
    await asyncio.gather(*runs)
    await one.runs.finish()
    await two.runs.finish()
    assert stage.lasting.upstream.posts == 1
    assert stage.escrow.run.requested_by in {one.replicas.own_id, two.replicas.own_id}
    stage.process = one
    await one.recover.unfinished()
    await one.runs.finish()
    assert states(stage) == [S.INVOICED]


@pytest.mark.parametrize("moment", list(Moment))
async def test_a_replica_that_dies_at_any_commit_is_followed_by_another(
    moment: Moment, tmp_path: Path
) -> None:
    """Every commit of a purchase, killed on this side of it, and no start that would recover."""
    steps = STORIES["bought"]
    for number in range(await commits_of(tmp_path / "counted", steps)):
        async with staged(tmp_path / f"{number}") as stage:
            other = await another(stage)
            stage.process.mortal.crash = Crash(moment=moment, commits=number)
            for step in (*steps, end):
                try:
                    await step(stage)
                except Killed:
                    await stage.process.kill()
                    stage.process = other
                    await other.recover.unfinished()
                    await other.runs.finish()
                    await step(stage)
            await prove_sound(stage)
            assert stage.process is other
            assert stage.lasting.upstream.posts <= len(stage.books.rows.escrows)
