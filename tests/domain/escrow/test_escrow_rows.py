"""What each event changes of an escrow's row: exactly this, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.machine import WRITTEN_OFF_FAILURE, advance
from cobot_meter.domain.escrow.record import Escrow, Failure
from cobot_meter.domain.escrow.states import EscrowState
from tests.domain.escrow.stages import PARKED, STAGES, covered, paid_late, parked
from tests.domain.escrow.walks import Walk
from tests.domain.samples import (
    FAILURE,
    NOW_MS,
    RETENTION,
    Shape,
    canceled,
    cost_known,
    cost_of,
    invoice_issued,
    invoice_lost,
    received,
    settled,
)

S = EscrowState
AT_MS = NOW_MS + 12_345
Event = on.EscrowEvent
Changes = dict[str, Any]
NAMED = on.GenerationStarted(generation_id="gen-1")
ENDED: Changes = {"keep_until_ms": None, "failure": FAILURE}
# An ask with a least, so that what is counted is not only what it cost.
LEAST = Shape(least=300)


def at(state: EscrowState) -> Escrow:
    """An escrow in this state."""
    return STAGES[state]().escrow


def named(shape: Shape | None = None) -> Escrow:
    """Requested, and the upstream has said what it calls the run."""
    return Walk(shape).tell(on.UpstreamRequested(requested_by="replica-1"), NAMED).escrow


def kept(escrow: Escrow) -> Escrow:
    """The same with a key that is still there to be dropped."""
    return replace(escrow, keep_until_ms=1, lookup_at_ms=2)


def failed(*, charged: bool, cost: int | None = None) -> on.UpstreamFailed:
    """The upstream's failure, at a cost or none."""
    known = None if cost is None else cost_of(cost)
    return on.UpstreamFailed(failure=FAILURE, charged=charged, cost=known, continued_as="esc_2")


def costed(shape: Shape | None = None) -> Escrow:
    """A run whose cost is known."""
    walk = Walk(shape).tell(on.UpstreamRequested(), received())
    return walk.tell(cost_known(walk.escrow, 200)).escrow


ROWS: dict[str, tuple[Escrow, Event, EscrowState, Changes]] = {
    "requested": (
        at(S.OPENED),
        on.UpstreamRequested(requested_by="replica-7"),
        S.REQUESTED,
        {"requested_by": "replica-7"},
    ),
    "abandoned": (
        kept(at(S.OPENED)),
        on.Abandoned(),
        S.FAILED,
        {
            "failure": Failure(
                code="abandoned", message="The request was not started in time; ask again."
            ),
            "budget_held_pusd": 0,
            "keep_until_ms": None,
        },
    ),
    "started": (at(S.REQUESTED), NAMED, S.REQUESTED, {"generation_id": "gen-1"}),
    "received": (
        named(),
        received(completed_at_ms=77),
        S.GENERATED,
        {
            "generation_id": "gen-1",
            "run": received(completed_at_ms=77).run,
            "lookup_at_ms": 77,
        },
    ),
    "refused": (
        kept(named()),
        failed(charged=False),
        S.FAILED,
        {**ENDED, "lookup_at_ms": None, "continued_as": "esc_2", "budget_held_pusd": 0},
    ),
    "refused, whatever it says of a cost": (
        kept(named()),
        failed(charged=False, cost=5),
        S.FAILED,
        {**ENDED, "lookup_at_ms": None, "continued_as": "esc_2", "budget_held_pusd": 0},
    ),
    "failed at a cost that it said": (
        kept(named()),
        failed(charged=True, cost=5),
        S.FAILED,
        {
            **ENDED,
            "cost": cost_of(5),
            "lookup_at_ms": AT_MS,
            "continued_as": "esc_2",
            "budget_held_pusd": 0,
        },
    ),
    "failed at a cost that is looked up": (
        kept(named()),
        failed(charged=True),
        S.FAILED,
        {**ENDED, "lookup_at_ms": AT_MS, "continued_as": "esc_2"},
    ),
    "failed at a cost that nobody can look up": (
        kept(at(S.REQUESTED)),
        failed(charged=True),
        S.FAILED,
        {**ENDED, "lookup_at_ms": None, "continued_as": "esc_2"},
    ),
    "unknown, with a name": (
        kept(named()),
        on.OutcomeUnknown(failure=FAILURE, continued_as="esc_2"),
        S.FAILED,
        {**ENDED, "lookup_at_ms": AT_MS, "continued_as": "esc_2"},
    ),
    "unknown, without": (
        kept(at(S.REQUESTED)),
        on.OutcomeUnknown(failure=FAILURE),
        S.FAILED,
        {**ENDED, "lookup_at_ms": None},
    ),
    "costed": (
        Walk(LEAST).tell(on.UpstreamRequested(), received()).escrow,
        cost_known(Walk(LEAST).escrow, 200, confirmed=False),
        S.COSTED,
        {
            "cost": cost_of(200, confirmed=False),
            "priced_pusd": 200,
            "price_msat": 200,
            "credit_used_msat": 0,
            "payment_hash": cost_known(Walk(LEAST).escrow, 200).payment_hash,
            "lookup_at_ms": NOW_MS,
            "budget_hold": 1,
            "budget_held_pusd": 300,
        },
    ),
    "costed, where credit held no budget": (
        Walk(Shape(credit=10_000)).tell(on.UpstreamRequested(), received()).escrow,
        cost_known(Walk(Shape(credit=10_000)).escrow, 200),
        S.COSTED,
        {
            "cost": cost_of(200),
            "priced_pusd": 200,
            "price_msat": 200,
            "credit_used_msat": 200,
            "payment_hash": cost_known(Walk().escrow, 200).payment_hash,
            "lookup_at_ms": None,
            "budget_hold": 1,
        },
    ),
    "confirmed while it is unpaid": (
        costed(LEAST),
        on.CostConfirmed(cost=cost_of(400)),
        S.COSTED,
        {
            "cost": cost_of(400),
            "lookup_at_ms": None,
            "budget_hold": 2,
            "budget_held_pusd": 400,
        },
    ),
    "confirmed at less than its least": (
        costed(LEAST),
        on.CostConfirmed(cost=cost_of(100)),
        S.COSTED,
        {
            "cost": cost_of(100),
            "lookup_at_ms": None,
            "budget_hold": 2,
            "budget_held_pusd": 300,
        },
    ),
    "confirmed once it is paid": (
        kept(at(S.SETTLED)),
        on.CostConfirmed(cost=cost_of(400)),
        S.SETTLED,
        {"cost": cost_of(400), "lookup_at_ms": None},
    ),
    "confirmed once it failed": (
        at(S.FAILED),
        on.CostConfirmed(cost=cost_of(400)),
        S.FAILED,
        {
            "cost": cost_of(400),
            "lookup_at_ms": None,
            "budget_hold": 1,
            "budget_held_pusd": 0,
        },
    ),
    "missed": (
        replace(at(S.GENERATED), lookups=3),
        on.CostLookupMissed(lookup_at_ms=99),
        S.GENERATED,
        {"lookups": 4, "lookup_at_ms": 99},
    ),
    "not found": (
        kept(at(S.GENERATED)),
        on.CostNotFound(failure=FAILURE),
        S.FAILED,
        {**ENDED, "lookup_at_ms": None},
    ),
    "attributed": (
        kept(at(S.FAILED)),
        on.CostAttributed(cost_pusd=1),
        S.FAILED,
        {"budget_held_pusd": 0, "lookup_at_ms": None},
    ),
    "given up": (
        kept(at(S.FAILED)),
        on.CostGivenUp(),
        S.FAILED,
        {"budget_held_pusd": 0, "lookup_at_ms": None},
    ),
    "covered": (
        replace(covered().escrow, budget_held_pusd=7),
        on.CoveredByCredit(),
        S.SETTLED,
        {
            "budget_held_pusd": 0,
            "settled_at_ms": AT_MS,
            "keep_until_ms": AT_MS + RETENTION.unclaimed_ms,
        },
    ),
    "issued": (
        at(S.COSTED),
        invoice_issued(at(S.COSTED)),
        S.INVOICED,
        {"invoice": invoice_issued(at(S.COSTED)).invoice},
    ),
    "lost": (
        at(S.COSTED),
        invoice_lost(at(S.COSTED)),
        S.COSTED,
        {"attempt": 1, "payment_hash": invoice_lost(at(S.COSTED)).payment_hash},
    ),
    "no invoice": (
        kept(at(S.COSTED)),
        on.InvoiceRefused(failure=FAILURE),
        S.FAILED,
        {**ENDED, "budget_held_pusd": 0},
    ),
    "paid": (
        at(S.INVOICED),
        settled(at(S.INVOICED), 9_000, settle_index=5),
        S.SETTLED,
        {
            "paid_msat": 9_000,
            "settle_index": 5,
            "budget_held_pusd": 0,
            "settled_at_ms": AT_MS,
            "keep_until_ms": AT_MS + RETENTION.unclaimed_ms,
        },
    ),
    "paid late": (
        at(S.EXPIRED),
        settled(at(S.EXPIRED), 9_000, settle_index=5),
        S.EXPIRED,
        {"paid_msat": 9_000, "settle_index": 5},
    ),
    "lapsed": (
        at(S.INVOICED),
        canceled(at(S.INVOICED)),
        S.EXPIRED,
        {"budget_held_pusd": 0, "keep_until_ms": AT_MS + RETENTION.unpaid_ms},
    ),
    "bought late": (
        paid_late().escrow,
        on.LatePurchase(),
        S.SETTLED,
        {
            "credit_used_msat": 7_000,
            "settled_at_ms": AT_MS,
            "keep_until_ms": AT_MS + RETENTION.unclaimed_ms,
        },
    ),
    "delivered": (
        at(S.SETTLED),
        on.CompletionDelivered(),
        S.RELEASED,
        {"keep_until_ms": AT_MS + RETENTION.released_ms},
    ),
    "unreadable": (at(S.SETTLED), on.CompletionLost(), S.REFUNDED, {"keep_until_ms": None}),
    "unclaimed": (
        at(S.SETTLED),
        on.ClaimLapsed(kept_msat=1),
        S.REFUNDED,
        {"keep_until_ms": None},
    ),
    "shredded": (at(S.RELEASED), on.BodiesShredded(), S.RELEASED, {"keep_until_ms": None}),
    "parked": (
        at(S.INVOICED),
        PARKED,
        S.INVOICED,
        {"quarantine": "cost_confirmed: it is too large"},
    ),
    "let go": (parked(S.INVOICED).escrow, on.QuarantineLifted(), S.INVOICED, {"quarantine": None}),
}


@pytest.mark.parametrize("row", ROWS)
def test_an_event_changes_so_much_of_the_row(row: str) -> None:
    """State, version, time, and the named fields; all others stay as they were."""
    before, event, state, changes = ROWS[row]
    after = advance(before, event, at_ms=AT_MS, retention=RETENTION)
    expected = {"state": state, "version": before.version + 1, "changed_at_ms": AT_MS, **changes}
    assert after == replace(before, **expected)


ENDS_UNBOOKED: Changes = {
    "quarantine": None,
    "budget_held_pusd": 0,
    "lookup_at_ms": None,
    "keep_until_ms": None,
}
EMPTY, LATE = on.WrittenOff(reason="looked at"), 4_000


def found(paid_msat: int) -> on.WrittenOff:
    """The operator ends it, and credits what the node was paid."""
    return on.WrittenOff(reason="looked at", paid_msat=paid_msat, settle_index=6)


@pytest.mark.parametrize("state", list(S))
def test_what_is_written_off_ends(state: EscrowState) -> None:
    """Where it would have failed it says why; nothing is held or kept any more."""
    before = kept(parked(state).escrow)
    after = advance(before, EMPTY, at_ms=AT_MS, retention=RETENTION)
    ends = {
        **dict.fromkeys((S.OPENED, S.REQUESTED, S.GENERATED, S.COSTED), S.FAILED),
        S.INVOICED: S.EXPIRED,
        S.SETTLED: S.REFUNDED,
    }
    changes = {**ENDS_UNBOOKED, "state": ends.get(state, state)}
    if ends.get(state) is S.FAILED:
        changes["failure"] = WRITTEN_OFF_FAILURE
    changes |= {"version": before.version + 1, "changed_at_ms": AT_MS}
    assert after == replace(before, **changes)


@pytest.mark.parametrize("state", list(S))
def test_only_an_unbooked_payment_is_written_off_as_credit(state: EscrowState) -> None:
    """Of an invoice that is open or lapsed, and once."""
    before = parked(state).escrow
    if state in {S.INVOICED, S.EXPIRED}:
        after = advance(before, found(LATE), at_ms=AT_MS, retention=RETENTION)
        assert (after.state, after.paid_msat, after.settle_index) == (S.EXPIRED, LATE, 6)
        before = replace(before, paid_msat=1)
    with pytest.raises(IllegalTransition, match="never booked"):
        advance(before, found(LATE), at_ms=AT_MS, retention=RETENTION)
    with pytest.raises(IllegalTransition, match="never booked"):
        advance(before, found(1), at_ms=AT_MS, retention=RETENTION)


@pytest.mark.parametrize(
    ("escrow", "event", "rule"),
    [
        (at(S.INVOICED), on.QuarantineLifted(), "only what is in quarantine goes on"),
        (at(S.INVOICED), EMPTY, "only what is in quarantine is written off"),
        (parked(S.INVOICED).escrow, PARKED, "in quarantine already"),
    ],
)
def test_a_quarantine_is_entered_and_left_once(escrow: Escrow, event: Event, rule: str) -> None:
    """Whoever is second is told so."""
    with pytest.raises(IllegalTransition, match=rule):
        advance(escrow, event, at_ms=AT_MS, retention=RETENTION)


@pytest.mark.parametrize("paid_msat", [0, 1])
def test_one_msat_is_a_payment(paid_msat: int) -> None:
    """A late purchase wants that something was paid."""
    before = replace(at(S.EXPIRED), paid_msat=paid_msat)

    def bought() -> Escrow:
        return advance(before, on.LatePurchase(), at_ms=AT_MS, retention=RETENTION)

    if paid_msat:
        assert bought().state is S.SETTLED
    else:
        with pytest.raises(IllegalTransition):
            bought()
