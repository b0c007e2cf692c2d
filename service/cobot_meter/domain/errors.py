"""The whole error tree, by who must act. It knows nothing of HTTP (`error_table.py` does).

CobotMeterError
├── CallerFault            the caller must change something
│   ├── RequestInvalid         the request itself is wrong (`param` names the field)
│   ├── RequestTooLarge        the body is over the limit
│   ├── ModelNotOffered        no such model here
│   ├── CeilingOverCap         it could cost more than the caller allows
│   ├── CredentialInvalid      a credential that proves nothing here
│   ├── CallerBlocked          the operator has blocked this caller
│   ├── ExposureExceeded       too much is open and unpaid (caller, address or the day's budget)
│   ├── AddressBusy            too much of this address is under way at once
│   ├── IdempotencyConflict    the same Idempotency-Key with another request
│   ├── AlreadyPaid            settled; repeat with the proof instead of paying again
│   └── EscrowNotFound, InvoiceUnpaid, CompletionGone
├── DependencyFault        a part outside must recover; asking again may help
│   ├── UpstreamRefused        answered without running anything: certainly not charged
│   ├── UpstreamUnreachable    no byte was sent: certainly not charged
│   ├── UpstreamCreditLow      our credit there would not last: refused before anything is asked
│   ├── UpstreamFailed         it ran and failed; what it cost may be known
│   ├── OutcomeUnknown         it may have run; never read as failed, never repeated
│   ├── CostNotYetKnown        the look-up has no record yet
│   ├── CostPending            an escrow still waits for its cost
│   ├── NodeUnavailable        the Lightning node does not answer
│   ├── InvoiceRefused         the node will not make this invoice
│   ├── RateStale              no exchange rate fresh enough
│   ├── RateJumped             the rate has just jumped: what credit does not cover has to wait
│   ├── BooksBusy              the ledger cannot take writes now
│   ├── BodyKeysUnusable       the keys of the day are not there, or cannot be kept
│   ├── Quarantined            this one sale cannot be booked, and waits for the operator
│   ├── ReleasesStopped        the books contradict themselves: nothing is sold or released
│   ├── ServiceBusy            too much is under way at once
│   └── Draining               this process is stopping
├── Conflict               somebody else was first: read again, and decide anew
│   └── MovedOn, AlreadyOpen
├── SealBroken             what is stored does not open; its reader decides what follows
├── SettingInvalid         the operator must change a setting (stops the start)
└── Broken                 we are wrong
    ├── LedgerUnbalanced       one transition cannot be booked: its subject goes into quarantine
    │   └── LedgerContradicted     the books contradict themselves: all releases stop
    └── IllegalTransition, BooksDamaged
"""

from __future__ import annotations

import enum
from typing import ClassVar


class UpstreamFaultKind(enum.StrEnum):
    """`unclassified` where only the fault's own class says something.

    `rate_limited` is a model's provider, `account_limited` our own account there.
    """

    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    AUTH = "auth"
    PAYMENT = "payment"
    MODERATION = "moderation"
    RATE_LIMITED = "rate_limited"
    ACCOUNT_LIMITED = "account_limited"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    SERVER = "server"
    NOT_FOUND = "not_found"
    UNCLASSIFIED = "unclassified"


NEUTRAL = UpstreamFaultKind.UNCLASSIFIED
# What an upstream says that refuses for load or takes too long before it runs anything, and from
# where on it says that it is not well: refusals that are worth another try.
UPSTREAM_BUSY = frozenset({408, 425, 429})
UPSTREAM_UNWELL_FROM = 500


class CobotMeterError(Exception):
    """Root of everything this service raises on purpose. `code` is stable and snake_case."""

    code: ClassVar[str] = "internal_error"
    # Whether clients that repeat by themselves may: not where it cannot help, or could cost.
    may_retry: bool = True

    def __init__(self, message: str) -> None:
        """`message` is one sentence that says what is wrong and what to do."""
        super().__init__(message)
        self.message = message


class CallerFault(CobotMeterError):
    """The caller must change something; nothing was spent, and the same again changes nothing."""

    may_retry = False


class RequestInvalid(CallerFault):
    """A request that can never succeed as it is; `param` names the offending field."""

    code = "invalid_request"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        """`param` is the path of the field, as OpenAI writes it (`messages[0].role`)."""
        super().__init__(message)
        self.param = param


class RequestTooLarge(CallerFault):
    """The body is over the limit."""

    code = "request_too_large"


class ModelNotOffered(CallerFault):
    """The model is unknown, unpriced or not on offer."""

    code = "model_not_found"


class CeilingOverCap(CallerFault):
    """What it could cost is more than the caller's own cap."""

    code = "ceiling_over_cap"


class CredentialInvalid(CallerFault):
    """A credential was needed and none that proves anything was given."""

    code = "invalid_credential"


class CallerBlocked(CallerFault):
    """The operator has blocked this caller."""

    code = "caller_blocked"


class ExposureExceeded(CallerFault):
    """Opening this escrow would pass a cap.

    `guard` is `address` or `budget` (amounts in pico-USD), `caller` or `available` (in msat). Its
    sentence is made in `refusals.py`. `at_ms` is when it was refused.
    """

    code = "exposure_exceeded"

    def __init__(
        self, message: str, *, guard: str, open_amount: int, limit: int, asked: int
    ) -> None:
        """All three amounts are in the guard's own unit."""
        super().__init__(message)
        self.guard = guard
        self.open_amount = open_amount
        self.limit = limit
        self.asked = asked
        self.at_ms: int | None = None


class AddressBusy(CallerFault):
    """Too much of one network address is under way at once; nothing of this ask was kept."""

    code = "too_many_at_once"
    may_retry = True

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        """`retry_after_s` is when some of it may have ended."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TopupsOpen(CallerFault):
    """Strangers of this address have as many unpaid top-ups as there may be."""

    code = "topups_open"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        """`retry_after_s` is when the first of them ends."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class IdempotencyConflict(CallerFault):
    """An Idempotency-Key came again, with another request or for a top-up that ended unpaid."""

    code = "idempotency_key_reused"


class AlreadyPaid(CallerFault):
    """The escrow of this very request is settled; the proof is missing, not the money."""

    code = "already_paid"

    def __init__(self, message: str, *, escrow_id: str) -> None:
        """`escrow_id` is the settled escrow."""
        super().__init__(message)
        self.escrow_id = escrow_id


class EscrowNotFound(CallerFault):
    """Nothing of this caller has that name."""

    code = "not_found"


class InvoiceUnpaid(CallerFault):
    """The invoice behind the credential is still open."""

    code = "payment_required"

    def __init__(self, message: str, *, escrow_id: str) -> None:
        """`escrow_id` is the unpaid escrow."""
        super().__init__(message)
        self.escrow_id = escrow_id


class CompletionGone(CallerFault):
    """The completion is no longer kept."""

    code = "completion_gone"


class DependencyFault(CobotMeterError):
    """A part outside failed; `may_retry` says whether the same request can help later."""

    code = "dependency_failed"

    def __init__(
        self, message: str, *, retry_after_s: int | None = None, kind: UpstreamFaultKind = NEUTRAL
    ) -> None:
        """`retry_after_s` is what the part asked for; `kind` what an upstream says it is."""
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.kind = kind


class UpstreamRefused(DependencyFault):
    """The upstream answered with an error before running anything: certainly not charged."""

    code = "upstream_refused"
    may_retry = False

    def __init__(
        self,
        message: str,
        *,
        status: int,
        retry_after_s: int | None = None,
        kind: UpstreamFaultKind = NEUTRAL,
    ) -> None:
        """`status` is the upstream's HTTP status."""
        super().__init__(message, retry_after_s=retry_after_s, kind=kind)
        self.status = status
        self.may_retry = status in UPSTREAM_BUSY or status >= UPSTREAM_UNWELL_FROM


class UpstreamUnreachable(DependencyFault):
    """No byte reached the upstream: certainly not charged."""

    code = "upstream_unavailable"


class UpstreamCreditLow(DependencyFault):
    """Our own credit would not last for this ask; nothing was asked."""

    code = "upstream_credit_low"


class UpstreamFailed(DependencyFault):
    """The upstream ran and failed. `inline_cost` is what the error frame said, if it did."""

    code = "upstream_failed"

    def __init__(
        self, message: str, *, inline_cost: str | None = None, kind: UpstreamFaultKind = NEUTRAL
    ) -> None:
        """`inline_cost` is the raw JSON number text of `usage.cost` in USD."""
        super().__init__(message, kind=kind)
        self.inline_cost = inline_cost


class OutcomeUnknown(DependencyFault):
    """The upstream may have run and may have charged; never a failure, never repeated."""

    code = "outcome_unknown"
    may_retry = False


class CostNotYetKnown(DependencyFault):
    """The generation has no cost record yet (a 404 is not distinguishable from never)."""

    code = "cost_not_yet_known"


class CostPending(DependencyFault):
    """The completion exists and its cost is still being looked up: ask the same again."""

    code = "cost_pending"


class NodeUnavailable(DependencyFault):
    """The Lightning node did not answer, or not usefully: the outcome of the call is unknown."""

    code = "node_unavailable"


class InvoiceRefused(DependencyFault):
    """The node said no for good, or the invoice it made fails our check."""

    code = "invoice_refused"
    may_retry = False


class RateStale(DependencyFault):
    """No exchange rate is fresh enough to price with."""

    code = "rate_stale"


class RateJumped(DependencyFault):
    """The exchange rate has just jumped: only asks that credit covers are taken for now."""

    code = "rate_jumped"


class BooksBusy(DependencyFault):
    """The ledger cannot take the write now; nothing was booked."""

    code = "books_busy"


class BodyKeysUnusable(DependencyFault):
    """What is kept for callers cannot be sealed or opened before the operator has looked."""

    code = "body_keys_unusable"

    def __init__(self, message: str, *, why: str) -> None:
        """`why` is for the operator: what is wrong with which file, and what to do."""
        super().__init__(message)
        self.why = why


class Quarantined(DependencyFault):
    """What happened to this sale cannot be booked: the operator has to look at it."""

    code = "quarantined"
    may_retry = False

    def __init__(self, message: str, *, why: str) -> None:
        """`why` is for the operator: what could not be booked, in the books' own words."""
        super().__init__(message)
        self.why = why


class ReleasesStopped(DependencyFault):
    """Nothing is sold or released before the operator has looked at the books."""

    code = "releases_stopped"


class ServiceBusy(DependencyFault):
    """Too much is under way at once; nothing of this ask was kept."""

    code = "service_busy"


class Draining(DependencyFault):
    """This process is stopping and opens nothing new."""

    code = "draining"


class Conflict(CobotMeterError):
    """Somebody else was first, as happens: nothing was written; read again and decide anew."""

    code = "conflict"


class MovedOn(Conflict):
    """The row is no longer the version that was read."""

    code = "moved_on"


class AlreadyOpen(Conflict):
    """This subject, or another one for the same request, is open already."""

    code = "already_open"


class SealBroken(CobotMeterError):
    """What is stored does not open with its key: whoever opens it decides what follows."""

    code = "seal_broken"


class SettingInvalid(CobotMeterError):
    """A setting is missing, wrong or unknown: one line, exit 2."""

    code = "setting_invalid"


class Broken(CobotMeterError):
    """We are wrong. Never caught below the process edge."""

    code = "internal_error"
    may_retry = False


class LedgerUnbalanced(Broken):
    """Transfers that cannot be booked: the books would not add up."""

    code = "ledger_unbalanced"


class LedgerContradicted(LedgerUnbalanced):
    """What the books say in one place is not what they say in another."""

    code = "ledger_contradicted"


class IllegalTransition(Broken):
    """An event that the escrow table does not have for this state; nothing changed."""

    code = "illegal_transition"


class BooksDamaged(Broken):
    """The books cannot be read: their file, their tables or a row is not what was written."""

    code = "books_damaged"
