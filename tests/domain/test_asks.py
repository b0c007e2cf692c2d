"""What an identical ask gets: every state, with and without a name or a key."""

from __future__ import annotations

import pytest

from service.domain import escrow_events as on
from service.domain.asks import Verdict, own_verdict, verdict
from service.domain.escrow_record import Escrow, EscrowState
from tests.domain.samples import CALLER, NOW_MS, RETENTION
from tests.domain.stages import STAGES, covered, paid_late

S, V = EscrowState, Verdict
LATER_MS = NOW_MS + RETENTION.failure_repeated_ms + 1
WAITING = dict.fromkeys((S.OPENED, S.REQUESTED, S.GENERATED, S.COSTED), V.WAIT)
PLAIN = {
    **WAITING,
    S.INVOICED: V.CHALLENGE,
    S.SETTLED: V.ALREADY_PAID,
    S.RELEASED: V.OPEN_ANEW,
    S.FAILED: V.SAME_FAILURE,
    S.EXPIRED: V.OPEN_ANEW,
    S.REFUNDED: V.OPEN_ANEW,
}
KEYED = {
    **PLAIN,
    S.RELEASED: V.ALREADY_PAID,
    S.EXPIRED: V.GONE,
    S.REFUNDED: V.GONE,
}
OWN = {
    **WAITING,
    S.INVOICED: V.CHALLENGE,
    S.SETTLED: V.DELIVER,
    S.RELEASED: V.DELIVER,
    S.FAILED: V.SAME_FAILURE,
    S.EXPIRED: V.GONE,
    S.REFUNDED: V.GONE,
}


def got(
    escrow: Escrow, *, asker: str | None = None, now_ms: int = NOW_MS, keyed: bool = False
) -> Verdict:
    """The verdict without this escrow's own proof."""
    return verdict(escrow, asker=asker, now_ms=now_ms, retention=RETENTION, keyed=keyed)


@pytest.mark.parametrize("asker", [None, CALLER, "c_mallory"])
@pytest.mark.parametrize("state", list(S))
def test_without_proof(state: EscrowState, asker: str | None) -> None:
    """Paid by invoice: whoever asks, only macaroon and preimage open it."""
    escrow = STAGES[state]().escrow
    assert got(escrow, asker=asker) is PLAIN[state]
    assert got(escrow, asker=asker, keyed=True) is KEYED[state]


@pytest.mark.parametrize("state", list(S))
def test_with_its_own_proof(state: EscrowState) -> None:
    """The pair that was paid for reads it, and never opens another."""
    assert own_verdict(STAGES[state]().escrow) is OWN[state]


def test_a_failure_is_repeated_for_a_minute() -> None:
    """Then the same ask runs anew, unless its key says that it is the same one."""
    failed = STAGES[S.FAILED]().escrow
    assert got(failed, now_ms=LATER_MS - 1) is V.SAME_FAILURE
    assert got(failed, now_ms=LATER_MS) is V.OPEN_ANEW
    assert got(failed, now_ms=LATER_MS, keyed=True) is V.SAME_FAILURE


@pytest.mark.parametrize("keyed", [False, True])
def test_what_credit_bought_is_its_callers(*, keyed: bool) -> None:
    """The caller's credential reads it; nobody else's does, and no key opens a second."""
    walk = covered().tell(on.CoveredByCredit())
    assert got(walk.escrow, asker=CALLER, keyed=keyed) is V.DELIVER
    for asker in (None, "c_mallory"):
        assert got(walk.escrow, asker=asker, keyed=keyed) is (V.GONE if keyed else V.OPEN_ANEW)
    walk.tell(on.CompletionDelivered())
    assert got(walk.escrow, asker=CALLER, keyed=keyed) is V.DELIVER


def test_what_was_bought_late_still_wants_its_proof() -> None:
    """It had an invoice, so its own pair is what opens it."""
    late = paid_late().tell(on.LatePurchase()).escrow
    assert got(late, asker=CALLER) is V.ALREADY_PAID
    assert own_verdict(late) is V.DELIVER
