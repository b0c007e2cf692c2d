"""The tables of a sale: which event may follow which state, in each mode.

What an event sets is in `machine.py`, and what it books in `bookings.py`; the diagram of the
documentation is drawn from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import EscrowState, Mode
from cobot_meter.domain.run import events as ran

S = EscrowState
# Where the operator ends what cannot be booked.
WRITTEN_OFF: Mapping[EscrowState, EscrowState] = {
    S.RUNNING: S.FAILED,
    S.PRICED: S.FAILED,
    S.INVOICED: S.EXPIRED,
    S.SETTLED: S.REFUNDED,
    **{state: state for state in (S.RELEASED, S.FAILED, S.EXPIRED, S.REFUNDED)},
}

Table = Mapping[tuple[EscrowState, type[on.EscrowEvent]], EscrowState]

_ENDED_BY_ITS_RUN: Table = {
    (S.RUNNING, ran.Abandoned): S.FAILED,
    (S.RUNNING, ran.RunFailed): S.FAILED,
    (S.RUNNING, ran.RunOutcomeUnknown): S.FAILED,
    (S.RUNNING, ran.FellBack): S.RUNNING,
    (S.RUNNING, ran.CostNotFound): S.FAILED,
}
_BY_INVOICE: Table = {
    (S.PRICED, on.InvoiceIssued): S.INVOICED,
    (S.PRICED, on.InvoiceLost): S.PRICED,
    (S.PRICED, on.InvoiceMakingRefused): S.FAILED,
    (S.INVOICED, on.InvoiceSettled): S.SETTLED,
    (S.INVOICED, on.InvoiceCanceled): S.EXPIRED,
}
_LATE: Table = {
    (S.EXPIRED, on.InvoiceSettled): S.EXPIRED,
    (S.EXPIRED, on.LatePurchase): S.SETTLED,
    (S.EXPIRED, on.BodiesShredded): S.EXPIRED,
}
_FROM_PAID_TO_OVER: Table = {
    (S.SETTLED, on.CompletionDelivered): S.RELEASED,
    (S.SETTLED, on.CompletionLost): S.REFUNDED,
    (S.SETTLED, on.ClaimLapsed): S.REFUNDED,
    (S.RELEASED, on.BodiesShredded): S.RELEASED,
}


def _operated(states: Iterable[EscrowState]) -> Table:
    """What the operator, and whoever cannot book it, may say in each of these states."""
    return {
        (state, event): after
        for state in states
        for event, after in (
            (on.QuarantineBegun, state),
            (on.QuarantineLifted, state),
            (on.WrittenOff, WRITTEN_OFF[state]),
        )
    }


# It runs first, and waits for the payment of its invoice.
TRANSITIONS: Table = {
    (S.RUNNING, ran.CostKnown): S.PRICED,
    **_ENDED_BY_ITS_RUN,
    (S.PRICED, on.CoveredByCredit): S.SETTLED,
    **_BY_INVOICE,
    **_FROM_PAID_TO_OVER,
    **_LATE,
    **_operated(S),
}
# What it may cost is reserved of the caller's credit, so that it needs no invoice. What the answer
# says that it cost is captured with it; where it says nothing, it is found as of any other.
CREDIT_TRANSITIONS: Table = {
    (S.RUNNING, on.ReservationExtended): S.RUNNING,
    (S.RUNNING, ran.CompletionCosted): S.RELEASED,
    (S.RUNNING, ran.CostKnown): S.PRICED,
    **_ENDED_BY_ITS_RUN,
    (S.PRICED, on.CoveredByCredit): S.SETTLED,
    **_FROM_PAID_TO_OVER,
    **_operated((S.RUNNING, S.PRICED, S.SETTLED, S.RELEASED, S.FAILED, S.REFUNDED)),
}
# Its runs are answered one after the other while it is open; what they cost together is priced when
# its seller closes it, and from then on it is sold like one that has run first.
TASK_TRANSITIONS: Table = {
    (S.RUNNING, on.TaskRunBegun): S.RUNNING,
    (S.RUNNING, ran.CompletionCosted): S.RUNNING,
    (S.RUNNING, ran.CostKnown): S.RUNNING,
    (S.RUNNING, ran.CostConfirmed): S.RUNNING,
    (S.RUNNING, on.TaskAnswered): S.RUNNING,
    (S.RUNNING, on.TaskClosed): S.PRICED,
    (S.RUNNING, on.TaskEnded): S.FAILED,
    **_BY_INVOICE,
    **_FROM_PAID_TO_OVER,
    **_LATE,
    **_operated(S),
}
# All its runs are requested as it opens; it hears of none of them until the last has ended, is
# priced by what those have cost that answered, and paid for from credit or by invoice.
PANEL_TRANSITIONS: Table = {
    (S.RUNNING, on.PanelAnswered): S.RUNNING,
    (S.RUNNING, on.PanelPriced): S.PRICED,
    (S.RUNNING, on.PanelEnded): S.FAILED,
    (S.PRICED, on.CoveredByCredit): S.SETTLED,
    **_BY_INVOICE,
    **_FROM_PAID_TO_OVER,
    **_LATE,
    **_operated(S),
}
TABLES: Mapping[Mode, Table] = {
    Mode.ESCROW: TRANSITIONS,
    Mode.CREDIT: CREDIT_TRANSITIONS,
    Mode.TASK: TASK_TRANSITIONS,
    Mode.PANEL: PANEL_TRANSITIONS,
}
# What a sale hears of its run. A run of a task that fails is no end of it, and a cost that is
# confirmed changes what is left of its ceiling while it is open (`hears`).
HEARD = frozenset(event for table in (TRANSITIONS, CREDIT_TRANSITIONS) for _, event in table)
_OF_ITS_RUN_ALONE = frozenset({ran.RunFailed, ran.RunOutcomeUnknown, ran.CostNotFound})


def hears(mode: Mode, state: EscrowState, event: type[on.EscrowEvent]) -> bool:
    """Whether a sale in this state hears an event of its run; others leave its row alone."""
    if mode is Mode.PANEL:
        return False
    if mode is not Mode.TASK:
        return event in HEARD
    if event is ran.CostConfirmed:
        return state is S.RUNNING
    return event in HEARD and event not in _OF_ITS_RUN_ALONE
