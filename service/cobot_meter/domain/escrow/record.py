"""The escrow as a value: what was asked, at which prices, what it cost, what was paid, what is due.

The quote is a snapshot taken when the escrow opens; nothing priced later uses anything newer. The
one queue of timers is computed from the row (`due_at_ms`).
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from cobot_meter.domain.escrow.states import STATES, EscrowState, Timer
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.outside import NAME_MAX, SENTENCE_MAX, text
from cobot_meter.domain.pricing.prices import (
    BELIEVED_CEILINGS,
    ModelPrice,
    Price,
    PriceTerms,
    price_for,
)
from cobot_meter.domain.retention import HOUR_MS, Retention

# How a failure's sentence says when to come again. The books need no column of their own for it.
_ASK_AGAIN = "; ask again in {:d} s"
_WAIT_MAX_S = 86_400
_ASKED_AGAIN = re.compile(r"; ask again in ([0-9]{1,5}) s$", re.ASCII)


def _mend(part: object, name: str, *, most: int | None = NAME_MAX) -> None:
    """Let one text of a frozen part through the gate once more, for whoever forgot it."""
    said = getattr(part, name)
    mended = text(said, most=most)
    if mended != said:
        object.__setattr__(part, name, mended)


class CostStanding(enum.StrEnum):
    """`provisional` is what the answer itself said; `confirmed` the upstream's own record."""

    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskKey:
    """What makes two asks the same one. Keys are SHA-256 hex digests.

    `request_key` covers caller, method, path, body and idempotency key; `address_key` the same
    with the address in the caller's place; `idempotency_key` caller, path and key, None without.
    A `nameless` ask is given a caller of its own, and is found under it once that caller is proven.
    """

    request_key: str
    address_key: str
    address: str
    request_sha256: str
    nameless: bool
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The snapshot: ceiling, credit reserved, and everything the price is computed from.

    `day` is the UTC day (`2026-11-22`) whose budget the escrow counts against; `prices` are the
    unit prices that the upstream may not exceed. `least_pusd` is what the ask counts at least on
    that day while nobody has paid for it, so that asks which cost nothing are bounded too; None in
    escrows from before there was such a bound, which keep their old reservations to their end.
    """

    model: str
    max_tokens: int
    ceiling_pusd: int
    ceiling_msat: int
    credit_reserved_msat: int
    newcomer: bool
    day: str
    rate: ExchangeRate
    terms: PriceTerms
    prices: ModelPrice
    least_pusd: int | None = None

    def counted_pusd(self, cost_pusd: int) -> int:
        """What a cost counts on the day of an ask that nobody has paid for."""
        return max(cost_pusd, self.least_pusd or 0)

    @property
    def opening_pusd(self) -> int:
        """What the day has to have room for when the ask opens: nothing where credit covers it."""
        covered = self.credit_reserved_msat == self.ceiling_msat
        paid_for = covered and (self.ceiling_msat > 0 or self.least_pusd is None)
        return 0 if paid_for else self.counted_pusd(self.ceiling_pusd)

    def believes(self, cost_pusd: int) -> bool:
        """Whether the run can have cost so much: beyond ten ceilings somebody is mistaken."""
        return cost_pusd <= BELIEVED_CEILINGS * self.ceiling_pusd


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came back. `inline_cost` is the raw number text of `usage.cost`, None if unsaid."""

    completed_at_ms: int
    inline_cost: str | None
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int

    def __post_init__(self) -> None:
        """As a failure: whatever adapter says it."""
        _mend(self, "finish_reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Why another model than the one that was asked for is run: `reason` is an error's code.

    `continues` is the escrow of the attempt before, None when nothing was attempted.
    """

    asked_model: str
    reason: str
    continues: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A cost with its raw number text and standing, and what the upstream said with it.

    `provider` and `model` are who served, empty when unsaid; `record_sha256` is the digest of the
    raw record, empty for what only the answer said.
    """

    cost_pusd: int
    text: str
    standing: CostStanding
    provider: str = ""
    model: str = ""
    record_sha256: str = ""

    def __post_init__(self) -> None:
        """As a failure: whatever adapter says it."""
        _mend(self, "text", most=None)
        _mend(self, "provider")
        _mend(self, "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedInvoice:
    """The invoice as the node made it."""

    payment_request: str
    amount_msat: int
    expires_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an escrow failed: a stable error code, a sentence, the upstream's status (0: none).

    Sentences of upstreams end up here, so what the books cannot hold ends here, whoever let it in.
    """

    code: str
    message: str
    status: int = 0

    def __post_init__(self) -> None:
        """A sentence that could not be written would stop more than this escrow."""
        _mend(self, "message", most=SENTENCE_MAX + len(_ASK_AGAIN.format(_WAIT_MAX_S)))

    def asking_to_wait(self, seconds: int | None) -> Failure:
        """The same with how long the upstream asks to wait: every repeat of the ask reads it."""
        if seconds is None:
            return self
        message = self.message[:SENTENCE_MAX] + _ASK_AGAIN.format(min(seconds, _WAIT_MAX_S))
        return Failure(code=self.code, message=message, status=self.status)

    @property
    def retry_after_s(self) -> int | None:
        """How long its sentence asks to wait; None when it does not."""
        asked = _ASKED_AGAIN.search(self.message)
        return int(asked[1]) if asked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Escrow:
    """One escrow. Amounts in msat or pico-USD as named, times in Unix milliseconds.

    `version` counts events. `price_msat` is fixed when the cost is known, from `priced_pusd`;
    `credit_used_msat` is the part of it paid from credit. `budget_hold` and `budget_held_pusd`
    name the open reservations on the day's budgets (0: none). `payment_hash` is stored before the
    invoice is asked for. `paid_msat` is what the node received. `lookup_at_ms` is when the cost
    is looked up next, None when nothing is awaited. `keep_until_ms` is when the bodies' key is
    dropped, None when no key is kept. `requested_by` is the process that asked the upstream.
    `fallback` says why this is not the model that was asked for, and `continued_as` is the escrow
    of the next attempt after this one failed. `quarantine` says what could not be booked of it:
    while it is there no timer runs, whatever the state, and the operator has to look.
    """

    escrow_id: str
    caller_id: str
    ask: AskKey
    quote: Quote
    stream: bool
    opened_at_ms: int
    changed_at_ms: int
    state: EscrowState
    version: int
    generation_id: str | None = None
    run: Run | None = None
    cost: Cost | None = None
    lookups: int = 0
    lookup_at_ms: int | None = None
    priced_pusd: int = 0
    price_msat: int = 0
    credit_used_msat: int = 0
    budget_hold: int = 0
    budget_held_pusd: int = 0
    attempt: int = 0
    payment_hash: str | None = None
    invoice: IssuedInvoice | None = None
    paid_msat: int = 0
    settle_index: int = 0
    settled_at_ms: int | None = None
    failure: Failure | None = None
    keep_until_ms: int | None = None
    requested_by: str | None = None
    fallback: Fallback | None = None
    continued_as: str | None = None
    quarantine: str | None = None

    @property
    def asked_model(self) -> str:
        """The model that the caller asked for."""
        return self.fallback.asked_model if self.fallback else self.quote.model

    @property
    def due_msat(self) -> int:
        """What is left to pay over Lightning after credit."""
        return self.price_msat - self.credit_used_msat

    @property
    def cost_pusd(self) -> int:
        """The cost booked so far; 0 while unknown."""
        return self.cost.cost_pusd if self.cost else 0

    @property
    def bought_late(self) -> bool:
        """Whether credit bought it after its invoice had lapsed."""
        return self.invoice is not None and self.settled_at_ms is not None and not self.due_msat

    @property
    def occupies_ask(self) -> bool:
        """Whether an identical ask must find this escrow instead of opening another.

        Not once it was bought late: the same ask may have been opened anew in between.
        """
        return STATES[self.state].occupies_ask and not self.bought_late

    @property
    def paid_by_invoice(self) -> bool:
        """Whether reading it takes its own macaroon and preimage."""
        return self.invoice is not None

    @property
    def price(self) -> Price:
        """The price taken apart again from the snapshot."""
        return price_for(
            self.priced_pusd,
            ceiling_msat=self.quote.ceiling_msat,
            rate=self.quote.rate,
            terms=self.quote.terms,
        )


# The node's own watcher cancels at expiry; we ask a little later, and believe only its answer.
EXPIRY_GRACE_MS = 1_000


def due_at_ms(escrow: Escrow, retention: Retention) -> int | None:
    """The earliest of this escrow's timers in Unix ms; None when nothing is left to do.

    One in quarantine has none: it waits for the operator.
    """
    if escrow.quarantine is not None:
        return None
    timers = [escrow.lookup_at_ms, _state_timer_ms(escrow, retention)]
    return min((timer for timer in timers if timer is not None), default=None)


def gives_up_at_ms(escrow: Escrow, retention: Retention) -> int:
    """When an unexplained reservation on the budget counts as spent."""
    return escrow.opened_at_ms + retention.cost_ms + HOUR_MS


def _state_timer_ms(escrow: Escrow, retention: Retention) -> int | None:
    match STATES[escrow.state].timer:
        case Timer.ABANDON:
            return escrow.opened_at_ms + retention.abandoned_ms
        case Timer.EXPIRY if escrow.invoice is not None:
            return escrow.invoice.expires_at_s * 1_000 + EXPIRY_GRACE_MS
        case Timer.GIVE_UP if escrow.budget_held_pusd:
            return gives_up_at_ms(escrow, retention)
        case Timer.KEEP:
            return escrow.keep_until_ms
        case _:
            return None
