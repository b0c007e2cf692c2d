"""A budget within which one purchase has a limit of its own, fee included."""

from __future__ import annotations

from collections.abc import Mapping

from cobot_pay.budget import NO_PURPOSE, Purpose, Recalled, Reservation, Spending, Wanted
from cobot_pay.errors import Committed


class CappedSpending:
    """The same budget, of which a single reservation takes no more than `most_msat`."""

    def __init__(self, budget: Spending, *, most_msat: int) -> None:
        """All that is set aside and booked is set aside and booked in `budget`."""
        self._budget = budget
        self._cap = Committed(
            limit="per_request", limit_msat=most_msat, spent_msat=0, in_flight_msat=0
        )

    @property
    def tokens(self) -> Mapping[str, str]:
        """Who we are, as the budget keeps it."""
        return self._budget.tokens

    def reserve(
        self,
        amount_msat: int,
        *,
        fee_msat: int = 0,
        fee_msat_min: int | None = None,
        purpose: Purpose = NO_PURPOSE,
    ) -> Reservation:
        """As the budget does. Raises BudgetExceeded over the cap too."""
        wanted = Wanted.of(amount_msat, fee_msat=fee_msat, fee_msat_min=fee_msat_min)
        granted_msat = wanted.granted_fee_msat([self._cap], fees_in_flight_msat=0)
        return self._budget.reserve(
            amount_msat, fee_msat=granted_msat, fee_msat_min=wanted.fee_msat_min, purpose=purpose
        )

    def doubt(self, reservation: Reservation) -> None:
        """It may have been paid: it stays reserved."""
        self._budget.doubt(reservation)

    def post(self, reservation: Reservation, amount_msat: int, *, preimage: str = "") -> None:
        """It was paid, at this amount."""
        self._budget.post(reservation, amount_msat, preimage=preimage)

    def release(self, reservation: Reservation) -> None:
        """Nothing was paid and nothing will be."""
        self._budget.release(reservation)

    def recall(self, payment_hash: str) -> Recalled | None:
        """What the budget knows of this invoice."""
        return self._budget.recall(payment_hash)
