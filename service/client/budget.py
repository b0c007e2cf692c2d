"""How much may be spent: per request, in all, and within a window of time, in msat.

An amount is reserved before it is paid and counts from then on. It is posted at what was really
paid, or released when certainly nothing was; what became of it unknown stays reserved.
Must not know: what is bought, or from whom.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from service.client.errors import BudgetExceeded


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One amount set aside."""

    number: int
    amount_msat: int


class Budget:
    """Limits that hold for all threads and tasks that share it. Fees count like any msat."""

    def __init__(
        self,
        *,
        total_msat: int,
        per_request_msat: int = 1_000_000,
        window_msat: int | None = None,
        window_s: int = 3_600,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`window_msat` None sets no limit for any `window_s` seconds; `now_s` never goes back."""
        self._total_msat = total_msat
        self._per_request_msat = per_request_msat
        self._window_msat = window_msat
        self._window_s = window_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._reserved: dict[int, int] = {}
        self._spent_msat = 0
        self._recent: deque[tuple[int, int]] = deque()  # one per second

    @property
    def spent_msat(self) -> int:
        """What was really paid, fees included."""
        with self._lock:
            return self._spent_msat

    @property
    def reserved_msat(self) -> int:
        """What is being paid now, or may have been."""
        with self._lock:
            return sum(self._reserved.values())

    def reserve(self, amount_msat: int) -> Reservation:
        """Set the amount aside. Raises BudgetExceeded and changes nothing; ValueError under 0."""
        if amount_msat < 0:
            message = f"an amount cannot be {amount_msat} msat"
            raise ValueError(message)
        with self._lock:
            reserved_msat = sum(self._reserved.values())
            recent_msat = self._recent_msat()
            for limit, limit_msat, committed_msat in (
                ("per_request", self._per_request_msat, 0),
                ("total", self._total_msat, self._spent_msat + reserved_msat),
                ("window", self._window_msat, recent_msat + reserved_msat),
            ):
                if limit_msat is not None and committed_msat + amount_msat > limit_msat:
                    raise BudgetExceeded(
                        limit=limit,
                        limit_msat=limit_msat,
                        committed_msat=committed_msat,
                        asked_msat=amount_msat,
                    )
            reservation = Reservation(number=next(self._numbers), amount_msat=amount_msat)
            self._reserved[reservation.number] = amount_msat
            return reservation

    def post(self, reservation: Reservation, amount_msat: int) -> None:
        """It was paid, at this amount (more than was reserved is booked just the same).

        Raises ValueError for a reservation that was resolved before.
        """
        with self._lock:
            self._resolve(reservation)
            self._spent_msat += amount_msat
            second = int(self._now_s())
            if self._recent and self._recent[-1][0] == second:
                amount_msat += self._recent.pop()[1]
            self._recent.append((second, amount_msat))
            self._recent_msat()

    def release(self, reservation: Reservation) -> None:
        """Nothing was paid and nothing will be. Raises ValueError when resolved before."""
        with self._lock:
            self._resolve(reservation)

    def _resolve(self, reservation: Reservation) -> None:
        if self._reserved.pop(reservation.number, None) is None:
            message = f"the reservation {reservation.number} was resolved before"
            raise ValueError(message)

    def _recent_msat(self) -> int:
        """What was paid within the window; drops what is older."""
        oldest_s = self._now_s() - self._window_s - 1  # seconds are kept without their fractions
        while self._recent and self._recent[0][0] < oldest_s:
            self._recent.popleft()
        return sum(amount_msat for _, amount_msat in self._recent)
