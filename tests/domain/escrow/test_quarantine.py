"""Quarantine over every state: nothing is lost in it, and an operator can always end it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.machine import advance
from cobot_meter.domain.escrow.on_runs import WRITTEN_OFF_FAILURE
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import Commodity
from cobot_meter.domain.run.record import CostAccount
from cobot_meter.domain.run.states import RunState
from tests.domain.escrow.rows import (
    AT_MS,
    Changes,
    at,
    flat,
    kept,
    moved,
)
from tests.domain.escrow.stages import EVENTS, PARKED, STAGES, parked
from tests.domain.escrow.test_escrow import escrow_for, expected, tell
from tests.domain.escrow.walks import assert_cleared
from tests.domain.exhaustive.one_escrow_graph import EscrowGraph, Node
from tests.domain.exhaustive.test_two_escrows_exhaustively import prove_that_all_end
from tests.domain.samples import (
    CALLER,
    CREDITS,
    NODE,
    RETENTION,
    Shape,
    settled,
)

S = Progress
ENDED = frozenset({S.RELEASED, S.REFUNDED, S.EXPIRED, S.FAILED})


@pytest.mark.parametrize("state", list(S))
def test_the_state_beneath_is_kept(state: Progress) -> None:
    """Parked and let go on, an escrow and its run are what they were, two versions later."""
    before = STAGES[state]().escrow
    run = before.run
    walk = parked(state)
    assert walk.escrow == replace(
        before,
        version=before.version + 1,
        quarantine="cost_confirmed: it is too large",
        run=replace(run, version=run.version + 1, parked=True),
    )
    assert walk.last.transfers == ()
    walk.tell(on.QuarantineLifted())
    assert walk.escrow == replace(
        before, version=before.version + 2, run=replace(run, version=run.version + 2)
    )


@pytest.mark.parametrize("state", list(S))
def test_what_is_not_in_quarantine_is_neither_lifted_nor_written_off(state: Progress) -> None:
    """Nor is anything parked twice."""
    for event in (on.QuarantineLifted(), on.WrittenOff(reason="looked at")):
        with pytest.raises(IllegalTransition):
            tell(STAGES[state]().escrow, event)
    with pytest.raises(IllegalTransition):
        tell(parked(state).escrow, PARKED)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("state", list(S))
def test_facts_of_others_are_booked_in_quarantine_too(
    state: Progress, event: type[on.EscrowEvent]
) -> None:
    """A payment does not wait for the operator: it leads where it always leads, flag and all."""
    if event in {on.QuarantineBegun, on.QuarantineLifted, on.WrittenOff}:
        return
    escrow = replace(escrow_for(state, event), quarantine="anything")
    target = expected(state, event)
    if target is None:
        with pytest.raises(IllegalTransition):
            tell(escrow, EVENTS[event](escrow))
    else:
        after = tell(escrow, EVENTS[event](escrow))
        assert (after.progress, after.quarantine) == (target, "anything")


@pytest.mark.parametrize("state", list(S))
def test_what_is_written_off_leaves_nothing_on_the_way(state: Progress) -> None:
    """No reservation, nothing unearned or receivable, no key, no timer; the books balance."""
    walk = parked(state).tell(on.WrittenOff(reason="looked at"))
    assert_cleared(walk)
    row = walk.escrow
    assert row.progress in ENDED
    assert (row.quarantine, row.keep_until_ms, row.run.lookup_at_ms, row.run.budget_held_pusd) == (
        None,
        None,
        None,
        0,
    )
    assert walk.last.shred


@pytest.mark.parametrize("state", [S.INVOICED, S.EXPIRED])
def test_a_payment_that_could_not_be_booked_becomes_credit(state: Progress) -> None:
    """All of it, and the credit that had been used for the sale comes back with it."""
    walk = parked(state)
    node = chart.node_balance(NODE)
    before = walk.ledger.of(chart.available(CALLER)).net
    received = walk.ledger.of(node).net
    used = walk.escrow.credit_used_msat if state is S.INVOICED else 0
    paid = settled(walk.escrow)
    walk.tell(
        on.WrittenOff(reason="paid", paid_msat=paid.paid_msat, settle_index=7, node_alias=NODE)
    )
    assert_cleared(walk)
    assert before - walk.ledger.of(chart.available(CALLER)).net == paid.paid_msat + used
    assert walk.ledger.of(node).net - received == paid.paid_msat
    assert (walk.escrow.paid_msat, walk.escrow.settle_index) == (paid.paid_msat, 7)
    assert walk.ledger.of(chart.REVENUE).net == 0


@pytest.mark.parametrize("state", [S.SETTLED, S.RELEASED, S.COSTED, S.OPENED])
def test_no_payment_is_credited_twice(state: Progress) -> None:
    """What was booked when it was paid, or never invoiced, has no payment to credit."""
    with pytest.raises(IllegalTransition):
        tell(parked(state).escrow, on.WrittenOff(reason="paid", paid_msat=1))
    late = STAGES[S.EXPIRED]()
    late.tell(settled(late.escrow), PARKED)
    with pytest.raises(IllegalTransition):
        tell(late.escrow, on.WrittenOff(reason="paid", paid_msat=1))


def test_the_cost_of_what_is_written_off_stays_an_expense() -> None:
    """Unsold it moves to where unsold costs stand, and the upstream's credit is unchanged."""
    for state, account in ((S.COSTED, chart.COST_FAILED), (S.INVOICED, chart.COST_UNPAID)):
        walk = parked(state)
        cost = walk.escrow.cost_pusd
        credit = walk.ledger.of(CREDITS).net
        walk.tell(on.WrittenOff(reason="looked at"))
        assert walk.ledger.of(account).net == cost > 0
        assert walk.ledger.of(chart.COST_UPSTREAM).net == 0
        assert walk.ledger.of(CREDITS).net == credit


@pytest.mark.slow
@pytest.mark.parametrize("credit", [0, 2_000, 10_000])
def test_quarantine_at_any_time_in_every_order(credit: int) -> None:
    """One escrow, parked wherever it is, with every fact before, in and after it."""
    graph = EscrowGraph(Shape(ceiling=10_000, credit=credit), quarantine=True)
    nodes = list(graph.nodes.values())
    for node in nodes:
        prove_balanced(node)
    prove_that_all_end(nodes)
    assert any(node.row.quarantine for node in nodes)
    assert {node.row.progress for node in nodes if node.row.quarantine} == set(S) - (
        {S.INVOICED, S.EXPIRED} if credit == 10_000 else set()
    )


def prove_balanced(node: Node) -> None:
    """Debits equal credits; what has ended holds nothing; nothing unpaid earns."""
    ledger = node.rows.ledger
    for commodity in Commodity:
        codes = [code for code, at in ledger.accounts.items() if at.commodity is commodity]
        assert sum(ledger.counters[code].net for code in codes) == 0
    kinds = [entry.kind for entry in node.rows.journal.values()]
    sale, runs = node.row.version, [run.version for run in node.row.runs]
    assert max(sale, *runs) <= len(kinds) < sale + sum(runs)
    credited = kinds.count("invoice_settled") + sum(
        1 for entry in node.rows.journal.values() if entry.facts.get("reason") == "paid"
    )
    assert credited <= 1
    if node.row.progress is not S.RELEASED:
        assert node.net(chart.REVENUE) == 0 or "claim_lapsed" in kinds
    if node.row.progress in ENDED:
        assert node.net(chart.UNEARNED) == 0
        assert node.net(chart.receivable(CALLER)) == 0
        assert not ("written_off" in kinds and ledger.open_reservations())


ENDS_UNBOOKED: Changes = {
    "quarantine": None,
    "keep_until_ms": None,
    "run.budget_held_pusd": 0,
    "run.lookup_at_ms": None,
    "run.parked": False,
}
EMPTY, LATE = on.WrittenOff(reason="looked at"), 4_000


def found(paid_msat: int) -> on.WrittenOff:
    """The operator ends it, and credits what the node was paid."""
    return on.WrittenOff(reason="looked at", paid_msat=paid_msat, settle_index=6)


@pytest.mark.parametrize("state", list(S))
def test_what_is_written_off_ends(state: Progress) -> None:
    """Where it would have failed it says why; nothing is held or kept any more."""
    before = kept(parked(state).escrow)
    after = advance(before, EMPTY, at_ms=AT_MS, retention=RETENTION)
    ends = {
        **dict.fromkeys((S.OPENED, S.REQUESTED, S.GENERATED, S.COSTED), S.FAILED),
        S.INVOICED: S.EXPIRED,
        S.SETTLED: S.REFUNDED,
    }
    changes = dict(ENDS_UNBOOKED)
    if ends.get(state) is S.FAILED:
        changes |= {"failure": WRITTEN_OFF_FAILURE, "run.cost_account": CostAccount.FAILED}
        if state is not S.COSTED:
            changes |= {"run.failure": WRITTEN_OFF_FAILURE, "run.state": RunState.FAILED}
    elif state is S.INVOICED:
        changes["run.cost_account"] = CostAccount.UNPAID
    assert after.progress is ends.get(state, state)
    changes |= {"state": after.state, **moved(before, "", changes)}
    assert flat(after) == flat(before) | changes


@pytest.mark.parametrize("state", list(S))
def test_only_an_unbooked_payment_is_written_off_as_credit(state: Progress) -> None:
    """Of an invoice that is open or lapsed, and once."""
    before = parked(state).escrow
    if state in {S.INVOICED, S.EXPIRED}:
        after = advance(before, found(LATE), at_ms=AT_MS, retention=RETENTION)
        assert (after.progress, after.paid_msat, after.settle_index) == (S.EXPIRED, LATE, 6)
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
def test_a_quarantine_is_entered_and_left_once(
    escrow: Escrow, event: on.EscrowEvent, rule: str
) -> None:
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
        assert bought().progress is S.SETTLED
    else:
        with pytest.raises(IllegalTransition):
            bought()
