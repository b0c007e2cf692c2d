"""When something of a sale is due by itself: computed from its row and its run's (`due_of_run`).

Must not know: who drives what is due.
"""

from __future__ import annotations

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import STATES, EscrowState, Mode, Timer
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.run.record import due_of_run

# The node's own watcher cancels at expiry; we ask a little later, and believe only its answer.
EXPIRY_GRACE_MS = 1_000
# A panel hears of none of its runs: whoever asked them prices it. Should nobody, it is looked at.
PANEL_AGAIN_MS = 600_000


def due_at_ms(escrow: Escrow) -> int | None:
    """The earliest of the sale's own timers in Unix ms; None when nothing is left to do.

    One in quarantine has none, and neither has its run: it waits for the operator.
    """
    if escrow.quarantine is not None:
        return None
    if escrow.task is not None and escrow.state is EscrowState.RUNNING:
        return escrow.task.ends_at_ms
    if escrow.mode is Mode.PANEL and escrow.state is EscrowState.RUNNING:
        return escrow.opened_at_ms + PANEL_AGAIN_MS
    match STATES[escrow.state].timer:
        case Timer.EXPIRY if escrow.invoice is not None:
            return escrow.invoice.expires_at_s * 1_000 + EXPIRY_GRACE_MS
        case Timer.KEEP:
            return escrow.keep_until_ms
        case _:
            return None


def next_timer_ms(escrow: Escrow, retention: Retention) -> int | None:
    """The earliest timer of the sale and its run in Unix ms; None when nothing is left to do.

    Where the sale is looked at from a run that it no longer lives by, that run's alone count.
    """
    if escrow.looks_back:
        return due_of_run(escrow.run, retention)
    timers = (due_at_ms(escrow), due_of_run(escrow.run, retention))
    return min((timer for timer in timers if timer is not None), default=None)
