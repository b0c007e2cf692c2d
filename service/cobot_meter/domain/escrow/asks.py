"""What an identical ask gets, by the state of the escrow it finds: one table, no I/O.

Callers' HTTP libraries time out and retry, tokens are dropped and found again; whatever comes,
one ask is one run and one invoice. Must not know: HTTP, tokens, or who waits.
"""

from __future__ import annotations

import enum

from cobot_meter.domain.escrow.record import IN_FLIGHT, Escrow, EscrowState
from cobot_meter.domain.retention import Retention

S = EscrowState
# Paid for, it is delivered all the same if it can be; ended, it is nobody's trouble any more.
_HELD_UP = IN_FLIGHT | {S.COSTED, S.INVOICED}


class Verdict(enum.StrEnum):
    """What to do with an ask that found an escrow."""

    WAIT = "wait"
    CHALLENGE = "challenge"
    DELIVER = "deliver"
    ALREADY_PAID = "already_paid"
    SAME_FAILURE = "same_failure"
    GONE = "gone"
    OPEN_ANEW = "open_anew"
    QUARANTINED = "quarantined"


def verdict(
    escrow: Escrow, *, asker: str | None, now_ms: int, retention: Retention, keyed: bool
) -> Verdict:
    """For an ask without this escrow's own proof; `asker` is the known caller, None if nameless.

    `keyed` asks brought the same Idempotency-Key and never open anew, but for those without a name
    that meet the escrow of a caller with one: a key is its owner's, and that one is not theirs.
    """
    keyed = keyed and (asker is not None or escrow.ask.nameless)
    if escrow.quarantine is not None and escrow.state in _HELD_UP:
        return Verdict.QUARANTINED
    match escrow.state:
        case S.OPENED | S.REQUESTED | S.GENERATED | S.COSTED:
            return Verdict.WAIT
        case S.INVOICED:
            return Verdict.CHALLENGE
        case S.FAILED:
            fresh = now_ms - escrow.changed_at_ms <= retention.failure_repeated_ms
            return Verdict.SAME_FAILURE if fresh or keyed else Verdict.OPEN_ANEW
        case S.SETTLED | S.RELEASED:
            return _paid(escrow, asker=asker, keyed=keyed)
        case _:
            return Verdict.GONE if keyed else Verdict.OPEN_ANEW


def _paid(escrow: Escrow, *, asker: str | None, keyed: bool) -> Verdict:
    own = asker == escrow.caller_id or (escrow.ask.nameless and escrow.price_msat == 0)
    if not escrow.paid_by_invoice:
        readable = escrow.state is S.SETTLED or (_kept(escrow) and (asker or keyed))
        if own and readable:
            return Verdict.DELIVER
        return Verdict.GONE if keyed else Verdict.OPEN_ANEW
    if escrow.state is S.SETTLED or keyed:
        return Verdict.ALREADY_PAID
    return Verdict.OPEN_ANEW


def _kept(escrow: Escrow) -> bool:
    """Whether a released completion can still be read; its key is dropped after a day."""
    return escrow.keep_until_ms is not None


def is_over(escrow: Escrow, *, now_ms: int, retention: Retention) -> bool:
    """Whether even its own macaroon and preimage, with the same request, ask for a new one.

    That is once nobody can be repeating the claim any more: a day after the end, whether it was
    handed over or became credit. Until then the claim says what became of it and runs nothing.
    """
    match escrow.state:
        case S.RELEASED:
            return not _kept(escrow)
        case S.EXPIRED | S.REFUNDED:
            return now_ms - escrow.changed_at_ms > retention.released_ms
        case _:
            return False


def own_verdict(escrow: Escrow) -> Verdict:
    """For whoever brings this escrow's own macaroon and preimage, and wants this very one."""
    if escrow.quarantine is not None and escrow.state in _HELD_UP:
        return Verdict.QUARANTINED
    match escrow.state:
        case S.INVOICED:
            return Verdict.CHALLENGE
        case S.SETTLED | S.RELEASED:
            return Verdict.DELIVER
        case S.FAILED:
            return Verdict.SAME_FAILURE
        case S.EXPIRED | S.REFUNDED:
            return Verdict.GONE
        case _:
            return Verdict.WAIT
