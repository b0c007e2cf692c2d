"""What a task has beside any other sale: who sells it, until when it is open, how it was closed.

A task is one sale of many runs. Its seller asks them, reads every answer at once and seals one of
its own; its buyer pays for all of them together and gets that one. Must not know: the sale itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.run.record import Failure

# The model of a task's quote, and what its runs give as the reason that they ask another one.
OF_A_TASK = "task"
# The upstream of the run that a task opens with: it is never asked.
ASKS_NOBODY = "nobody"
# What a task is called until it is closed or over.
OPEN_TASK = "open"
# Whatever concerns all runs of a sale reads and writes them all, so there is an end to them.
RUNS_MAX = 256

GIVEN_UP = Failure(code="task_given_up", message="The seller has given this task up.")
TIME_OVER = Failure(
    code="task_time_over",
    message="Nobody closed this task within its time, so nothing of it is for sale.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTerms:
    """What is fixed when a task opens.

    `seller_id` is the caller whose operator-given cap bounds it, `seller_key_id` the API key that
    has to stay live for its runs. `max_fee_msat` bounds what the seller may add for itself, and
    at `ends_at_ms` (Unix milliseconds) a task that nobody has closed is over.
    """

    seller_id: str
    seller_key_id: str
    max_fee_msat: int
    ends_at_ms: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskClosing:
    """How its seller closed it: with which fee, and how many costs were provisional then."""

    fee_msat: int
    provisional_runs: int
