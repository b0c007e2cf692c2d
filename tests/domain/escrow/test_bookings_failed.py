"""A7, A8, A8b, A11 and A13: what a completion that cannot be sold books, to the last pico-USD."""

from __future__ import annotations

import pytest

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.bookings import unattributed
from cobot_meter.domain.transitions.upstream import usage_compared
from tests.domain.escrow.walks import PART_CREDIT, Walk, assert_cleared, lines
from tests.domain.samples import (
    FAILURE,
    NOW_MS,
    UPSTREAM,
    Shape,
    cost_known,
    cost_of,
    received,
    used,
)

STARTED = ran.GenerationStarted(generation_id="gen-1")
UNKNOWN = ran.RunOutcomeUnknown(failure=FAILURE)
VOIDED = [
    "void available / unearned 2000",
    "void receivable / unearned 8000",
]


def charged(amount: int | None) -> ran.RunFailed:
    """It ran and failed, at a cost that it said or did not say."""
    cost = None if amount is None else cost_of(amount, confirmed=False)
    return ran.RunFailed(failure=FAILURE, charged=True, cost=cost)


def requested(shape: Shape = PART_CREDIT) -> Walk:
    """A walk into the upstream's hands, which has named the generation."""
    return Walk(shape).tell(ran.UpstreamRequested(), STARTED)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param((ran.Abandoned(),), id="never sent"),
        pytest.param(
            (ran.UpstreamRequested(), ran.RunFailed(failure=FAILURE, charged=False)),
            id="refused",
        ),
    ],
)
def test_a7_certainly_not_charged_gives_everything_back(events: tuple[on.EscrowEvent]) -> None:
    """All four reservations are voided and nothing is booked."""
    walk = Walk(PART_CREDIT).tell(*events)
    days = ["void address / contra 10000", "void budget / contra 10000"]
    assert lines(walk.last) == [*VOIDED, *days]
    assert walk.nets() == {"node": 2_000, "available": -2_000}
    assert_cleared(walk)


@pytest.mark.parametrize(
    ("event", "counted"),
    [
        (ran.RunFailed(failure=FAILURE, charged=False), 300),
        (charged(40), 300),
        (charged(4_000), 4_000),
    ],
)
def test_an_ask_that_nobody_pays_for_counts_its_least(event: on.EscrowEvent, counted: int) -> None:
    """Refused or failed for next to nothing, it has still left its least on both days."""
    walk = requested(Shape(least=300)).tell(event)
    assert walk.nets()["address"] == walk.nets()["budget"] == counted
    assert_cleared(walk)


@pytest.mark.parametrize("share", [0, 40, 299, 300, 9_000])
def test_a_share_counts_the_least_too(share: int) -> None:
    """An unknown outcome that turns out to have cost nothing still leaves its least."""
    walk = Walk(Shape(least=300)).tell(ran.UpstreamRequested(), UNKNOWN)
    walk.tell(ran.CostAttributed(cost_pusd=share))
    assert walk.nets()["address"] == walk.nets()["budget"] == max(share, 300)
    assert_cleared(walk)


def test_a7_never_remembers_a_cost() -> None:
    """What was not charged cost nothing, whatever else the event says."""
    event = ran.RunFailed(failure=FAILURE, charged=False, cost=cost_of(5))
    assert requested().tell(event).escrow.cost_pusd == 0


def test_a8_failed_at_a_cost() -> None:
    """The caller gets everything back; what it cost counts against the day's budget."""
    walk = requested().tell(charged(4_000))
    assert lines(walk.last) == [
        *VOIDED,
        "post address / contra 4000",
        "post budget / contra 4000",
        "posted cost/failed / credits 4000",
    ]
    assert walk.nets() == {
        "node": 2_000,
        "available": -2_000,
        "address": 4_000,
        "budget": 4_000,
        "contra": -8_000,
        "cost/failed": 4_000,
        "credits": -4_000,
    }
    assert_cleared(walk)


@pytest.mark.parametrize("said", [4_000, 10_000, 15_000])
@pytest.mark.parametrize("confirmed", [0, 4_000, 10_000, 17_000])
def test_a8_what_failed_is_counted_at_its_confirmed_cost(said: int, confirmed: int) -> None:
    """Overruns and corrections included, budget and cost/failed agree in the end."""
    walk = requested().tell(charged(said), ran.CostConfirmed(cost=cost_of(confirmed)))
    assert walk.nets().get("cost/failed", 0) == confirmed
    assert walk.nets().get("budget", 0) == walk.nets().get("address", 0) == confirmed
    assert_cleared(walk)


@pytest.mark.parametrize("events", [(UNKNOWN,), (charged(None),)])
def test_a8b_an_unknown_cost_keeps_the_budget(events: tuple[on.EscrowEvent]) -> None:
    """The caller's reservations end at once, the operator's risk stays reserved."""
    walk = requested().tell(*events)
    assert lines(walk.last) == VOIDED
    assert walk.pending() == {"address": 10_000, "budget": 10_000}
    assert walk.nets() == {"node": 2_000, "available": -2_000}


def test_a8b_a_completion_without_a_cost_is_never_sold() -> None:
    """CostNotFound after a day of look-ups: as any unknown outcome."""
    walk = requested().tell(received(), ran.CostLookupMissed(lookup_at_ms=NOW_MS + 1))
    assert lines(walk.last) == []
    walk.tell(ran.CostNotFound(failure=FAILURE))
    assert lines(walk.last) == VOIDED
    assert walk.pending() == {"address": 10_000, "budget": 10_000}


@pytest.mark.parametrize("confirmed", [0, 1, 9_999, 10_000, 12_000])
def test_a8b_the_record_arrives_after_all(confirmed: int) -> None:
    """CostConfirmed books as A8, with overruns counted on the budget."""
    walk = requested().tell(UNKNOWN, ran.CostConfirmed(cost=cost_of(confirmed)))
    assert walk.nets().get("cost/failed", 0) == confirmed
    assert walk.nets().get("budget", 0) == walk.nets().get("address", 0) == confirmed
    assert_cleared(walk)


def test_a8b_nothing_explained_it_within_a_day() -> None:
    """The budget counts the ceiling as spent; no cost is invented."""
    walk = requested().tell(UNKNOWN, ran.CostGivenUp())
    assert lines(walk.last) == ["post address / contra 10000", "post budget / contra 10000"]
    assert walk.nets()["budget"] == 10_000
    assert "cost/failed" not in walk.nets()
    assert_cleared(walk)


def test_a8_credit_that_covered_the_ceiling_held_no_budget() -> None:
    """Without H2 a failure books its cost and leaves every budget alone."""
    walk = requested(Shape(credit=10_000)).tell(charged(4_000))
    assert lines(walk.last) == [
        "void available / unearned 10000",
        "posted cost/failed / credits 4000",
    ]
    walk.tell(ran.CostConfirmed(cost=cost_of(5_000)))
    assert "budget" not in walk.nets()
    assert_cleared(walk)


def test_a11_no_invoice_can_be_made() -> None:
    """Everything comes back to the caller, what it cost us has failed."""
    walk = requested().tell(received())
    walk.tell(cost_known(walk.escrow, 7_000), on.InvoiceMakingRefused(failure=FAILURE))
    assert lines(walk.last) == [
        "void available / unearned 2000",
        "void receivable / unearned 5000",
        "post address / contra 7000",
        "post budget / contra 7000",
        "posted cost/failed / cost/upstream 7000",
    ]
    assert walk.nets() == {
        "node": 2_000,
        "available": -2_000,
        "address": 7_000,
        "budget": 7_000,
        "contra": -14_000,
        "cost/failed": 7_000,
        "credits": -7_000,
    }
    assert_cleared(walk)


@pytest.mark.parametrize("confirmed", [0, 6_000, 13_000])
def test_a11_is_corrected_like_every_failure(confirmed: int) -> None:
    """A provisional cost of an escrow that failed is corrected in cost/failed and budget."""
    walk = requested().tell(received())
    walk.tell(cost_known(walk.escrow, 7_000, confirmed=False))
    walk.tell(on.InvoiceMakingRefused(failure=FAILURE), ran.CostConfirmed(cost=cost_of(confirmed)))
    assert walk.nets().get("cost/failed", 0) == confirmed
    assert walk.nets().get("budget", 0) == walk.nets().get("address", 0) == confirmed
    assert_cleared(walk)


@pytest.mark.parametrize("share", [0, 1, 10_000])
def test_a13_a_share_of_an_unexplained_drop(share: int) -> None:
    """Our credit fell by `share`: it is booked as unattributed and the budget counts it."""
    walk = Walk(PART_CREDIT).tell(ran.UpstreamRequested(), UNKNOWN)
    assert walk.escrow.run.lookup_at_ms is None
    walk.tell(ran.CostAttributed(cost_pusd=share))
    assert walk.nets().get("cost/unattributed", 0) == share
    assert walk.nets().get("budget", 0) == walk.nets().get("address", 0) == share
    assert walk.escrow.progress is Progress.FAILED
    assert_cleared(walk)


@pytest.mark.parametrize("drop", [3, -3])
def test_a13_what_no_escrow_explains_is_booked_alone(drop: int) -> None:
    """The remainder has a journal row of its own; too much booked before is reversed."""
    transition = usage_compared(used(10), sequence=0, cost_pusd=drop, at_ms=NOW_MS)
    expected = {
        3: ["posted cost/unattributed / credits 3"],
        -3: ["posted credits / cost/unattributed 3"],
    }
    assert lines(transition) == expected[drop]
    assert transition.transfers == unattributed(drop, upstream=UPSTREAM)


@pytest.mark.parametrize(
    "again",
    [ran.CostAttributed(cost_pusd=1), ran.CostGivenUp(), ran.CostConfirmed(cost=cost_of(1))],
)
def test_a_budget_is_resolved_once(again: on.EscrowEvent) -> None:
    """Whatever is told after the reservation has ended, it is not resolved a second time."""
    walk = requested().tell(UNKNOWN, ran.CostGivenUp(), again)
    assert "pending" not in " ".join(lines(walk.last))
    assert_cleared(walk)


def test_a_settlement_that_nobody_reserved_is_refused() -> None:
    """Credit that was never reserved cannot be what pays: the books refuse, nothing is settled."""
    walk = requested(Shape(ceiling=10_000)).tell(received())
    walk.tell(cost_known(walk.escrow, 7_000))
    with pytest.raises(IllegalTransition):
        walk.tell(on.CoveredByCredit())
    assert walk.escrow.progress is Progress.COSTED
