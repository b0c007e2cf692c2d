"""One purchase, step by step, without doing any of them: whoever drives it sends, pays and waits.

Without a token of an origin a request that may cost something goes alone, and others wait for the
token that it buys. At most one invoice is paid for one request. An invoice that was paid is never
paid again: its proof is shown again. A payment of unknown outcome keeps its money reserved and is
never repeated.
Must not know: an event loop, a thread or a particular HTTP library.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from cobot_pay.budget import Purpose, Reservation, Spending
from cobot_pay.errors import (
    BudgetExceeded,
    ChallengeRefused,
    PaymentFailed,
    PaymentUnknown,
    ProofRefused,
)
from cobot_pay.http_shapes import HttpRequest, HttpResponse, origin_of, request_digest
from cobot_pay.offers import Offer, error_code, read_document, read_offer
from cobot_pay.proofs import Attempt, Proof, Proofs, Standing
from cobot_pay.wallet import Payment, proves

_GOOD = range(200, 300)
PAYMENT_REQUIRED, CONFLICT, GONE, UNAVAILABLE = 402, 409, 410, 503
READ_STATUSES = frozenset({PAYMENT_REQUIRED, CONFLICT, GONE, UNAVAILABLE})
HEADER = "Authorization"

_BEFORE_PAYING = frozenset({"cost_pending"})
_ONCE_PAID = frozenset({"cost_pending", "node_unavailable", "books_busy"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BPS = 10_000
_GONE_MAX = 3

RequestT = TypeVar("RequestT", bound=HttpRequest)
ResponseT = TypeVar("ResponseT", bound=HttpResponse)


@dataclass(frozen=True, slots=True)
class Send(Generic[RequestT]):
    """Send the request; answered with the response, its body read for READ_STATUSES."""

    request: RequestT


@dataclass(frozen=True, slots=True)
class Pay:
    """Pay the invoice; answered with the Payment, or the PaymentFailed or PaymentUnknown."""

    payment_request: str
    max_fee_msat: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so long."""

    seconds: float


Look = Callable[[str], Standing | Proof]
PaymentOutcome = Payment | PaymentFailed | PaymentUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseTerms:
    """How long a purchase is followed, and what a payment may cost on top.

    `patience_s` bounds all waiting before a completion is there; `proof_waits_s` are the waits
    between showings of a proof that the seller's node has not seen settled yet. A fee may be a
    share of its invoice, at least the floor, and less where the budget leaves no more; with
    `max_fee_msat` it is exactly that, and nothing is paid unless all of it fits.
    """

    max_fee_msat: int | None = None
    fee_share_bps: int = 500
    fee_floor_msat: int = 5_000
    patience_s: float = 120.0
    wait_s_min: float = 0.05
    wait_s_max: float = 10.0
    in_flight_wait_s: float = 0.1
    proof_waits_s: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 4.0)

    def fee_msat(self, invoice_msat: int) -> int:
        """What paying such an invoice may cost on top."""
        if self.max_fee_msat is not None:
            return self.max_fee_msat
        share_msat = -(-invoice_msat * self.fee_share_bps // _BPS)
        return max(share_msat, self.fee_floor_msat)


class Purchase(Generic[RequestT, ResponseT]):
    """The course of one request."""

    def __init__(
        self,
        request: RequestT,
        *,
        budget: Spending,
        proofs: Proofs,
        terms: PurchaseTerms,
        fees: bool,
        now_s: Callable[[], float],
    ) -> None:
        """`fees` says whether the wallet charges any; `now_s` never goes back.

        The request's body must have been read.
        """
        self._fees = fees
        self._request = request
        self._budget = budget
        self._proofs = proofs
        self._terms = terms
        self._now_s = now_s
        self._origin = origin_of(request.url)
        self._digest = request_digest(request)
        self._authorization = proofs.of_request(self._digest) or proofs.of_origin(self._origin)
        self._without_us = request.headers.get(HEADER)
        self._deadline_s = now_s() + terms.patience_s
        self._proof_waits_s: Iterator[float] = iter(terms.proof_waits_s)
        self._gone_by: list[str] = []
        self._paid = False

    def steps(self) -> Generator[Send[RequestT] | Pay | Wait, Any, None]:
        """Ends when the last response is the caller's answer. Raises every L402Error."""
        alone = yield from self._turn()
        try:
            yield from self._course()
        finally:
            if alone:
                self._proofs.back(self._origin)

    def _turn(self) -> Generator[Wait, Any, bool]:
        """Whether this is the first purchase here; before, wait for the token of another one."""
        if self._request.method.upper() in _SAFE_METHODS or self._proofs.is_free(self._origin):
            return False
        while self._authorization is None and self._now_s() < self._deadline_s:
            if self._proofs.go_alone(self._origin):
                return True
            yield Wait(self._terms.in_flight_wait_s)
            self._authorization = self._proofs.of_origin(self._origin)
        self._deadline_s = self._now_s() + self._terms.patience_s
        return False

    def _course(self) -> Generator[Send[RequestT] | Pay | Wait, Any, None]:
        again = True
        while again:
            self._dress()
            response: ResponseT = yield Send(self._request)
            if origin_of(response.url) != self._origin:
                return  # a redirect led elsewhere: nobody there is paid or shown a token
            self._learn(response)
            match response.status_code:
                case 402:
                    again = yield from self._challenged(response)
                case 409:
                    again = yield from self._already_paid(response)
                case 410:
                    again = self._gone(response)
                case 503:
                    again = yield from self._pending(response)
                case _:
                    again = False

    def _learn(self, response: ResponseT) -> None:
        if response.status_code in _GOOD:
            self._proofs.claimed(self._digest)
        if self._authorization is None and self._request.method.upper() not in _SAFE_METHODS:
            asked = response.status_code == PAYMENT_REQUIRED
            if asked or response.status_code in _GOOD:
                self._proofs.asked_payment(self._origin, asked=asked)

    def _dress(self) -> None:
        worn = self._authorization or self._without_us
        if worn is not None:
            self._request.headers[HEADER] = worn
        else:
            self._request.headers.pop(HEADER, None)

    def _challenged(self, response: ResponseT) -> Generator[Pay | Wait, Any, bool]:
        offer = read_offer(response.headers.get_list("WWW-Authenticate"), response.content)
        if offer is None:
            return False
        payment_hash = offer.terms.payment_hash
        found = yield from self._known(payment_hash, self._proofs.claim)
        if isinstance(found, Proof):
            if found.origin != self._origin:
                raise ChallengeRefused("the invoice was paid for at another origin")
            yield from self._show(found, payment_hash)
            return True
        if self._paid:
            self._proofs.unpaid(payment_hash)
            message = "the seller was paid and asks to be paid again"
            raise ProofRefused(message, payment_hash=payment_hash)
        yield from self._pay(offer)
        return True

    def _known(self, payment_hash: str, look: Look) -> Generator[Wait, Any, Standing | Proof]:
        """NEW or the proof, once nobody is paying it any more. Raises PaymentUnknown."""
        while (found := look(payment_hash)) is Standing.IN_FLIGHT:
            if self._now_s() >= self._deadline_s:
                raise _unknown("is still being paid by another request", payment_hash)
            yield Wait(self._terms.in_flight_wait_s)
        if found is Standing.UNKNOWN:
            raise _unknown("was tried and may have been paid", payment_hash)
        return found

    def _show(self, proof: Proof, payment_hash: str) -> Generator[Wait, Any, None]:
        """The invoice of this 402 is paid: show the proof, again if it was not believed yet."""
        if proof.authorization != self._authorization:
            self._authorization, self._paid = proof.authorization, True
            return
        wait_s = next(self._proof_waits_s, None)
        if wait_s is None:
            message = "the seller does not honour a payment"
            raise ProofRefused(message, payment_hash=payment_hash)
        yield Wait(wait_s)

    def _reserved(self, offer: Offer) -> Generator[Wait, Any, Reservation]:
        """What is set aside for it, once payments in flight have given back what they do not need.

        Raises BudgetExceeded.
        """
        amount_msat = offer.terms.amount_msat
        fee_msat = self._terms.fee_msat(amount_msat) if self._fees else 0
        fee_msat_min = 0 if self._terms.max_fee_msat is None else fee_msat
        purpose = Purpose(
            payment_hash=offer.terms.payment_hash,
            origin=self._origin,
            macaroon=offer.macaroon,
            micro_usd_per_btc=offer.micro_usd_per_btc,
        )
        while True:
            try:
                return self._budget.reserve(
                    amount_msat, fee_msat=fee_msat, fee_msat_min=fee_msat_min, purpose=purpose
                )
            except BudgetExceeded as refused:
                wait_s = self._terms.in_flight_wait_s
                if not refused.waiting_helps or self._now_s() + wait_s > self._deadline_s:
                    raise
                yield Wait(wait_s)

    def _pay(self, offer: Offer) -> Generator[Pay | Wait, Any, None]:
        payment_hash = offer.terms.payment_hash
        reservation: Reservation | None = None
        try:
            reservation = yield from self._reserved(offer)
        finally:
            if reservation is None:
                self._proofs.unpaid(payment_hash)
        attempt = Attempt(
            payment_hash=payment_hash,
            origin=self._origin,
            macaroon=offer.macaroon,
            reservation=reservation,
            request=self._digest,
        )
        # Whatever stops us from here on without an outcome leaves it unknown: also being cancelled.
        outcome: PaymentOutcome = _unknown("was interrupted while being paid", payment_hash)
        try:
            outcome = yield Pay(offer.payment_request, reservation.fee_msat)
        finally:
            outcome = settle(attempt, outcome, budget=self._budget, proofs=self._proofs)
        if not isinstance(outcome, Payment):
            raise outcome
        self._authorization, self._paid = attempt.authorization(outcome.preimage), True

    def _already_paid(self, response: ResponseT) -> Generator[Wait, Any, bool]:
        """409: paid before, by us if we hold the proof; otherwise the answer is the caller's."""
        payment_hash = read_document(response.content).get("payment_hash")
        if not isinstance(payment_hash, str):
            return False
        found = yield from self._known(payment_hash, self._proofs.look)
        if not isinstance(found, Proof) or found.origin != self._origin:
            return False
        if found.authorization == self._authorization:
            return False
        self._authorization, self._paid = found.authorization, True
        return True

    def _gone(self, response: ResponseT) -> bool:
        """410: an old token opened what is no longer kept; named otherwise this is a new ask."""
        if self._authorization is None or self._paid:
            return False
        if error_code(response.content) != "completion_gone":
            return False
        self._gone_by.append(self._authorization)
        others = len(self._gone_by) < _GONE_MAX
        self._authorization = (
            self._proofs.of_origin(self._origin, but=self._gone_by) if others else None
        )
        return True

    def _pending(self, response: ResponseT) -> Generator[Wait, Any, bool]:
        """Whether to ask again after a 503: it finds the run under way, and costs nothing."""
        if error_code(response.content) not in (_ONCE_PAID if self._paid else _BEFORE_PAYING):
            return False
        asked = next(iter(response.headers.get_list("Retry-After")), "")
        asked_s = float(asked) if asked.isascii() and asked.isdigit() else 1.0
        wait_s = min(max(asked_s, self._terms.wait_s_min), self._terms.wait_s_max)
        if self._now_s() + wait_s > self._deadline_s:
            return False
        yield Wait(wait_s)
        return True


def settle(
    attempt: Attempt, outcome: PaymentOutcome, *, budget: Spending, proofs: Proofs
) -> PaymentOutcome:
    """Book what became of an attempt; a payment whose preimage is wrong counts as unknown.

    The proof is known before it is booked: a budget that cannot be written does not lose it.
    """
    payment_hash = attempt.payment_hash
    if isinstance(outcome, Payment) and not proves(outcome.preimage, payment_hash):
        outcome = _unknown("was answered with the preimage of something else", payment_hash)
    if isinstance(outcome, PaymentUnknown) and not outcome.payment_hash:
        outcome = _unknown(f"may have been paid ({outcome})", payment_hash)
    match outcome:
        case Payment():
            proofs.paid(attempt, preimage=outcome.preimage)
            paid_msat = outcome.amount_msat + outcome.fee_msat
            budget.post(attempt.reservation, paid_msat, preimage=outcome.preimage.lower())
        case PaymentFailed():
            budget.release(attempt.reservation)
            proofs.unpaid(attempt.payment_hash)
        case PaymentUnknown():
            budget.doubt(attempt.reservation)
            proofs.unknown(attempt)
    return outcome


def _unknown(what: str, payment_hash: str) -> PaymentUnknown:
    message = f"the invoice {payment_hash} {what}; its amount stays reserved"
    return PaymentUnknown(message, payment_hash=payment_hash)
