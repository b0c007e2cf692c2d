"""What was paid, to whom, and with which proof it is claimed: so that nothing is paid twice.

Everything is held in memory and bounded, but for payments of unknown outcome: those are never
forgotten. Must not know: HTTP, or how a payment is made.
"""

from __future__ import annotations

import enum
import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from service.client.budget import Reservation

PROOFS_MAX = 1_024


class Standing(enum.Enum):
    """What is known of an invoice without a proof."""

    NEW = "new"
    IN_FLIGHT = "in_flight"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One payment being made: for which macaroon, at which origin, with what set aside."""

    payment_hash: str
    origin: str
    macaroon: str
    reservation: Reservation

    def authorization(self, preimage: str) -> str:
        """The value of `Authorization` that proves it was paid."""
        return f"L402 {self.macaroon}:{preimage.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What opens a purchase, and the only origin it may be shown to."""

    origin: str
    authorization: str


class Proofs:
    """Shared by all threads and tasks of one buyer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight: set[str] = set()
        self._unknown: dict[str, Attempt] = {}
        self._proofs: OrderedDict[str, Proof] = OrderedDict()  # by payment hash, the newest last

    def look(self, payment_hash: str) -> Standing | Proof:
        """What is known of this invoice: its proof if it is paid."""
        with self._lock:
            return self._look(payment_hash)

    def claim(self, payment_hash: str) -> Standing | Proof:
        """The same; and NEW makes the invoice the asker's to pay: it is IN_FLIGHT to others."""
        with self._lock:
            found = self._look(payment_hash)
            if found is Standing.NEW:
                self._in_flight.add(payment_hash)
            return found

    def paid(self, attempt: Attempt, *, preimage: str) -> None:
        """It was paid."""
        proof = Proof(origin=attempt.origin, authorization=attempt.authorization(preimage))
        with self._lock:
            self._in_flight.discard(attempt.payment_hash)
            self._unknown.pop(attempt.payment_hash, None)
            self._proofs[attempt.payment_hash] = proof
            while len(self._proofs) > PROOFS_MAX:
                self._proofs.popitem(last=False)

    def unpaid(self, payment_hash: str) -> None:
        """It was not paid and may be tried again."""
        with self._lock:
            self._in_flight.discard(payment_hash)
            self._unknown.pop(payment_hash, None)

    def unknown(self, attempt: Attempt) -> None:
        """Nobody knows; it is not tried again."""
        with self._lock:
            self._in_flight.discard(attempt.payment_hash)
            self._unknown[attempt.payment_hash] = attempt

    def unknown_attempt(self, payment_hash: str) -> Attempt | None:
        """The attempt whose outcome is unknown."""
        with self._lock:
            return self._unknown.get(payment_hash)

    def of_origin(self, origin: str, *, but: Collection[str] = ()) -> str | None:
        """The newest proof for this origin, leaving out `but`: it says who we are there."""
        with self._lock:
            newest_first = (
                proof.authorization
                for proof in reversed(self._proofs.values())
                if proof.origin == origin
            )
            return next((one for one in newest_first if one not in but), None)

    def _look(self, payment_hash: str) -> Standing | Proof:
        if payment_hash in self._proofs:
            return self._proofs[payment_hash]
        if payment_hash in self._unknown:
            return Standing.UNKNOWN
        return Standing.IN_FLIGHT if payment_hash in self._in_flight else Standing.NEW
