"""When an escrow next needs its driver: the one queue of timers is computed from the row.

A costed one has no timer: it waits for the node, and is asked for again with all that is
unfinished. Thousands of them beside a node that is away must not stand before those whose time
has come.

Must not know: who polls it, or the time now.
"""

from __future__ import annotations

from service.domain.escrow_record import Escrow, EscrowState
from service.domain.retention import HOUR_MS, Retention

# The node's own watcher cancels at expiry; we ask a little later, and believe only its answer.
EXPIRY_GRACE_MS = 1_000


def due_at_ms(escrow: Escrow, retention: Retention) -> int | None:
    """The earliest of this escrow's timers in Unix ms; None when nothing is left to do.

    One in quarantine has none: it waits for the operator.
    """
    if escrow.quarantine is not None:
        return None
    timers = [escrow.lookup_at_ms, _state_timer_ms(escrow, retention)]
    return min((timer for timer in timers if timer is not None), default=None)


def gives_up_at_ms(escrow: Escrow, retention: Retention) -> int:
    """When an unexplained reservation on the budget counts as spent."""
    return escrow.opened_at_ms + retention.cost_ms + HOUR_MS


def _state_timer_ms(escrow: Escrow, retention: Retention) -> int | None:
    match escrow.state:
        case EscrowState.OPENED:
            return escrow.opened_at_ms + retention.abandoned_ms
        case EscrowState.INVOICED if escrow.invoice is not None:
            return escrow.invoice.expires_at_s * 1_000 + EXPIRY_GRACE_MS
        case EscrowState.FAILED if escrow.budget_held_pusd:
            return gives_up_at_ms(escrow, retention)
        case EscrowState.SETTLED | EscrowState.RELEASED | EscrowState.EXPIRED:
            return escrow.keep_until_ms
        case _:
            return None
