"""Several runs of one sale: what a fallback changes and books, and what an earlier run does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.callers import ExposureTerms
from cobot_meter.domain.errors import ExposureExceeded, IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.machine import advance
from cobot_meter.domain.escrow.moves import MovedRun
from cobot_meter.domain.escrow.record import Escrow, Fallback
from cobot_meter.domain.escrow.states import EscrowState, Progress
from cobot_meter.domain.escrow.timers import next_timer_ms
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import AskedInstead, Run, due_of_run
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.transitions.escrows import escrow_transition, next_run_transition
from cobot_meter.domain.transitions.transition import Transition
from tests.domain.escrow.rows import AT_MS, NAMED
from tests.domain.escrow.stages import PARKED
from tests.domain.escrow.walks import Walk, assert_cleared, lines
from tests.domain.samples import (
    FAILURE,
    NOW_MS,
    RETENTION,
    TERMS,
    UPSTREAM,
    Shape,
    cost_known,
    cost_of,
    fell_back,
    invoice_issued,
    received,
    settled,
)

REQUESTED = ran.UpstreamRequested(requested_by="replica-1")
UNKNOWN = ran.RunOutcomeUnknown(failure=FAILURE)


def fallen(shape: Shape | None = None, *, named: bool = True) -> Walk:
    """A sale whose first run ended as nobody knows how, and whose second one is asked."""
    walk = Walk(shape).tell(REQUESTED, *((NAMED,) if named else ()))
    return walk.tell(fell_back(walk.escrow))


def earlier(walk: Walk) -> Escrow:
    """The sale looked at from its first run."""
    return walk.escrow.seen_from("esc_1")


def tell_earlier(walk: Walk, *events: on.EscrowEvent) -> Walk:
    """What comes of the first run, told from there."""
    walk.escrow = earlier(walk)
    walk.tell(*events)
    walk.escrow = walk.escrow.seen_from(walk.escrow.run_id)
    return walk


@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
@pytest.mark.parametrize(
    "ended",
    [
        ran.RunFailed(failure=FAILURE, charged=False),
        ran.RunFailed(failure=FAILURE, charged=True),
        ran.RunFailed(failure=FAILURE, charged=True, cost=cost_of(300, confirmed=False)),
        UNKNOWN,
    ],
    ids=["at no cost", "at a cost", "at a cost that it said", "unknown"],
)
def test_the_first_run_ends_as_it_would_end_alone(
    ended: ran.RunFailed | ran.RunOutcomeUnknown, *, named: bool
) -> None:
    """Row and bookings of the run are those of the plain failure; nothing of the sale is undone."""
    walk = Walk(Shape(credit=2_000, least=100)).tell(REQUESTED, *((NAMED,) if named else ()))
    charged, cost = (
        (ended.charged, ended.cost) if isinstance(ended, ran.RunFailed) else (None, None)
    )
    event = fell_back(walk.escrow, charged=charged, cost=cost)
    assert event.ended == ended
    alone = escrow_transition(walk.escrow, ended, at_ms=NOW_MS, retention=RETENTION)
    assert alone.escrow is not None
    walk.tell(event)
    first, second = walk.escrow.runs
    assert first == alone.escrow.run
    claims = {"available", "receivable"}
    own = [one for one in lines(alone) if one.split()[1] not in claims]
    begun = [one for one in lines(walk.last) if one not in own]
    assert sorted(lines(walk.last)) == sorted(own + begun)
    assert begun == ["pending address / contra 10000", "pending budget / contra 10000"]
    assert {hold.hold_id for hold in walk.escrow.days.reserved(second)} == {
        "esc_1.2/address/0",
        "esc_1.2/budget/0",
    }
    assert walk.pending().keys() >= {"receivable", "available"}, "reserved once, for all runs"


def test_the_sale_goes_on_with_a_run_of_its_own() -> None:
    """Still running: another run, one version on, and everything else as it was."""
    before = Walk().tell(REQUESTED, NAMED).escrow
    after = advance(before, fell_back(before), at_ms=AT_MS, retention=RETENTION)
    begun = Run(
        run_id="esc_1.2",
        escrow_id="esc_1",
        upstream=UPSTREAM,
        opened_at_ms=AT_MS,
        changed_at_ms=AT_MS,
        state=RunState.REQUESTED,
        requested_by="replica-2",
        budget_held_pusd=10_000,
        instead=AskedInstead(
            model="meta/next", because=FAILURE.code, prices=fell_back(before).prices
        ),
    )
    assert after == replace(
        before, version=before.version + 1, changed_at_ms=AT_MS, run_id="esc_1.2", run=begun
    )
    assert (after.runs_made, after.next_run_id, begun.number) == (2, "esc_1.3", 2)
    assert (after.model, after.prices) == ("meta/next", fell_back(before).prices)
    assert (before.model, before.prices) == (before.quote.model, before.quote.prices)
    assert after.asked_model == before.quote.model
    assert after.fallback_now == Fallback(asked_model=before.quote.model, reason=FAILURE.code)
    assert (before.fallback_now, after.state) == (None, EscrowState.RUNNING)


def test_a_fallback_at_the_opening_is_remembered_through_later_ones() -> None:
    """Whoever asked reads the model it asked for, and why the last one asked is another."""
    walk = Walk().tell(REQUESTED)
    at_first = Fallback(asked_model="acme/asked", reason="circuit_open")
    walk.escrow = replace(walk.escrow, fallback=at_first)
    assert walk.escrow.fallback_now == at_first
    walk.tell(fell_back(walk.escrow))
    assert walk.escrow.fallback_now == Fallback(asked_model="acme/asked", reason=FAILURE.code)
    assert walk.escrow.fallback == at_first


def test_one_entry_has_both_rows_and_the_sale() -> None:
    """Under the key of the run that ended; nothing is shredded, for the request is sent again."""
    walk = fallen()
    first, second = walk.escrow.runs
    told = walk.last
    assert (told.key, told.kind, told.subject_id) == ("esc_1/fell_back", "fell_back", "esc_1")
    assert [moved.run for moved in told.runs] == [first, second]
    assert told.runs[1] == MovedRun(second)
    assert set(told.changed) == {"version", "changed_at_ms", "run_id"}
    assert not told.shred
    assert not told.opens
    walk.tell(fell_back(walk.escrow))
    assert walk.last.key == "esc_1.2/fell_back"
    assert walk.escrow.run_id == "esc_1.3"
    assert [run.run_id for run in walk.escrow.runs] == ["esc_1", "esc_1.2", "esc_1.3"]


@pytest.mark.parametrize("run_id", ["esc_1", "esc_1.2", "esc_1.4", "esc_2.3"])
def test_another_run_takes_the_next_number(run_id: str) -> None:
    """Any other would be the row of somebody else."""
    walk = fallen()
    with pytest.raises(IllegalTransition, match="next number"):
        walk.tell(replace(fell_back(walk.escrow), run_id=run_id))


def test_late_facts_of_an_earlier_run_are_its_own() -> None:
    """Looked up, confirmed or given up: one row, its keys, its account; the sale hears nothing."""
    walk = fallen().tell(received())
    walk.tell(cost_known(walk.escrow, 7_000))
    walk.tell(invoice_issued(walk.escrow))
    sale = walk.escrow
    tell_earlier(walk, ran.CostLookupMissed(lookup_at_ms=NOW_MS + 9))
    assert walk.last.key == "esc_1/cost_lookup_missed/0"
    tell_earlier(walk, ran.CostConfirmed(cost=cost_of(300)))
    assert (walk.last.key, walk.last.changed) == ("esc_1/cost_confirmed", ())
    assert [moved.run.run_id for moved in walk.last.runs] == ["esc_1"]
    assert walk.nets()["cost/failed"] == 300
    assert walk.nets()["cost/upstream"] == 7_000
    assert walk.escrow == sale, "but for the rows of other runs nothing has moved"
    walk.tell(settled(walk.escrow), on.CompletionDelivered())
    assert_cleared(walk)
    assert walk.escrow.progress is Progress.RELEASED
    assert -walk.nets()["credits"] == 7_300


def test_an_earlier_run_holds_its_day_until_somebody_knows() -> None:
    """Given up after a day it counts as spent, whatever became of the sale meanwhile."""
    walk = fallen(named=False).tell(received())
    walk.tell(cost_known(walk.escrow, 7_000))
    walk.tell(invoice_issued(walk.escrow))
    walk.tell(settled(walk.escrow))
    assert walk.pending() == {"address": 10_000, "budget": 10_000}
    tell_earlier(walk, ran.CostGivenUp())
    assert walk.pending() == {}
    assert walk.nets()["budget"] == 10_000


def test_its_timers_are_its_own() -> None:
    """From an earlier run only that run's are seen."""
    walk = fallen()
    view = earlier(walk)
    assert (view.looks_back, walk.escrow.looks_back) == (True, False)
    assert next_timer_ms(view, RETENTION) == due_of_run(view.run, RETENTION) == NOW_MS
    assert next_timer_ms(walk.escrow, RETENTION) is None
    assert view.seen_from("nobody") is view
    assert view.seen_from("esc_1.2").run == walk.escrow.run


@pytest.mark.parametrize(
    "event",
    [
        on.InvoiceSettled(
            payment_hash="h0", paid_msat=1, settle_index=1, node_alias="dev", node_pubkey="02"
        ),
        on.CompletionDelivered(),
        on.LatePurchase(),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_sale_is_told_nothing_from_an_earlier_run(event: on.EscrowEvent) -> None:
    """It would resolve what is reserved for a run that it no longer lives by."""
    with pytest.raises(IllegalTransition, match="no longer lives by"):
        advance(earlier(fallen()), event, at_ms=AT_MS, retention=RETENTION)


def test_quarantine_is_of_all_its_runs() -> None:
    """Parked together, and let go together, each a version on."""
    walk = fallen()
    versions = [run.version for run in walk.escrow.runs]
    walk.tell(PARKED)
    assert [run.parked for run in walk.escrow.runs] == [True, True]
    assert len(walk.last.runs) == 2
    assert due_of_run(walk.escrow.runs[0], RETENTION) is None
    walk.tell(on.QuarantineLifted())
    assert [run.parked for run in walk.escrow.runs] == [False, False]
    assert [run.version for run in walk.escrow.runs] == [one + 2 for one in versions]


def test_an_earlier_run_puts_the_whole_sale_away() -> None:
    """What cannot be booked of it is the trouble of one sale, which the operator looks at."""
    walk = fallen()
    walk.escrow = earlier(walk)
    walk.tell(PARKED)
    assert walk.escrow.quarantine is not None
    assert all(run.parked for run in walk.escrow.runs)


def test_what_concerns_all_runs_needs_them_at_hand() -> None:
    """One that was not read along would run on unseen."""
    alone = replace(fallen().escrow, others=())
    with pytest.raises(IllegalTransition, match="at hand"):
        advance(alone, PARKED, at_ms=AT_MS, retention=RETENTION)


def test_written_off_nothing_of_any_run_waits() -> None:
    """What nobody could explain of an earlier one counts as spent, as it would when given up."""
    walk = fallen(named=False).tell(PARKED, on.WrittenOff(reason="looked at"))
    assert_cleared(walk)
    assert [run.budget_held_pusd for run in walk.escrow.runs] == [0, 0]
    assert [run.lookup_at_ms for run in walk.escrow.runs] == [None, None]
    assert walk.nets()["budget"] == 20_000


def test_each_word_of_the_operator_has_a_key_of_its_own() -> None:
    """Whatever runs there were in between: no two of them may ever be one entry."""
    walk = Walk().tell(REQUESTED, NAMED, PARKED)
    keys = [walk.last.key]
    for _ in range(3):
        walk.tell(on.QuarantineLifted())
        keys.append(walk.last.key)
        walk.tell(fell_back(walk.escrow), PARKED)
        keys.append(walk.last.key)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("tight", "guard"),
    [
        (replace(TERMS, address_day_pusd=19_999), "address"),
        (replace(TERMS, newcomers_day_pusd=19_999), "budget"),
    ],
    ids=["address", "budget"],
)
def test_another_run_passes_the_guards_of_the_days(tight: ExposureTerms, guard: str) -> None:
    """While the first one's reservation stands beside it; with room for both it passes."""
    walk = Walk(terms=TERMS).tell(REQUESTED, NAMED)
    fits = fell_back_under(walk.escrow, TERMS)
    walk.ledger.after(fits.accounts, fits.transfers)
    told = fell_back_under(walk.escrow, tight)
    with pytest.raises(ExposureExceeded) as refused:
        walk.ledger.after(told.accounts, told.transfers)
    assert refused.value.guard == guard


def fell_back_under(escrow: Escrow, terms: ExposureTerms) -> Transition:
    """The transition with its guards."""
    return next_run_transition(
        escrow, fell_back(escrow), at_ms=NOW_MS, retention=RETENTION, terms=terms
    )


def test_a_covered_sale_reserves_no_day_for_another_run_either() -> None:
    """Credit pays for whichever answers."""
    walk = fallen(Shape(credit=10_000))
    assert walk.escrow.run.budget_held_pusd == 0
    assert walk.pending() == {"available": 10_000}
    assert chart.UNEARNED.code not in walk.nets()
