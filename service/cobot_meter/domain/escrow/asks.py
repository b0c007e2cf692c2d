"""What an identical ask gets, by the state of the escrow it finds: one table, no I/O.

Callers' HTTP libraries time out and retry, tokens are dropped and found again; whatever comes,
one ask is one run and one invoice. Must not know: HTTP, tokens, or who waits.
"""

from __future__ import annotations

import enum

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import STATES, EscrowState, Mode, Stage
from cobot_meter.domain.retention import Retention

S = EscrowState


# Why an answer ended that everybody had stopped reading: the books' own word for it.
DESERTED = "cancelled"


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
    escrow: Escrow,
    *,
    asker: str | None,
    now_ms: int,
    retention: Retention,
    keyed: bool,
    handed_over: bool = False,
) -> Verdict:
    """For an ask without this escrow's own proof; `asker` is the known caller, None if nameless.

    A `keyed` ask brought the Idempotency-Key that the escrow was opened with, and never opens anew.
    One without a name that meets the escrow of a named caller counts as not keyed: an
    Idempotency-Key holds for the caller who sent it, and that is another one. `handed_over` says
    that the answer is known to have reached whoever asked.
    """
    keyed = keyed and (asker is not None or escrow.ask.nameless)
    if is_held_up(escrow):
        return Verdict.QUARANTINED
    match STATES[escrow.state].stage:
        case Stage.RUNNING:
            return Verdict.WAIT
        case Stage.UNPAID:
            return Verdict.CHALLENGE
        case Stage.FAILED:
            fresh = _apart_ms(escrow, now_ms) <= retention.failure_repeated_ms
            return Verdict.SAME_FAILURE if fresh or keyed else Verdict.OPEN_ANEW
        case Stage.PAID:
            retry = not handed_over and _is_retry(escrow, now_ms, retention)
            return _paid(escrow, asker=asker, keyed=keyed, retry=retry)
        case Stage.OVER:
            return Verdict.GONE if keyed else Verdict.OPEN_ANEW


def is_held_up(escrow: Escrow) -> bool:
    """Whether quarantine keeps it from whoever waits for it.

    Paid for, it is delivered all the same if it can be; ended, it is nobody's trouble any more.
    """
    return escrow.quarantine is not None and STATES[escrow.state].awaited


def _is_retry(escrow: Escrow, now_ms: int, retention: Retention) -> bool:
    """Whether the ask may come from somebody who has not got the answer, and repeats it.

    Who pays by invoice claims what was bought, for a day. Agents on credit send the same request
    again at once when an answer broke off, and later because they want another one.
    """
    if was_deserted(escrow):
        return False  # who left it does not want a part of it
    return not is_on_credit(escrow) or _apart_ms(escrow, now_ms) <= retention.captured_repeated_ms


def is_on_credit(escrow: Escrow) -> bool:
    """Whether a key asked for it, whose owner has paid beforehand."""
    of_a_key = escrow.mode is Mode.PANEL and escrow.key_id is not None
    return escrow.mode is Mode.CREDIT or of_a_key


def was_deserted(escrow: Escrow) -> bool:
    """Whether its answer was ended because nobody read it any more."""
    summary = escrow.run.summary
    on_credit = escrow.mode is Mode.CREDIT
    return on_credit and summary is not None and summary.finish_reason == DESERTED


def _paid(escrow: Escrow, *, asker: str | None, keyed: bool, retry: bool) -> Verdict:
    own = asker == escrow.caller_id or (escrow.ask.nameless and escrow.price_msat == 0)
    if not escrow.paid_by_invoice:
        repeated = keyed or (retry and asker is not None)
        # What was captured on credit is in memory, if not in the books: whoever delivers it sees.
        kept = _kept(escrow) or (retry and escrow.mode is Mode.CREDIT)
        readable = escrow.state is S.SETTLED or (kept and repeated)
        if own and readable:
            return Verdict.DELIVER
        return Verdict.GONE if keyed else Verdict.OPEN_ANEW
    if escrow.state is S.SETTLED or keyed:
        return Verdict.ALREADY_PAID
    return Verdict.OPEN_ANEW


def _kept(escrow: Escrow) -> bool:
    """Whether a released completion can still be read; its body's key is dropped after a day."""
    return escrow.keep_until_ms is not None


def is_over(escrow: Escrow, *, now_ms: int, retention: Retention) -> bool:
    """Whether even its own macaroon and preimage, with the same request, ask for a new one.

    That is once nobody can be repeating the claim any more: a day after the end, whether it was
    handed over or became credit. Until then the claim says what became of it and runs nothing.
    """
    if escrow.state is S.RELEASED:
        return not _kept(escrow)
    over = STATES[escrow.state].stage is Stage.OVER
    return over and _apart_ms(escrow, now_ms) > retention.released_ms


def _apart_ms(escrow: Escrow, now_ms: int) -> int:
    """How far its last change is from now: one that is still to come is of a clock that went back.

    Counted as not yet over, what failed while the clock was a month ahead would fail for a month.
    """
    return abs(now_ms - escrow.changed_at_ms)


def own_verdict(escrow: Escrow) -> Verdict:
    """For whoever brings this escrow's own macaroon and preimage, and wants this very one."""
    return Verdict.QUARANTINED if is_held_up(escrow) else _OWN[STATES[escrow.state].stage]


_OWN = {
    Stage.RUNNING: Verdict.WAIT,
    Stage.UNPAID: Verdict.CHALLENGE,
    Stage.PAID: Verdict.DELIVER,
    Stage.FAILED: Verdict.SAME_FAILURE,
    Stage.OVER: Verdict.GONE,
}
