"""What each event changes of an escrow's row: exactly this, and nothing else."""

from __future__ import annotations

import pytest

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.machine import advance
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.machine import ABANDONED
from cobot_meter.domain.run.record import CostAccount
from tests.domain.escrow.rows import (
    AT_MS,
    NAMED,
    Changes,
    at,
    flat,
    holding,
    kept,
    looked_up,
    moved,
    named,
)
from tests.domain.escrow.stages import PARKED, covered, paid_late, parked
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

S = Progress
Event = on.EscrowEvent
ENDED: Changes = {"keep_until_ms": None, "failure": FAILURE}
RUN_ENDED: Changes = {**ENDED, "run.failure": FAILURE, "run.cost_account": CostAccount.FAILED}
# An ask with a least, so that what is counted is not only what it cost.
LEAST = Shape(least=300)


def failed(*, charged: bool, cost: int | None = None) -> ran.RunFailed:
    """The upstream's failure, at a cost or none."""
    known = None if cost is None else cost_of(cost)
    return ran.RunFailed(failure=FAILURE, charged=charged, cost=known, continued_as="esc_2")


def costed(shape: Shape | None = None) -> Escrow:
    """A run whose cost is known."""
    walk = Walk(shape).tell(ran.UpstreamRequested(), received())
    return walk.tell(cost_known(walk.escrow, 200)).escrow


ROWS: dict[str, tuple[Escrow, Event, Progress, Changes]] = {
    "requested": (
        at(S.OPENED),
        ran.UpstreamRequested(requested_by="replica-7"),
        S.REQUESTED,
        {"run.requested_by": "replica-7"},
    ),
    "abandoned": (
        kept(at(S.OPENED)),
        ran.Abandoned(),
        S.FAILED,
        {
            "failure": ABANDONED,
            "run.failure": ABANDONED,
            "run.cost_account": CostAccount.FAILED,
            "run.budget_held_pusd": 0,
            "keep_until_ms": None,
        },
    ),
    "started": (at(S.REQUESTED), NAMED, S.REQUESTED, {"run.generation_id": "gen-1"}),
    "received": (
        named(),
        received(completed_at_ms=77),
        S.GENERATED,
        {
            "run.generation_id": "gen-1",
            "run.summary": received(completed_at_ms=77).summary,
            "run.lookup_at_ms": 77,
        },
    ),
    "refused": (
        kept(named()),
        failed(charged=False),
        S.FAILED,
        {**RUN_ENDED, "run.lookup_at_ms": None, "continued_as": "esc_2", "run.budget_held_pusd": 0},
    ),
    "refused, whatever it says of a cost": (
        kept(named()),
        failed(charged=False, cost=5),
        S.FAILED,
        {**RUN_ENDED, "run.lookup_at_ms": None, "continued_as": "esc_2", "run.budget_held_pusd": 0},
    ),
    "failed at a cost that it said": (
        kept(named()),
        failed(charged=True, cost=5),
        S.FAILED,
        {
            **RUN_ENDED,
            "run.cost": cost_of(5),
            "run.lookup_at_ms": AT_MS,
            "continued_as": "esc_2",
            "run.budget_held_pusd": 0,
        },
    ),
    "failed at a cost that is looked up": (
        kept(named()),
        failed(charged=True),
        S.FAILED,
        {**RUN_ENDED, "run.lookup_at_ms": AT_MS, "continued_as": "esc_2"},
    ),
    "failed at a cost that nobody can look up": (
        kept(at(S.REQUESTED)),
        failed(charged=True),
        S.FAILED,
        {**RUN_ENDED, "run.lookup_at_ms": None, "continued_as": "esc_2"},
    ),
    "unknown, with a name": (
        kept(named()),
        ran.RunOutcomeUnknown(failure=FAILURE, continued_as="esc_2"),
        S.FAILED,
        {**RUN_ENDED, "run.lookup_at_ms": AT_MS, "continued_as": "esc_2"},
    ),
    "unknown, without": (
        kept(at(S.REQUESTED)),
        ran.RunOutcomeUnknown(failure=FAILURE),
        S.FAILED,
        {**RUN_ENDED, "run.lookup_at_ms": None},
    ),
    "costed": (
        Walk(LEAST).tell(ran.UpstreamRequested(), received()).escrow,
        cost_known(Walk(LEAST).escrow, 200, confirmed=False),
        S.COSTED,
        {
            "run.cost": cost_of(200, confirmed=False),
            "priced_pusd": 200,
            "price_msat": 200,
            "credit_used_msat": 0,
            "payment_hash": cost_known(Walk(LEAST).escrow, 200).payment_hash,
            "run.lookup_at_ms": NOW_MS,
            "run.budget_hold": 1,
            "run.budget_held_pusd": 300,
        },
    ),
    "costed, where credit held no budget": (
        Walk(Shape(credit=10_000)).tell(ran.UpstreamRequested(), received()).escrow,
        cost_known(Walk(Shape(credit=10_000)).escrow, 200),
        S.COSTED,
        {
            "run.cost": cost_of(200),
            "priced_pusd": 200,
            "price_msat": 200,
            "credit_used_msat": 200,
            "payment_hash": cost_known(Walk().escrow, 200).payment_hash,
            "run.lookup_at_ms": None,
            "run.budget_hold": 1,
        },
    ),
    "confirmed while it is unpaid": (
        costed(LEAST),
        ran.CostConfirmed(cost=cost_of(400)),
        S.COSTED,
        {
            "run.cost": cost_of(400),
            "run.lookup_at_ms": None,
            "run.budget_hold": 2,
            "run.budget_held_pusd": 400,
        },
    ),
    "confirmed at less than its least": (
        costed(LEAST),
        ran.CostConfirmed(cost=cost_of(100)),
        S.COSTED,
        {
            "run.cost": cost_of(100),
            "run.lookup_at_ms": None,
            "run.budget_hold": 2,
            "run.budget_held_pusd": 300,
        },
    ),
    "confirmed once it is paid": (
        kept(at(S.SETTLED)),
        ran.CostConfirmed(cost=cost_of(400)),
        S.SETTLED,
        {"run.cost": cost_of(400), "run.lookup_at_ms": None},
    ),
    "confirmed once it failed": (
        at(S.FAILED),
        ran.CostConfirmed(cost=cost_of(400)),
        S.FAILED,
        {
            "run.cost": cost_of(400),
            "run.lookup_at_ms": None,
            "run.budget_hold": 1,
            "run.budget_held_pusd": 0,
        },
    ),
    "missed": (
        looked_up(at(S.GENERATED), 3),
        ran.CostLookupMissed(lookup_at_ms=99),
        S.GENERATED,
        {"run.lookups": 4, "run.lookup_at_ms": 99},
    ),
    "not found": (
        kept(at(S.GENERATED)),
        ran.CostNotFound(failure=FAILURE),
        S.FAILED,
        {**RUN_ENDED, "run.lookup_at_ms": None},
    ),
    "attributed": (
        kept(at(S.FAILED)),
        ran.CostAttributed(cost_pusd=1),
        S.FAILED,
        {"run.budget_held_pusd": 0, "run.lookup_at_ms": None},
    ),
    "given up": (
        kept(at(S.FAILED)),
        ran.CostGivenUp(),
        S.FAILED,
        {"run.budget_held_pusd": 0, "run.lookup_at_ms": None},
    ),
    "covered": (
        holding(covered().escrow, 7),
        on.CoveredByCredit(),
        S.SETTLED,
        {
            "run.budget_held_pusd": 0,
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
        on.InvoiceMakingRefused(failure=FAILURE),
        S.FAILED,
        {**ENDED, "run.budget_held_pusd": 0, "run.cost_account": CostAccount.FAILED},
    ),
    "paid": (
        at(S.INVOICED),
        settled(at(S.INVOICED), 9_000, settle_index=5),
        S.SETTLED,
        {
            "paid_msat": 9_000,
            "settle_index": 5,
            "run.budget_held_pusd": 0,
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
        {
            "run.budget_held_pusd": 0,
            "run.cost_account": CostAccount.UNPAID,
            "keep_until_ms": AT_MS + RETENTION.unpaid_ms,
        },
    ),
    "bought late": (
        paid_late().escrow,
        on.LatePurchase(),
        S.SETTLED,
        {
            "run.cost_account": CostAccount.UPSTREAM,
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
        {"quarantine": "cost_confirmed: it is too large", "run.parked": True},
    ),
    "let go": (
        parked(S.INVOICED).escrow,
        on.QuarantineLifted(),
        S.INVOICED,
        {"quarantine": None, "run.parked": False},
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_an_event_changes_so_much_of_the_rows(row: str) -> None:
    """State, version, time, and the named fields; all others stay as they were."""
    before, event, state, changes = ROWS[row]
    after = advance(before, event, at_ms=AT_MS, retention=RETENTION)
    states = {"state": after.state, "run.state": after.run.state}
    assert after.progress is state
    assert (after.run.state is before.run.state) or isinstance(event, ran.RunEvent)
    assert flat(after) == flat(before) | states | changes | moved(before, row, changes)
