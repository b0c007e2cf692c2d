"""What a key spends, in the same budget as what a wallet pays.

A call on a key is reserved at the most that it may cost, which the service is told and keeps to,
and booked at what its answer says. One whose answer is lost counts as if it had cost all of that.
Must not know: HTTP or cobot.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from cobot_pay.budget import Purpose, Reservation
from cobot_pay.errors import BudgetExceeded
from cobot_pay.spending.limits import Limits
from cobot_pay.spending.stored_budget import StoredBudget

PREFIX = "call-"  # no payment hash begins so
_SAT_MSAT = 1_000
_LOOK_AGAIN_S = 0.1
_GOOD = 200


class KeySpending:
    """The calls of one key at one service."""

    def __init__(
        self, budget: StoredBudget, *, origin: str, limits: Limits, patience_s: float
    ) -> None:
        """`patience_s` is how long a call waits for others to give back what they do not need."""
        self._budget = budget
        self._origin = origin
        self._patience_s = patience_s
        self.needs_rate = limits.micro_usd.is_set

    def reserve(self, most_msat: int, *, micro_usd_per_btc: int | None) -> KeyCall:
        """Set aside so much, or what the limits leave. Raises BudgetExceeded, ChallengeRefused."""
        until_s = time.monotonic() + self._patience_s
        purpose = Purpose(
            payment_hash=PREFIX + secrets.token_hex(16),
            origin=self._origin,
            micro_usd_per_btc=micro_usd_per_btc,
        )
        wanted_msat = most_msat
        while True:
            try:
                return KeyCall(self._budget, self._budget.reserve(wanted_msat, purpose=purpose))
            except BudgetExceeded as refused:
                left_msat = refused.limit_msat - refused.committed_msat
                if left_msat >= _SAT_MSAT:
                    wanted_msat = min(left_msat, wanted_msat - 1)
                elif refused.in_flight_msat and time.monotonic() < until_s:
                    time.sleep(_LOOK_AGAIN_S)
                    wanted_msat = most_msat
                else:
                    raise

    def count_lost(self) -> None:
        """Book what a program that is gone had set aside: it may have been spent, all of it."""
        for receipt in self._budget.receipts(unknown_only=True):
            if receipt.payment_hash.startswith(PREFIX):
                self._budget.settle(receipt.payment_hash, (receipt.amount_msat, ""))


class KeyCall:
    """One call: booked when its block ends."""

    def __init__(self, budget: StoredBudget, reservation: Reservation) -> None:
        """Nothing is known of its cost yet."""
        self._budget = budget
        self._reservation = reservation
        self._refused = False
        self._cost_msat: int | None = None

    @property
    def amount_msat(self) -> int:
        """The most that it may cost."""
        return self._reservation.amount_msat

    def answered(self, status: int) -> None:
        """The service answered with this status: anything but a good one costs nothing."""
        self._refused = status != _GOOD

    def cost(self, said: Mapping[str, Any]) -> None:
        """Take its price out of the answer."""
        ours = said.get("cobot")
        cost = ours.get("cost") if isinstance(ours, dict) else None
        price = cost.get("price_msat") if isinstance(cost, dict) else None
        if type(price) is int and price >= 0:
            self._cost_msat = price

    def not_sent(self) -> None:
        """Nobody was there to spend anything."""
        self._refused = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Book it, whatever happened."""
        if self._refused:
            self._budget.release(self._reservation)
        else:
            spent_msat = self.amount_msat if self._cost_msat is None else self._cost_msat
            self._budget.post(self._reservation, spent_msat)
