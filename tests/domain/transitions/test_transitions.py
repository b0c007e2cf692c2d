"""Transitions: deterministic keys, one journal row for one fact, and nothing secret in it."""

from __future__ import annotations

import dataclasses

import pytest

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.transitions.escrows import SHREDDING, escrow_transition
from cobot_meter.domain.transitions.event_facts import event_name
from cobot_meter.domain.transitions.operator import caller_transition
from cobot_meter.domain.transitions.transition import CallerChange, Transition
from cobot_meter.domain.transitions.upstream import upstream_baseline, usage_compared
from tests.domain.escrow.stages import EVENTS, STAGES, covered, paid_late
from tests.domain.escrow.test_escrow import escrow_for, expected
from tests.domain.escrow.walks import Walk
from tests.domain.samples import (
    FAILURE,
    NODE,
    NOW_MS,
    PUBKEY,
    RETENTION,
    canceled,
    invoice_issued,
    invoice_lost,
    opened,
    opening_of,
    settled,
    used,
)

S = Progress
LEGAL = [(state, event) for state in S for event in EVENTS if expected(state, event) is not None]


def told(state: Progress, event: type[on.EscrowEvent], *, at_ms: int = NOW_MS) -> Transition:
    """The transition of a legal pair."""
    escrow = escrow_for(state, event)
    return escrow_transition(escrow, EVENTS[event](escrow), at_ms=at_ms, retention=RETENTION)


@pytest.mark.parametrize(("state", "event"), LEGAL)
def test_the_same_fact_has_the_same_key(state: Progress, event: type[on.EscrowEvent]) -> None:
    """Whenever and however often it is told, by whatever process."""
    first, again = told(state, event), told(state, event, at_ms=NOW_MS + 12_345)
    assert first.key == again.key
    assert first.transfers == again.transfers
    assert first.kind == event_name(EVENTS[event](escrow_for(state, event)))


def test_different_facts_have_different_keys() -> None:
    """Over every event, attempt and look-up of one escrow; payments are keyed by their hash."""
    walk = STAGES[S.GENERATED]()
    keys = [opening_of(opened()).key]
    for number in range(3):
        walk.tell(ran.CostLookupMissed(lookup_at_ms=NOW_MS + number))
        keys.append(walk.last.key)
    walk = STAGES[S.COSTED]()
    for _ in range(3):
        walk.tell(invoice_lost(walk.escrow))
        keys.append(walk.last.key)
    walk.tell(invoice_issued(walk.escrow))
    keys.append(walk.last.key)
    walk.tell(canceled(walk.escrow))
    keys.append(walk.last.key)
    walk.tell(settled(walk.escrow))
    assert walk.last.key == f"ln/{walk.escrow.payment_hash}"
    keys.append(walk.last.key)
    walk.tell(on.LatePurchase())
    keys.append(walk.last.key)
    assert len(set(keys)) == len(keys)


def test_kinds_are_the_events_in_snake_case() -> None:
    """`InvoiceSettled` is `invoice_settled`, all of them distinct."""
    escrow = STAGES[S.INVOICED]().escrow
    names = {event.__name__: event_name(made(escrow)) for event, made in EVENTS.items()}
    assert names["InvoiceSettled"] == "invoice_settled"
    assert names["CoveredByCredit"] == "covered_by_credit"
    assert len(set(names.values())) == len(EVENTS)


def test_what_errors_are_called_is_still_what_the_journal_says() -> None:
    """Four events gave their names to errors; their kinds, which keys begin with, stay."""
    escrow = STAGES[S.INVOICED]().escrow
    told = {event: event_name(made(escrow)) for event, made in EVENTS.items()}
    assert told[ran.RunFailed] == "upstream_failed"
    assert told[ran.RunOutcomeUnknown] == "outcome_unknown"
    assert told[on.InvoiceMakingRefused] == "invoice_refused"
    assert told[on.QuarantineBegun] == "quarantined"


def test_settlements_move_the_cursor() -> None:
    """The node's index is stored with the money, in time and late."""
    for walk in (STAGES[S.INVOICED](), STAGES[S.EXPIRED]()):
        walk.tell(settled(walk.escrow, settle_index=7))
        assert walk.last.cursor is not None
        assert (walk.last.cursor.node_pubkey, walk.last.cursor.settle_index) == (PUBKEY, 7)
    assert STAGES[S.RELEASED]().last.cursor is None


@pytest.mark.parametrize(("state", "event"), LEGAL)
def test_keys_are_dropped_exactly_where_nothing_is_left_to_sell(
    state: Progress, event: type[on.EscrowEvent]
) -> None:
    """The row's `keep_until_ms` and the shredding of the body key never disagree."""
    transition = told(state, event)
    assert transition.escrow is not None
    assert transition.shred is issubclass(event, SHREDDING)
    ends_unsold = transition.escrow.progress in {S.FAILED, S.REFUNDED}
    if ends_unsold:
        assert transition.escrow.keep_until_ms is None
    if transition.shred:
        assert transition.escrow.keep_until_ms is None
    kept = {S.SETTLED, S.RELEASED, S.EXPIRED}
    if transition.escrow.progress in kept and not transition.shred:
        assert transition.escrow.keep_until_ms is not None


@pytest.mark.parametrize(("state", "event"), LEGAL)
def test_journal_facts_are_flat(state: Progress, event: type[on.EscrowEvent]) -> None:
    """Numbers, texts and nothing else, so that a row is plain JSON; never a preimage."""
    facts = told(state, event).facts
    assert all(isinstance(value, str | int | None) for value in facts.values())
    assert not [name for name in facts if "preimage" in name or "body" in name]


def test_a_failure_and_its_cost_can_be_read_off_the_journal() -> None:
    """Nested values are named by path."""
    walk = Walk().tell(
        ran.UpstreamRequested(),
        ran.RunFailed(failure=dataclasses.replace(FAILURE, status=502), charged=True),
    )
    assert walk.last.facts["failure.status"] == 502
    assert walk.last.facts["cost"] is None
    assert walk.last.facts["charged"] is True


def test_every_price_can_be_recomputed_from_the_opening() -> None:
    """The journal keeps the whole snapshot: ceiling, rate and both surcharges."""
    facts = opening_of(opened()).facts
    assert facts["rate_usd_micro_per_btc"] == 100_000
    assert facts["ceiling_usd"] == "0.00000001"
    assert {"rate_source", "rate_at_ms", "credit_fee_bps", "markup_bps"} <= set(facts)


def test_only_openings_open_accounts() -> None:
    """Later transitions find them: no upsert on the way of money."""
    assert len(opening_of(opened()).accounts) == 6
    assert all(told(state, event).accounts == () for state, event in LEGAL)


def test_operator_and_comparison_rows_are_numbered() -> None:
    """A second word or comparison is another row; the baseline is written once for ever."""
    change = CallerChange(blocked=True, cap_msat=None)
    words = [caller_transition("c_1", change, sequence=number, at_ms=1).key for number in range(3)]
    compared = [
        usage_compared(used(2), sequence=number, cost_pusd=1, at_ms=1).key for number in range(3)
    ]
    baselines = [upstream_baseline(used(number), at_ms=number).key for number in range(3)]
    assert len({*words, *compared}) == 6
    assert len(set(baselines)) == 1


def test_a_row_follows_its_version() -> None:
    """What a transition changes goes one version on: the row of the sale, of the run, or both."""
    for state, event in LEGAL:
        escrow, transition = escrow_for(state, event), told(state, event)
        after = transition.escrow
        assert after is not None
        assert after.version == escrow.version + bool(transition.changed)
        moved = {run.run_id: run.version for run, _ in transition.runs}
        before = {run.run_id: run.version for run in escrow.runs}
        for run in after.runs:
            assert run.version == before.get(run.run_id, 0) + (run.run_id in moved)
        assert transition.changed or transition.runs


def test_late_and_covered_escrows_owe_nothing() -> None:
    """Both ways of being paid by credit leave nothing due."""
    for walk in (covered().tell(on.CoveredByCredit()), paid_late().tell(on.LatePurchase())):
        assert walk.escrow.due_msat == 0
        assert NODE not in walk.nets()
