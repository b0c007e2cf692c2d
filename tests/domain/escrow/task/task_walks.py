"""A task in each of its states, with runs of every kind behind it.

The ceiling is 10,000 and the highest fee 1,500. Its runs cost 3,000 (provisional) and 2,500, and
between them one failed of which nobody knows what it cost: 4,000 at most.
"""

from __future__ import annotations

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import Mode, Progress
from cobot_meter.domain.run import events as ran
from tests.domain.escrow.stages import PARKED, Stages
from tests.domain.escrow.walks import Walk
from tests.domain.samples import (
    FAILURE,
    Shape,
    canceled,
    completion_costed,
    invoice_issued,
    settled,
    task_closed,
    task_run_begun,
)

S = Progress
MAX_FEE = 1_500
FEE = 1_000
ANSWERED = on.TaskAnswered(answer_sha256="a5" * 32)


def opened_task() -> Walk:
    """Open, and nothing was asked."""
    return Walk(Shape(newcomer=False, mode=Mode.TASK, max_fee=MAX_FEE))


def running_task() -> Walk:
    """Open, and its first run is under way."""
    walk = opened_task()
    return walk.tell(task_run_begun(walk.escrow))


def asked(walk: Walk, cost: int, most: int = 4_000) -> Walk:
    """One run more that was answered."""
    walk.tell(task_run_begun(walk.escrow, most))
    return walk.tell(completion_costed(walk.escrow, cost))


def worked_task() -> Walk:
    """Open, with two answers and a failure between them; the answer is sealed."""
    walk = asked(opened_task(), 3_000)
    walk.tell(task_run_begun(walk.escrow))
    walk.tell(ran.RunOutcomeUnknown(failure=FAILURE))
    return asked(walk, 2_500).tell(ANSWERED)


def closed_task() -> Walk:
    """Priced at 5,500 and a fee of 1,000."""
    walk = worked_task()
    return walk.tell(task_closed(walk.escrow, FEE))


def invoiced_task() -> Walk:
    """With an invoice."""
    walk = closed_task()
    return walk.tell(invoice_issued(walk.escrow))


def settled_task() -> Walk:
    """Paid for."""
    walk = invoiced_task()
    return walk.tell(settled(walk.escrow))


def expired_task() -> Walk:
    """Nobody paid."""
    walk = invoiced_task()
    return walk.tell(canceled(walk.escrow))


TASK_STAGES: Stages = {
    S.OPENED: worked_task,
    S.COSTED: closed_task,
    S.INVOICED: invoiced_task,
    S.SETTLED: settled_task,
    S.RELEASED: lambda: settled_task().tell(on.CompletionDelivered()),
    S.FAILED: lambda: worked_task().tell(on.TaskEnded(failure=FAILURE)),
    S.EXPIRED: expired_task,
    S.REFUNDED: lambda: settled_task().tell(on.CompletionLost()),
}


def parked_task(state: Progress) -> Walk:
    """In this state and in quarantine."""
    return TASK_STAGES[state]().tell(PARKED)


def paid_late_task() -> Walk:
    """Paid after its invoice had lapsed."""
    walk = expired_task()
    return walk.tell(settled(walk.escrow))
