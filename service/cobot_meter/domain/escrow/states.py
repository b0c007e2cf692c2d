"""The states of a sale, and what each of them means: said once, in one table.

Verdicts on requests, timers, what an audit expects, the conditions of indexes and what callers are
told are made of STATES. Which event leads from one state to another is in `machine.py`, and what
is booked on the way in `bookings.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass


class Mode(enum.StrEnum):
    """How a sale is paid for, which decides the table that it lives by."""

    ESCROW = "escrow"  # the completion runs first and is held until its invoice is paid
    CREDIT = "credit"  # credit pays for all of it: captured as soon as the answer is whole
    TASK = "task"  # many runs, answered to its seller at once; their sum is what its buyer pays
    PANEL = "panel"  # several models asked at once; the sum of those that answered is the price


# Whose price is that of several runs: a run that fails ends none of them.
SELLS_SEVERAL = frozenset({Mode.TASK, Mode.PANEL})


class EscrowState(enum.StrEnum):
    """The eight states of a sale; `docs/escrow-states.md` draws them."""

    RUNNING = "running"
    PRICED = "priced"
    INVOICED = "invoiced"
    SETTLED = "settled"
    RELEASED = "released"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUNDED = "refunded"


class Progress(enum.StrEnum):
    """How far an escrow is in one word, for whoever asks: its run's state while that goes on."""

    OPENED = "opened"
    REQUESTED = "requested"
    GENERATED = "generated"
    COSTED = "costed"
    INVOICED = "invoiced"
    SETTLED = "settled"
    RELEASED = "released"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUNDED = "refunded"


class Stage(enum.StrEnum):
    """How far a sale has come, as whoever asked for it sees it.

    RUNNING: there is nothing to pay yet. UNPAID: the invoice waits. PAID: the completion is there
    to be read. FAILED: there will be none. OVER: there was one, and it is no longer to be had.
    """

    RUNNING = "running"
    UNPAID = "unpaid"
    PAID = "paid"
    FAILED = "failed"
    OVER = "over"


class Timer(enum.StrEnum):
    """What a sale waits for that comes by itself."""

    EXPIRY = "expiry"  # the node is asked whether its invoice was paid or has ended
    KEEP = "keep"  # its bodies are no longer kept
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFacts:
    """What holds of every sale in a state.

    `may_have_invoice`: an unpaid one may stand at the node, booked or not. `occupies_ask`: an
    identical request finds it. `payable`: a payment that comes now is for it. `had_payment`: it has
    been paid for, whatever became of it since. `reserved` names the reservations that may stand.
    """

    stage: Stage
    may_have_invoice: bool = False
    occupies_ask: bool = False
    payable: bool = False
    had_payment: bool = False
    reserved: frozenset[str] = frozenset()
    timer: Timer = Timer.NONE

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for it to be paid for, or to become payable."""
        return self.stage in {Stage.RUNNING, Stage.UNPAID}


OF_DAYS = frozenset({"address", "budget"})
_ALL = OF_DAYS | {"caller", "credit", "key", "limit"}
_UNTIL_PRICED = frozenset({"overrun"})

S = EscrowState
STATES: Mapping[EscrowState, StateFacts] = {
    S.RUNNING: StateFacts(stage=Stage.RUNNING, occupies_ask=True, reserved=_ALL | _UNTIL_PRICED),
    S.PRICED: StateFacts(
        stage=Stage.RUNNING, may_have_invoice=True, occupies_ask=True, reserved=_ALL
    ),
    S.INVOICED: StateFacts(
        stage=Stage.UNPAID,
        may_have_invoice=True,
        occupies_ask=True,
        payable=True,
        reserved=OF_DAYS,
        timer=Timer.EXPIRY,
    ),
    S.SETTLED: StateFacts(stage=Stage.PAID, occupies_ask=True, had_payment=True, timer=Timer.KEEP),
    S.RELEASED: StateFacts(stage=Stage.PAID, had_payment=True, timer=Timer.KEEP),
    S.FAILED: StateFacts(stage=Stage.FAILED, reserved=OF_DAYS),
    S.EXPIRED: StateFacts(stage=Stage.OVER, may_have_invoice=True, payable=True, timer=Timer.KEEP),
    S.REFUNDED: StateFacts(stage=Stage.OVER, had_payment=True),
}


def states_with(fact: Callable[[StateFacts], bool]) -> frozenset[EscrowState]:
    """Every state of which `fact` holds."""
    return frozenset(state for state, facts in STATES.items() if fact(facts))
