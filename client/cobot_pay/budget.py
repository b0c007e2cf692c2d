"""How much may be spent: per request, in all, and within a window of time, in msat.

An amount is reserved before it is paid and counts from then on. It is posted at what was really
paid, or released when certainly nothing was; what became of it unknown stays reserved.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from cobot_pay.errors import BudgetExceeded, Committed


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One amount set aside; `fee_msat` of it are the most that its payment may cost on top."""

    number: int
    amount_msat: int
    fee_msat: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What an amount is set aside for: which invoice, at which origin, under which macaroon.

    `micro_usd_per_btc` is the rate that the answer names, None where it names none.
    """

    payment_hash: str = ""
    origin: str = ""
    macaroon: str = ""
    micro_usd_per_btc: int | None = None


NO_PURPOSE = Purpose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An amount that shall be set aside, with the most and the least fee for paying it."""

    amount_msat: int
    fee_msat: int
    fee_msat_min: int

    @classmethod
    def of(cls, amount_msat: int, *, fee_msat: int, fee_msat_min: int | None) -> Wanted:
        """All of the fee when no least one is given. Raises ValueError under 0."""
        least_msat = fee_msat if fee_msat_min is None else min(fee_msat_min, fee_msat)
        if min(amount_msat, least_msat) < 0:
            message = f"an amount cannot be {min(amount_msat, least_msat)} msat"
            raise ValueError(message)
        return cls(amount_msat=amount_msat, fee_msat=fee_msat, fee_msat_min=least_msat)

    def granted_fee_msat(self, limits: Iterable[Committed], *, fees_in_flight_msat: int) -> int:
        """How much of the fee every limit leaves. Raises BudgetExceeded under the least."""
        granted_msat = self.fee_msat
        for committed in limits:
            left_msat = committed.left_msat - self.amount_msat
            granted_msat = min(granted_msat, left_msat)
            if left_msat < self.fee_msat_min:
                returning_msat = fees_in_flight_msat if committed.in_flight_msat else 0
                raise BudgetExceeded(
                    committed,
                    invoice_msat=self.amount_msat,
                    fee_msat=self.fee_msat_min,
                    waiting_helps=left_msat + returning_msat >= self.fee_msat_min,
                )
        return granted_msat


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What a budget that is kept knows of an invoice; without a preimage it is not known paid."""

    origin: str
    macaroon: str
    preimage: str = ""
    in_flight: bool = False


class Spending(Protocol):
    """What a purchase asks of a budget: `Budget` in memory, `StoredBudget` on disk."""

    @property
    def tokens(self) -> Mapping[str, str]:
        """Who we are, by origin, as far as this budget keeps it."""

    def reserve(
        self,
        amount_msat: int,
        *,
        fee_msat: int = 0,
        fee_msat_min: int | None = None,
        purpose: Purpose = NO_PURPOSE,
    ) -> Reservation:
        """Set an amount aside, and as much of a fee as the limits leave. Raises BudgetExceeded."""

    def doubt(self, reservation: Reservation) -> None:
        """It may have been paid, and nobody is paying it now: it stays reserved."""

    def post(self, reservation: Reservation, amount_msat: int, *, preimage: str = "") -> None:
        """It was paid, at this amount."""

    def release(self, reservation: Reservation) -> None:
        """Nothing was paid and nothing will be."""

    def recall(self, payment_hash: str) -> Recalled | None:
        """What is known of an invoice from before, or from another process."""


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
        self._reserved: dict[int, Reservation] = {}
        self._doubtful: set[int] = set()
        self._spent_msat = 0
        self._recent: deque[tuple[int, int]] = deque()  # one per second

    @property
    def tokens(self) -> Mapping[str, str]:
        """None: nothing is kept here."""
        return {}

    def recall(self, payment_hash: str) -> Recalled | None:  # noqa: ARG002 - nothing is kept here
        """None: this budget keeps nothing of invoices."""
        return None

    @property
    def spent_msat(self) -> int:
        """What was really paid, fees included, in msat."""
        with self._lock:
            return self._spent_msat

    @property
    def reserved_msat(self) -> int:
        """What is being paid now or may have been paid, fees included, in msat."""
        with self._lock:
            return self._in_flight_msat()

    def reserve(
        self,
        amount_msat: int,
        *,
        fee_msat: int = 0,
        fee_msat_min: int | None = None,
        purpose: Purpose = NO_PURPOSE,  # noqa: ARG002 - limits here are the same for all
    ) -> Reservation:
        """Set an amount aside and a fee for paying it, as much of it as the limits leave.

        At least `fee_msat_min` (all of it when not given), or it raises BudgetExceeded and changes
        nothing. ValueError under 0.
        """
        wanted = Wanted.of(amount_msat, fee_msat=fee_msat, fee_msat_min=fee_msat_min)
        with self._lock:
            granted_msat = wanted.granted_fee_msat(
                self._limits(), fees_in_flight_msat=self._fees_in_flight_msat()
            )
            reservation = Reservation(
                number=next(self._numbers),
                amount_msat=amount_msat + granted_msat,
                fee_msat=granted_msat,
            )
            self._reserved[reservation.number] = reservation
            return reservation

    def doubt(self, reservation: Reservation) -> None:
        """It may have been paid, and nobody is paying it now: it stays reserved as a whole."""
        with self._lock:
            if reservation.number in self._reserved:
                self._doubtful.add(reservation.number)

    def post(self, reservation: Reservation, amount_msat: int, *, preimage: str = "") -> None:  # noqa: ARG002 - nothing is kept here
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
        self._doubtful.discard(reservation.number)

    def _limits(self) -> Iterator[Committed]:
        """Each limit there is, as it stands."""
        in_flight_msat = self._in_flight_msat()
        for limit, limit_msat, spent_msat, held_msat in (
            ("per_request", self._per_request_msat, 0, 0),
            ("total", self._total_msat, self._spent_msat, in_flight_msat),
            ("window", self._window_msat, self._recent_msat(), in_flight_msat),
        ):
            if limit_msat is not None:
                yield Committed(
                    limit=limit,
                    limit_msat=limit_msat,
                    spent_msat=spent_msat,
                    in_flight_msat=held_msat,
                )

    def _in_flight_msat(self) -> int:
        return sum(one.amount_msat for one in self._reserved.values())

    def _fees_in_flight_msat(self) -> int:
        """The fees set aside for payments that are being made now: much of it may come back."""
        return sum(
            one.fee_msat for one in self._reserved.values() if one.number not in self._doubtful
        )

    def _recent_msat(self) -> int:
        """What was paid within the window; drops what is older."""
        oldest_s = self._now_s() - self._window_s - 1  # seconds are kept without their fractions
        while self._recent and self._recent[0][0] < oldest_s:
            self._recent.popleft()
        return sum(amount_msat for _, amount_msat in self._recent)
