"""What an identical ask gets: every state, with and without a name or a key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.asks import Verdict, is_over, own_verdict, verdict
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.run import events as ran
from tests.domain.escrow.stages import STAGES, covered, paid_late, parked
from tests.domain.escrow.walks import Walk
from tests.domain.samples import CALLER, NOW_MS, RETENTION, Shape, cost_known, received

S, V = Progress, Verdict
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


def opened_as(escrow: Escrow, *, nameless: bool) -> Escrow:
    """The same escrow, asked for with or without a name."""
    return replace(escrow, ask=replace(escrow.ask, nameless=nameless))


@pytest.mark.parametrize("nameless", [False, True])
@pytest.mark.parametrize("asker", [None, CALLER, "c_mallory"])
@pytest.mark.parametrize("state", list(S))
def test_without_proof(state: Progress, asker: str | None, *, nameless: bool) -> None:
    """Paid by invoice: whoever asks, only macaroon and preimage open it.

    A key counts where it is the asker's: somebody's without a name is not that of a named caller.
    """
    escrow = opened_as(STAGES[state]().escrow, nameless=nameless)
    assert got(escrow, asker=asker) is PLAIN[state]
    own_key = asker is not None or nameless
    assert got(escrow, asker=asker, keyed=True) is (KEYED if own_key else PLAIN)[state]


@pytest.mark.parametrize("state", list(S))
def test_with_its_own_proof(state: Progress) -> None:
    """The pair that was paid for reads it, and never opens another."""
    assert own_verdict(STAGES[state]().escrow) is OWN[state]


@pytest.mark.parametrize("state", list(S))
def test_when_its_own_proof_asks_for_a_new_one(state: Progress) -> None:
    """A day after it became credit, once a delivered one is erased, and never before."""
    walk = STAGES[state]()
    day_later = NOW_MS + RETENTION.released_ms + 1
    credit = {S.EXPIRED, S.REFUNDED}
    assert not is_over(walk.escrow, now_ms=day_later - 1, retention=RETENTION)
    assert is_over(walk.escrow, now_ms=day_later, retention=RETENTION) is (state in credit)
    if state is S.RELEASED:
        walk.tell(on.BodiesShredded())
        assert is_over(walk.escrow, now_ms=NOW_MS, retention=RETENTION)


def test_a_failure_is_repeated_for_a_minute() -> None:
    """Then the same ask runs anew, unless its key says that it is the same one."""
    failed = STAGES[S.FAILED]().escrow
    assert got(failed, now_ms=LATER_MS - 1) is V.SAME_FAILURE
    assert got(failed, now_ms=LATER_MS) is V.OPEN_ANEW
    assert got(failed, asker=CALLER, now_ms=LATER_MS, keyed=True) is V.SAME_FAILURE


@pytest.mark.parametrize("keyed", [False, True])
def test_what_credit_bought_is_its_callers(*, keyed: bool) -> None:
    """The caller's credential reads it; nobody else's does, and no key opens a second."""
    walk = covered().tell(on.CoveredByCredit())
    assert got(walk.escrow, asker=CALLER, keyed=keyed) is V.DELIVER
    not_theirs = V.GONE if keyed else V.OPEN_ANEW
    assert got(walk.escrow, asker="c_mallory", keyed=keyed) is not_theirs
    assert got(walk.escrow, asker=None, keyed=keyed) is V.OPEN_ANEW
    walk.tell(on.CompletionDelivered())
    assert got(walk.escrow, asker=CALLER, keyed=keyed) is V.DELIVER


def test_what_credit_bought_runs_anew_once_it_is_no_longer_kept() -> None:
    """The same prompt a day later is a new sale; only its own key says that it is the old one."""
    walk = covered().tell(on.CoveredByCredit(), on.CompletionDelivered(), on.BodiesShredded())
    assert got(walk.escrow, asker=CALLER) is V.OPEN_ANEW
    assert got(walk.escrow, asker=CALLER, keyed=True) is V.GONE


def free(*events: on.EscrowEvent, nameless: bool) -> Escrow:
    """A completion that cost nothing, asked for with or without a name."""
    walk = Walk(Shape(ceiling=0)).tell(ran.UpstreamRequested(), received())
    walk.tell(cost_known(walk.escrow, 0), on.CoveredByCredit(), *events)
    return opened_as(walk.escrow, nameless=nameless)


READ, SHREDDED = on.CompletionDelivered(), on.BodiesShredded()


@pytest.mark.parametrize(
    ("events", "asker", "keyed", "expected"),
    [
        ((), None, False, V.DELIVER),
        ((), None, True, V.DELIVER),
        ((), "c_mallory", False, V.DELIVER),
        ((READ,), None, False, V.OPEN_ANEW),
        ((READ,), None, True, V.DELIVER),
        ((READ,), "c_mallory", False, V.DELIVER),
        ((READ, SHREDDED), None, False, V.OPEN_ANEW),
        ((READ, SHREDDED), None, True, V.GONE),
        ((READ, SHREDDED), CALLER, False, V.OPEN_ANEW),
        ((READ, SHREDDED), CALLER, True, V.GONE),
        ((on.ClaimLapsed(kept_msat=0),), None, False, V.OPEN_ANEW),
        ((on.ClaimLapsed(kept_msat=0),), None, True, V.GONE),
    ],
)
def test_what_was_free_and_nameless_is_anybodys_who_asks_the_same(
    events: tuple[on.EscrowEvent], asker: str | None, expected: Verdict, *, keyed: bool
) -> None:
    """Once it was read, only a name or the same key says that it is not another ask."""
    assert got(free(*events, nameless=True), asker=asker, keyed=keyed) is expected


@pytest.mark.parametrize(
    ("asker", "keyed", "expected"),
    [
        (CALLER, False, V.DELIVER),
        (CALLER, True, V.DELIVER),
        (None, False, V.OPEN_ANEW),
        (None, True, V.OPEN_ANEW),
        ("c_mallory", False, V.OPEN_ANEW),
        ("c_mallory", True, V.GONE),
    ],
)
def test_what_was_free_and_asked_for_by_name_is_that_callers(
    asker: str | None, expected: Verdict, *, keyed: bool
) -> None:
    """Price or not: nobody reads what somebody else has asked."""
    assert got(free(nameless=False), asker=asker, keyed=keyed) is expected
    assert got(free(READ, nameless=False), asker=asker, keyed=keyed) is expected


@pytest.mark.parametrize("state", list(S))
def test_what_is_parked_is_held_up_until_it_is_paid(state: Progress) -> None:
    """Nobody waits for what the operator has to look at; paid or ended it goes on as ever."""
    escrow = parked(state).escrow
    held_up = state in {S.OPENED, S.REQUESTED, S.GENERATED, S.COSTED, S.INVOICED}
    assert (got(escrow) is V.QUARANTINED) is held_up
    assert (own_verdict(escrow) is V.QUARANTINED) is held_up
    if not held_up:
        assert got(escrow) is PLAIN[state]
        assert own_verdict(escrow) is OWN[state]


def test_what_was_bought_late_still_wants_its_proof() -> None:
    """It had an invoice, so its own pair is what opens it."""
    late = paid_late().tell(on.LatePurchase()).escrow
    assert got(late, asker=CALLER) is V.ALREADY_PAID
    assert own_verdict(late) is V.DELIVER


@pytest.mark.parametrize(
    "apart_ms", [RETENTION.failure_repeated_ms + 1, 30 * RETENTION.released_ms]
)
def test_a_failure_that_is_still_to_come_is_of_a_clock_that_went_back(apart_ms: int) -> None:
    """It is no more repeated than one of as long ago, or it would be for as long as that."""
    failed = STAGES[S.FAILED]().escrow
    assert got(failed, now_ms=failed.changed_at_ms - apart_ms) is V.OPEN_ANEW
    assert got(failed, now_ms=failed.changed_at_ms - 1) is V.SAME_FAILURE
