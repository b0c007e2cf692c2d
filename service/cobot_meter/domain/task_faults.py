"""What a task's seller is refused for: errors of the caller, told apart by their codes.

CallerFault
├── TaskNotAllowed         the operator has not trusted this caller with tasks
├── TaskNotOpen            it is closed, given up, or its time is over
├── TaskBusy               a run of it is under way, or its cost is still being found out
├── TaskUnanswered         it is closed before anything was sealed for its buyer
├── TaskKeyInvalid         no such task, or its seller's key names nobody any more
└── TaskCeilingReached     what this run may cost at most is more than what is left
"""

from __future__ import annotations

from cobot_meter.domain.errors import CallerFault


class TaskNotAllowed(CallerFault):
    """What runs of a task make is handed out unpaid: the operator says to whom."""

    code = "task_not_allowed"


class TaskNotOpen(CallerFault):
    """Nothing more can be run or sealed in it."""

    code = "task_closed"


class TaskBusy(CallerFault):
    """Runs of a task go one after the other."""

    code = "task_busy"


class TaskUnanswered(CallerFault):
    """There is nothing yet that its buyer could get."""

    code = "task_unanswered"


class TaskKeyInvalid(CallerFault):
    """A task's key that opens nothing here."""

    code = "invalid_task_key"


class TaskCeilingReached(CallerFault):
    """The run does not fit in what is left of the ceiling; amounts in msat."""

    code = "task_ceiling_reached"

    def __init__(
        self, message: str, *, left_msat: int, needed_msat: int, fits_max_tokens: int
    ) -> None:
        """`fits_max_tokens` is the `max_tokens` with which it would fit, 0 where none would."""
        super().__init__(message)
        self.left_msat = left_msat
        self.needed_msat = needed_msat
        self.fits_max_tokens = fits_max_tokens
