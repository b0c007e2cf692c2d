"""What books promise of tasks, whoever keeps them: bounds under many at once, and who is first."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from cobot_meter.domain.errors import Conflict, ExposureExceeded, MovedOn
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Mode
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import CostAccount, run_id_of
from cobot_meter.domain.transitions.escrows import escrow_transition, next_run_transition
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import Applied, Books
from tests.domain.samples import (
    NOW_MS,
    RETENTION,
    SELLER,
    TERMS,
    Shape,
    completion_costed,
    cost_of,
    invoice_issued,
    opened,
    opening_of,
    settled,
    task_closed,
    task_run_begun,
)

CAP_MSAT = 60_000
FEE_MSAT = 1_000
ANSWERED = on.TaskAnswered(answer_sha256="a5" * 32)


def task(number: int = 1) -> Transition:
    """A task of at most 10,000 and a fee of 1,500, under a cap of 60,000."""
    shape = Shape(
        escrow_id=f"esc_{number}",
        caller_id=f"c_buyer{number}",
        newcomer=False,
        mode=Mode.TASK,
        max_fee=1_500,
    )
    return opening_of(opened(shape), cap_msat=CAP_MSAT)


def begun(
    escrow: Escrow, *, call: str = "c_call", most: int = 4_000, route: str | None = None
) -> Transition:
    """Another run of it."""
    event = replace(task_run_begun(escrow, most, route=route), call=call)
    return next_run_transition(escrow, event, at_ms=NOW_MS, retention=RETENTION, terms=TERMS)


async def told(books: Books, event: on.EscrowEvent, run_id: str = "esc_1") -> Applied:
    """An event of the task, with all runs at hand, looked at from one of them where it is named."""
    found = await books.escrow("esc_1")
    assert found is not None
    found = found.with_runs(await books.runs_of("esc_1"))
    if run_id != "esc_1":
        found = found.seen_from(run_id)
    return await books.apply(escrow_transition(found, event, at_ms=NOW_MS, retention=RETENTION))


async def asked(books: Books, cost: int) -> None:
    """One run more, answered at this provisional cost."""
    found = await books.escrow("esc_1")
    assert found is not None
    await books.apply(begun(found))
    found = await books.escrow("esc_1")
    assert found is not None
    await told(books, completion_costed(found, cost))


async def sold_task(books: Books) -> Escrow:
    """A task of two runs, all the way to its release."""
    await books.apply(task())
    await asked(books, 3_000)
    await asked(books, 2_500)
    await told(books, ANSWERED)
    for made in (task_closed, invoice_issued, settled):
        found = await books.escrow("esc_1")
        assert found is not None
        await told(books, made(found))
    released = (await told(books, on.CompletionDelivered())).escrow
    assert released is not None
    return replace(released, others=())


class BooksTasks:
    """Tasks, one at a time and many at once."""

    async def test_many_tasks_at_once_stay_within_the_sellers_cap(self, books: Books) -> None:
        """Of forty as many open as fit, ceiling and fee, and the others are refused whole."""
        outcomes = await asyncio.gather(
            *(books.apply(task(number)) for number in range(40)), return_exceptions=True
        )
        kinds = Counter(type(outcome) for outcome in outcomes)
        assert kinds == {Applied: 5, ExposureExceeded: 35}  # 5 × 11,500 of 60,000
        standing = await books.standing(SELLER)
        assert standing.open_msat == 57_500
        assert len(await books.open_tasks(SELLER, limit=100)) == 5
        assert await books.open_tasks("c_else", limit=100) == ()

    async def test_of_two_runs_that_begin_at_once_one_does(self, books: Books) -> None:
        """Whoever is late finds that the task has moved on, and sends nothing."""
        opened_now = (await books.apply(task())).escrow
        assert opened_now is not None
        calls = [begun(opened_now, call=f"c_{number}") for number in range(8)]
        outcomes = await asyncio.gather(*map(books.apply, calls), return_exceptions=True)
        assert sum(isinstance(outcome, Applied) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 7
        assert len(await books.runs_of("esc_1")) == 2
        first = next(call for call, out in zip(calls, outcomes, strict=True) if _done(out))
        again = await books.apply(first)
        assert again.repeated
        assert again.escrow is not None
        assert again.escrow.run == (await books.runs_of("esc_1"))[1]

    async def test_a_cost_of_an_earlier_run_and_another_run_do_not_pass_the_ceiling(
        self, books: Books
    ) -> None:
        """Both are told of the same row: one of them has to look again."""
        await books.apply(task())
        await asked(books, 3_000)
        found = await books.escrow("esc_1")
        assert found is not None
        confirmed = ran.CostConfirmed(cost=cost_of(3_900))
        late = escrow_transition(found, confirmed, at_ms=NOW_MS, retention=RETENTION)
        outcomes = await asyncio.gather(
            books.apply(begun(found, most=7_000)), books.apply(late), return_exceptions=True
        )
        assert sum(_done(outcome) for outcome in outcomes) == 1
        assert any(isinstance(outcome, MovedOn) for outcome in outcomes)

    async def test_a_confirmation_of_an_earlier_run_moves_the_sum(self, books: Books) -> None:
        """While the task is open; the answer is looked at from that run."""
        await books.apply(task())
        await asked(books, 3_000)
        await asked(books, 2_500)
        first = run_id_of("esc_1", 2)
        confirmed = await told(books, ran.CostConfirmed(cost=cost_of(3_400)), first)
        assert confirmed.escrow is not None
        assert confirmed.escrow.looks_back
        found = await books.escrow("esc_1")
        assert found is not None
        assert found.priced_pusd == 5_900

    async def test_what_is_said_of_its_invoice_is_said_of_every_run(self, books: Books) -> None:
        """One commit moves them all; read back they are what the domain made of them."""
        await books.apply(task())
        await asked(books, 3_000)
        await asked(books, 2_500)
        await told(books, ANSWERED)
        found = await books.escrow("esc_1")
        assert found is not None
        await told(books, task_closed(found))
        found = await books.escrow("esc_1")
        assert found is not None
        assert found.closing is not None
        await told(books, invoice_issued(found))
        found = await books.escrow("esc_1")
        assert found is not None
        assert await books.open_tasks(SELLER, limit=9) == ()
        await told(books, settled(found))
        found = await books.escrow("esc_1")
        assert found is not None
        assert found.state is EscrowState.SETTLED
        runs = await books.runs_of("esc_1")
        assert [run.budget_held_pusd for run in runs] == [0, 0, 0]
        assert {run.cost_account for run in runs} == {CostAccount.UPSTREAM}
        await told(books, on.CompletionDelivered())
        assert (await books.standing(SELLER)).available_msat == 1_000

    async def test_a_run_without_room_on_the_day_is_refused_whole(self, books: Books) -> None:
        """The task is as it was."""
        found = (await books.apply(task())).escrow
        assert found is not None
        narrow = replace(TERMS, proven_day_pusd=3_999)
        event = task_run_begun(found)
        with pytest.raises(ExposureExceeded) as exceeded:
            await books.apply(
                next_run_transition(found, event, at_ms=NOW_MS, retention=RETENTION, terms=narrow)
            )
        assert exceeded.value.guard == "budget"
        assert await books.escrow("esc_1") == found


def _done(outcome: object) -> bool:
    return isinstance(outcome, Applied)
