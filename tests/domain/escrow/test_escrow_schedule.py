"""When an escrow next needs its driver, in every state."""

from __future__ import annotations

import pytest

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.escrow.timers import EXPIRY_GRACE_MS, next_timer_ms
from cobot_meter.domain.retention import (
    DAY_MS,
    HOUR_MS,
    LATER_LOOKUPS_MS,
    LOOKUPS_MS,
    Retention,
    later_lookup_ms,
    lookup_due_ms,
)
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import gives_up_at_ms
from tests.domain.escrow.stages import STAGES, parked
from tests.domain.escrow.walks import invoiced
from tests.domain.samples import NOW_MS, RETENTION, cost_of, settled

S = Progress
EXPIRES_MS = NOW_MS + 600_000
DUE = {
    S.OPENED: NOW_MS + RETENTION.abandoned_ms,
    S.REQUESTED: None,
    S.GENERATED: NOW_MS,
    S.COSTED: None,
    S.INVOICED: EXPIRES_MS + EXPIRY_GRACE_MS,
    S.SETTLED: NOW_MS + 30 * DAY_MS,
    S.RELEASED: NOW_MS + DAY_MS,
    S.FAILED: NOW_MS + DAY_MS + HOUR_MS,
    S.EXPIRED: NOW_MS + DAY_MS,
    S.REFUNDED: None,
}


@pytest.mark.parametrize("state", list(S))
def test_every_state_has_its_timer(state: Progress) -> None:
    """The times of the design, from the row alone."""
    assert next_timer_ms(STAGES[state]().escrow, RETENTION) == DUE[state]


@pytest.mark.parametrize("state", list(S))
def test_nothing_in_quarantine_has_a_timer(state: Progress) -> None:
    """It waits for the operator, and has its timer again when he lets it go on."""
    walk = parked(state)
    assert next_timer_ms(walk.escrow, RETENTION) is None
    walk.tell(on.QuarantineLifted())
    assert next_timer_ms(walk.escrow, RETENTION) == DUE[state]


@pytest.mark.parametrize("state", [S.INVOICED, S.SETTLED, S.RELEASED, S.EXPIRED])
def test_the_earliest_timer_counts(state: Progress) -> None:
    """An awaited cost is looked up while the state's own timer still runs."""
    walk = STAGES[state]().tell(ran.CostLookupMissed(lookup_at_ms=NOW_MS + 7))
    assert next_timer_ms(walk.escrow, RETENTION) == NOW_MS + 7


def test_a_confirmed_cost_ends_the_look_ups() -> None:
    """After CostConfirmed only the state's timer is left."""
    walk = invoiced(confirmed=False)
    assert next_timer_ms(walk.escrow, RETENTION) == NOW_MS
    walk.tell(ran.CostConfirmed(cost=cost_of(7_000)))
    assert next_timer_ms(walk.escrow, RETENTION) == EXPIRES_MS + EXPIRY_GRACE_MS


@pytest.mark.parametrize("event", [ran.CostGivenUp(), ran.CostAttributed(cost_pusd=0)])
def test_a_failure_whose_budget_is_resolved_is_over(event: on.EscrowEvent) -> None:
    """Nothing is due any more once nothing is reserved."""
    walk = STAGES[S.FAILED]()
    assert next_timer_ms(walk.escrow, RETENTION) == gives_up_at_ms(walk.escrow.run, RETENTION)
    assert next_timer_ms(walk.tell(event).escrow, RETENTION) is None


@pytest.mark.parametrize("state", [S.RELEASED, S.EXPIRED])
def test_shredding_ends_it(state: Progress) -> None:
    """A dropped key is dropped once."""
    walk = STAGES[state]().tell(on.BodiesShredded())
    assert next_timer_ms(walk.escrow, RETENTION) is None


def test_late_money_keeps_the_completion_for_its_buyer() -> None:
    """The day after the lapse becomes the thirty days after a purchase."""
    walk = STAGES[S.EXPIRED]()
    walk.tell(settled(walk.escrow), on.LatePurchase())
    assert next_timer_ms(walk.escrow, RETENTION) == NOW_MS + 30 * DAY_MS


def test_the_early_look_ups() -> None:
    """0, 0.5, 1, 2, 4, 8 and 15 seconds after the answer; the last is repeated."""
    due = [lookup_due_ms(NOW_MS, number) - NOW_MS for number in range(len(LOOKUPS_MS) + 1)]
    assert due == [0, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]


def test_the_later_look_ups_thin_out_and_end() -> None:
    """Each is the next after now; after a day there is none."""
    now_ms, times = NOW_MS, []
    while (later := later_lookup_ms(NOW_MS, now_ms=now_ms)) is not None:
        times.append(later - NOW_MS)
        now_ms = later
    assert tuple(times) == LATER_LOOKUPS_MS
    assert times[-1] == DAY_MS


def test_the_upstream_has_longer_than_its_look_ups() -> None:
    """A budget is given up only after the last look-up, with an hour for the comparison."""
    walk = STAGES[S.FAILED]()
    last = later_lookup_ms(NOW_MS, now_ms=NOW_MS + DAY_MS - 1)
    assert last is not None
    assert gives_up_at_ms(walk.escrow.run, Retention()) == last + HOUR_MS
