"""The states of an escrow, and what each of them means: said once, in one table.

Verdicts on requests, timers, what an audit expects, the conditions of indexes and what callers are
told are made of STATES. Which event leads from one state to another is in `machine.py`, and what
is booked on the way in `bookings.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cobot_meter.domain.ledger.accounts import COST_FAILED, COST_UNPAID, COST_UPSTREAM, Account


class EscrowState(enum.StrEnum):
    """The ten states; `docs/escrow-states.md` draws them."""

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
    """What an escrow waits for that comes by itself, beside the look-up of its cost."""

    ABANDON = "abandon"  # too old to be sent
    EXPIRY = "expiry"  # the node is asked whether its invoice was paid or has ended
    GIVE_UP = "give_up"  # a reservation on the day that nothing explains counts as spent
    KEEP = "keep"  # its bodies are no longer kept
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFacts:
    """What holds of every escrow in a state.

    `in_flight`: its run has not ended. `may_charge`: nobody can say yet that the upstream will
    charge nothing for it. `may_have_invoice`: an unpaid one may stand at the node, booked or not.
    `occupies_ask`: an identical request finds it. `payable`: a payment that
    comes now is for it. `had_payment`: it has been paid for, whatever became of it since.
    `reserved` names the reservations that may stand, `cost_account` is where its cost is booked.
    """

    stage: Stage
    in_flight: bool = False
    may_charge: bool = False
    may_have_invoice: bool = False
    occupies_ask: bool = False
    payable: bool = False
    had_payment: bool = False
    reserved: frozenset[str] = frozenset()
    cost_account: Account = COST_UPSTREAM
    timer: Timer = Timer.NONE

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for it to be paid for, or to become payable."""
        return self.stage in {Stage.RUNNING, Stage.UNPAID}

    @property
    def ended_unpaid(self) -> bool:
        """Whether its cost is ours to bear."""
        return self.cost_account is not COST_UPSTREAM


_DAYS = frozenset({"address", "budget"})
_ALL = _DAYS | {"caller", "credit"}

S = EscrowState
STATES: Mapping[EscrowState, StateFacts] = {
    S.OPENED: StateFacts(
        stage=Stage.RUNNING,
        in_flight=True,
        may_charge=True,
        occupies_ask=True,
        reserved=_ALL,
        timer=Timer.ABANDON,
    ),
    S.REQUESTED: StateFacts(
        stage=Stage.RUNNING, in_flight=True, may_charge=True, occupies_ask=True, reserved=_ALL
    ),
    S.GENERATED: StateFacts(stage=Stage.RUNNING, in_flight=True, occupies_ask=True, reserved=_ALL),
    S.COSTED: StateFacts(
        stage=Stage.RUNNING, may_have_invoice=True, occupies_ask=True, reserved=_ALL
    ),
    S.INVOICED: StateFacts(
        stage=Stage.UNPAID,
        may_have_invoice=True,
        occupies_ask=True,
        payable=True,
        reserved=_DAYS,
        timer=Timer.EXPIRY,
    ),
    S.SETTLED: StateFacts(stage=Stage.PAID, occupies_ask=True, had_payment=True, timer=Timer.KEEP),
    S.RELEASED: StateFacts(stage=Stage.PAID, had_payment=True, timer=Timer.KEEP),
    S.FAILED: StateFacts(
        stage=Stage.FAILED, reserved=_DAYS, cost_account=COST_FAILED, timer=Timer.GIVE_UP
    ),
    S.EXPIRED: StateFacts(
        stage=Stage.OVER,
        may_have_invoice=True,
        payable=True,
        cost_account=COST_UNPAID,
        timer=Timer.KEEP,
    ),
    S.REFUNDED: StateFacts(stage=Stage.OVER, had_payment=True),
}


def states_with(fact: Callable[[StateFacts], bool]) -> frozenset[EscrowState]:
    """Every state of which `fact` holds."""
    return frozenset(state for state, facts in STATES.items() if fact(facts))
