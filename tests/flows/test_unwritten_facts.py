"""A finished run waits in memory for books that are away, and nobody else does."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any, cast

import pytest

from cobot_meter.background.wake_hub import WakeHub
from cobot_meter.domain.errors import BooksBusy
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.flows.record_event import BUSY_DELAYS_S, WRITTEN_EVERY_S, RecordEvent
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.unwritten_facts import UnwrittenFacts
from cobot_meter.ports.books import Applied, Books
from tests.contracts.books.books_samples import RETENTION, Sale, opened
from tests.fakes.books import FakeBooks
from tests.fakes.clock import FakeClock
from tests.fakes.upstream_outcomes import Completes, Failed, Outcome, Unknown
from tests.flows.rigs.stories import ask
from tests.flows.sale.test_crash_points import staged

FAIL_OVER_S = 120
FOR_EVER = 10**9
ENDS = {
    "an answer": (Completes(), Progress.INVOICED),
    "a failure with its cost": (Failed(cost="0.00001", says_cost=True), Progress.FAILED),
    "a cut stream": (Unknown(), Progress.FAILED),
}


@pytest.mark.parametrize("name", ENDS)
async def test_no_finished_run_is_lost_in_a_fail_over(tmp_path: Path, name: str) -> None:
    """Books that are away while the upstream answers, for two minutes: one run, booked whole."""
    outcome, state = ENDS[name]
    assert isinstance(outcome, Outcome)
    async with staged(tmp_path / "node") as stage:
        upstream = stage.lasting.upstream
        upstream.then(outcome)
        upstream.open.clear()
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(ask(stage))
            await upstream.reached.wait()
            stage.books.busy = int(FAIL_OVER_S / WRITTEN_EVERY_S)
            upstream.open.set()
            await asking
        assert stage.books.busy == 0
        assert stage.escrow.progress is state
        assert stage.escrow.run.generation_id == upstream.runs[0].generation_id
        await ask(stage)
        assert (len(stage.books.rows.escrows), upstream.posts) == (1, 1)
        assert (
            stage.process.record_event.unwritten.count
            == stage.process.record_event.unwritten.bytes
            == 0
        )


async def test_who_asks_meanwhile_hears_at_once_and_nothing_is_spent(tmp_path: Path) -> None:
    """No new run begins while the books are away, and nobody waits for them in a request."""
    async with staged(tmp_path / "node") as stage:
        began_ms = stage.lasting.clock.now_ms()
        stage.books.busy = FOR_EVER
        await ask(stage)
        assert isinstance(stage.fault, BooksBusy)
        assert stage.lasting.clock.now_ms() - began_ms <= 1_000
        assert stage.lasting.upstream.posts == 0


async def test_at_the_bound_nothing_new_is_sold(tmp_path: Path) -> None:
    """While as much is kept as may be, a new ask is refused before it costs anything."""
    async with staged(tmp_path / "node") as stage:
        unwritten = stage.process.record_event.unwritten = UnwrittenFacts(at_most=1)
        sale = Sale(FakeBooks(), opened("esc_other"))
        await sale.open()
        with unwritten.keeping(sale.transitions[0]):
            await ask(stage)
            assert isinstance(stage.fault, BooksBusy)
            assert "1 finished answers" in stage.fault.message
            assert stage.lasting.upstream.posts == 0
        await ask(stage)
        assert stage.fault is None


def test_bytes_are_a_bound_of_their_own() -> None:
    """Few large answers are as much as many small ones."""
    unwritten = UnwrittenFacts(bytes_max=10)
    unwritten.refuse_more()
    unwritten.bytes = 10
    with pytest.raises(BooksBusy):
        unwritten.refuse_more()


class Unheard:
    """Books that write, and whose answer to one kind of entry is lost `times` times."""

    def __init__(self, books: Books, kind: str, times: int) -> None:
        """Everything else is answered."""
        self._books = books
        self._kind = kind
        self.times = times

    async def apply(self, transition: Transition) -> Applied:
        applied = await self._books.apply(transition)
        if transition.kind == self._kind and self.times:
            self.times -= 1
            raise BooksBusy("nobody hears whether it is written")
        return applied

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - every read of the port
        return getattr(self._books, name)


async def test_a_commit_whose_answer_is_lost_is_told_all_the_same() -> None:
    """Metrics, the log and what counts our credit hear of it, once, when it is said again."""
    told: list[Transition] = []
    recorder = RecordEvent(
        books=cast("Books", Unheard(FakeBooks(), "opened", 1)),
        wakes=WakeHub(),
        clock=FakeClock(leaping=True),
        retention=RETENTION,
        release_gate=ReleaseGate(),
        observe=told.append,
    )
    sale = Sale(FakeBooks(), opened("esc_1"))
    await sale.open()
    opening = sale.transitions[0]
    await recorder.apply(opening)
    assert told == [opening]
    await recorder.apply(opening)
    assert told == [opening]


@pytest.mark.parametrize("times", [1, len(BUSY_DELAYS_S) + 1])
@pytest.mark.parametrize(
    "kind", ["generation_started", "completion_received", "cost_known", "invoice_issued"]
)
async def test_what_was_written_unheard_loses_no_answer(
    tmp_path: Path, kind: str, times: int
) -> None:
    """Whichever commit of a sale is not heard of, and however long: one run, one invoice for it."""
    async with staged(tmp_path / "node") as stage:
        mortal = stage.process.mortal
        unheard = Unheard(mortal._books, kind, times)
        mortal._books = cast("Books", unheard)
        for _ in range(3):
            with contextlib.suppress(BooksBusy):
                await ask(stage)
            with contextlib.suppress(BooksBusy):
                await stage.process.tick()
        assert unheard.times == 0
        assert (len(stage.books.rows.escrows), stage.lasting.upstream.posts) == (1, 1)
        assert stage.escrow.progress is Progress.INVOICED
        assert (
            stage.process.record_event.unwritten.count
            == stage.process.record_event.unwritten.bytes
            == 0
        )
