"""What was paid, to whom, and with which proof it is claimed: so that nothing is paid twice.

Also who we are at each origin: the newest proof is our token there, and whoever has none yet makes
the first purchase alone, because each would be somebody else to the seller and so would its credit.
Everything is held in memory and bounded, but for payments of unknown outcome: those are never
forgotten. Must not know: HTTP, or how a payment is made.
"""

from __future__ import annotations

import enum
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cobot_pay.budget import Recalled, Reservation

PROOFS_MAX = 1_024
ORIGINS_MAX = 256


def authorization_of(macaroon: str, preimage: str) -> str:
    """The value of `Authorization` that shows a macaroon and that its invoice is paid."""
    return f"L402 {macaroon}:{preimage.lower()}"


class Standing(enum.Enum):
    """What is known of an invoice without a proof."""

    NEW = "new"
    IN_FLIGHT = "in_flight"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One payment being made: for which macaroon, at which origin, with what set aside.

    `request` is the digest of the request that it is for, empty for none.
    """

    payment_hash: str
    origin: str
    macaroon: str
    reservation: Reservation
    request: str = ""

    def authorization(self, preimage: str) -> str:
        """The value of `Authorization` that proves it was paid."""
        return authorization_of(self.macaroon, preimage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What opens a purchase, and the only origin it may be shown to."""

    origin: str
    authorization: str


class Proofs:
    """Shared by all threads and tasks of one buyer."""

    def __init__(
        self,
        tokens: Mapping[str, str] | None = None,
        *,
        recall: Callable[[str], Recalled | None] = lambda _: None,
    ) -> None:
        """`tokens` are what `tokens` said before, in another process perhaps.

        `recall` is asked for an invoice of which nothing is known here.
        """
        self._recall = recall
        self._lock = threading.Lock()
        self._tokens: OrderedDict[str, str] = OrderedDict(tokens or {})  # by origin, used last last
        self._unclaimed: OrderedDict[str, Proof] = OrderedDict()  # by request, the newest last
        self._alone: set[str] = set()  # origins where a first purchase is being made
        self._free: OrderedDict[str, None] = OrderedDict()  # origins that asked for no payment
        self._in_flight: set[str] = set()
        self._unknown: dict[str, Attempt] = {}
        self._proofs: OrderedDict[str, Proof] = OrderedDict()  # by payment hash, the newest last

    def look(self, payment_hash: str) -> Standing | Proof:
        """What is known of this invoice: its proof if it is paid."""
        with self._lock:
            return self._look(payment_hash)

    def claim(self, payment_hash: str) -> Standing | Proof:
        """What is known of this invoice; of one that is NEW, the right to pay it goes to the asker.

        To all others it is IN_FLIGHT until the asker says `paid`, `unpaid` or `unknown`.
        """
        with self._lock:
            found = self._look(payment_hash)
            if found is Standing.NEW:
                self._in_flight.add(payment_hash)
            return found

    def paid(self, attempt: Attempt, *, preimage: str) -> None:
        """The attempt was paid, as the preimage (64 hex digits) proves: keep its proof."""
        proof = Proof(origin=attempt.origin, authorization=attempt.authorization(preimage))
        with self._lock:
            self._in_flight.discard(attempt.payment_hash)
            self._unknown.pop(attempt.payment_hash, None)
            self._proofs[attempt.payment_hash] = proof
            _bound(self._proofs, PROOFS_MAX)
            self._tokens[attempt.origin] = proof.authorization
            self._tokens.move_to_end(attempt.origin)
            _bound(self._tokens, ORIGINS_MAX)
            if attempt.request:
                self._unclaimed[attempt.request] = proof
                _bound(self._unclaimed, PROOFS_MAX)

    def unpaid(self, payment_hash: str) -> None:
        """It was not paid and may be tried again."""
        with self._lock:
            self._in_flight.discard(payment_hash)
            self._unknown.pop(payment_hash, None)

    def unknown(self, attempt: Attempt) -> None:
        """Nobody knows whether it was paid; it is not tried again."""
        with self._lock:
            self._in_flight.discard(attempt.payment_hash)
            self._unknown[attempt.payment_hash] = attempt

    def unknown_attempt(self, payment_hash: str) -> Attempt | None:
        """The attempt whose outcome is unknown."""
        with self._lock:
            return self._unknown.get(payment_hash)

    @property
    def tokens(self) -> dict[str, str]:
        """The `Authorization` that says who we are, by origin."""
        with self._lock:
            return dict(self._tokens)

    def of_origin(self, origin: str, *, but: Collection[str] = ()) -> str | None:
        """The newest proof for this origin, leaving out `but`: it says who we are there."""
        with self._lock:
            token = self._tokens.get(origin)
            if token is not None and token not in but:
                self._tokens.move_to_end(origin)
                return token
            newest_first = (
                proof.authorization
                for proof in reversed(self._proofs.values())
                if proof.origin == origin
            )
            return next((one for one in newest_first if one not in but), None)

    def of_request(self, request: str) -> str | None:
        """The proof that was paid for this very request and whose answer never arrived."""
        with self._lock:
            proof = self._unclaimed.get(request)
            return proof.authorization if proof else None

    def claimed(self, request: str) -> None:
        """The answer to this request has arrived: its proof is no longer owed to it."""
        with self._lock:
            self._unclaimed.pop(request, None)

    def go_alone(self, origin: str) -> bool:
        """Whether this asker, without a token there, may go now; then others wait for `back`."""
        with self._lock:
            if origin in self._alone:
                return False
            self._alone.add(origin)
            return True

    def back(self, origin: str) -> None:
        """The first purchase there is made, or came to nothing."""
        with self._lock:
            self._alone.discard(origin)

    def is_free(self, origin: str) -> bool:
        """Whether this origin was last seen to answer without payment, so that nobody waits."""
        with self._lock:
            return origin in self._free

    def asked_payment(self, origin: str, *, asked: bool) -> None:
        """Keep whether a request without a token was asked for payment at this origin."""
        with self._lock:
            self._free.pop(origin, None)
            if not asked:
                self._free[origin] = None
                _bound(self._free, ORIGINS_MAX)

    def _look(self, payment_hash: str) -> Standing | Proof:
        if payment_hash in self._proofs:
            return self._proofs[payment_hash]
        if payment_hash in self._unknown:
            return Standing.UNKNOWN
        if payment_hash in self._in_flight:
            return Standing.IN_FLIGHT
        recalled = self._recall(payment_hash)
        if recalled is None:
            return Standing.NEW
        if recalled.preimage:
            authorization = authorization_of(recalled.macaroon, recalled.preimage)
            return Proof(origin=recalled.origin, authorization=authorization)
        return Standing.IN_FLIGHT if recalled.in_flight else Standing.UNKNOWN


def _bound(kept: OrderedDict[str, Any], at_most: int) -> None:
    while len(kept) > at_most:
        kept.popitem(last=False)
