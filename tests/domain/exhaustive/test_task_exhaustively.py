"""One task of up to two runs: every order of what seller, upstream, node, clock and operator say.

As in the search over two escrows each event is lost before its commit, told again, and repeated
after it. Whatever comes when, the price stays within the ceiling and the fee, the seller's cap
bounds it, and every run's cost stands in one account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Mode
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import CostStanding
from cobot_meter.domain.run.states import RunState
from tests.conftest import COUNTED
from tests.domain.escrow.test_quarantine import prove_balanced
from tests.domain.exhaustive.one_escrow_graph import OVERPAID, EscrowGraph, Move, Node, Told
from tests.domain.exhaustive.test_two_escrows_exhaustively import prove_that_all_end
from tests.domain.samples import (
    FAILURE,
    SELLER,
    Shape,
    canceled,
    completion_costed,
    cost_known,
    cost_of,
    invoice_issued,
    received,
    settled,
    task_closed,
    task_run_begun,
)

CEILING, MAX_FEE = 6_000, 1_500
MOST, SAID = 4_000, 3_000
TRUTHS = (3_000, 4_500)  # as it was said, and more than the run's own ceiling
S = EscrowState


class TaskGraph(EscrowGraph):
    """All nodes that a task of so many runs reaches; parked at any time with `quarantine`."""

    def __init__(self, *, runs: int, quarantine: bool) -> None:
        """Searches."""
        self._runs_max, self._parks = runs + 1, quarantine  # with the one that never asks
        super().__init__(
            Shape(ceiling=CEILING, newcomer=False, mode=Mode.TASK, max_fee=MAX_FEE, least=100)
        )

    def _moves(self, node: Node) -> Iterator[Move]:
        row, before = node.row, node.truths[:-1]
        may_run = row.state is S.RUNNING and not row.run.in_flight and row.quarantine is None
        if may_run and row.left_pusd and row.runs_made < self._runs_max:
            begun = task_run_begun(row, MOST)
            yield self._told(node, row, begun, (*node.truths, 0))
        for event, truth in self._of_the_task(node):
            yield self._told(node, row, event, (*before, truth))
        for run in row.runs:
            view = row.seen_from(run.run_id)
            for late in _late(view, node.truths[run.number - 1]):
                yield self._told(node, view, late, node.truths)

    def _of_the_task(self, node: Node) -> Iterator[Told]:
        row, truth = node.row, node.truths[-1]
        if self._parks:
            for event in _of_the_operator(row):
                yield event, truth
        for event in _OF_ITS_STATE[row.state](row):
            yield event, truth
        if row.run.state is RunState.REQUESTED:
            yield from _of_the_upstream(row)
        if row.run.state is RunState.GENERATED and row.state is S.RUNNING:
            yield cost_known(row, truth), truth
            yield cost_known(row, SAID, confirmed=False), truth
            yield ran.CostNotFound(failure=FAILURE), truth


def _of_the_upstream(row: Escrow) -> Iterator[Told]:
    for truth in TRUTHS:
        yield received(), truth
        yield completion_costed(row, SAID), truth
    yield ran.RunFailed(failure=FAILURE, charged=False), 0
    said = cost_of(SAID, confirmed=False)
    yield ran.RunFailed(failure=FAILURE, charged=True, cost=said), SAID
    for truth in (0, SAID):
        yield ran.RunOutcomeUnknown(failure=FAILURE), truth


def _late(view: Escrow, truth: int) -> Iterator[on.EscrowEvent]:
    run = view.run
    if run.lookup_at_ms is not None and run.state in {RunState.COSTED, RunState.FAILED}:
        yield ran.CostConfirmed(cost=cost_of(truth))
        yield ran.CostLookupMissed(lookup_at_ms=None)
    elif run.state is RunState.FAILED and run.budget_held_pusd:
        yield ran.CostGivenUp()
        yield ran.CostAttributed(cost_pusd=truth)


def _of_the_operator(row: Escrow) -> Iterator[on.EscrowEvent]:
    if row.quarantine is None:
        yield on.QuarantineBegun(event="anything", reason="it cannot be booked")
        return
    yield on.QuarantineLifted()
    yield on.WrittenOff(reason="looked at")


def _running(row: Escrow) -> tuple[on.EscrowEvent, ...]:
    if row.run.in_flight:
        return ()
    ended = (on.TaskEnded(failure=FAILURE),)
    if row.answer_sha256 is None:
        return (*ended, on.TaskAnswered(answer_sha256="a5" * 32))
    if row.quarantine is not None:
        return ended
    fees = [fee for fee in (0, MAX_FEE) if row.price.price_msat + fee]
    return (*ended, *(task_closed(row, fee) for fee in fees))


def _expired(row: Escrow) -> tuple[on.EscrowEvent, ...]:
    late = (on.LatePurchase(),) if row.paid_msat and row.keep_until_ms else ()
    return (*late, *_dropped(row), *(() if row.paid_msat else _payments(row)))


def _dropped(row: Escrow) -> tuple[on.EscrowEvent, ...]:
    return (on.BodiesShredded(),) if row.keep_until_ms else ()


def _payments(row: Escrow) -> tuple[on.EscrowEvent, ...]:
    assert row.invoice is not None
    return settled(row), settled(row, row.invoice.amount_msat + OVERPAID)


_OF_ITS_STATE: Mapping[EscrowState, Callable[[Escrow], tuple[on.EscrowEvent, ...]]] = {
    S.RUNNING: _running,
    S.PRICED: lambda row: (invoice_issued(row), on.InvoiceMakingRefused(failure=FAILURE)),
    S.INVOICED: lambda row: (*_payments(row), canceled(row)),
    S.SETTLED: lambda row: (
        on.CompletionDelivered(),
        on.CompletionLost(),
        on.ClaimLapsed(kept_msat=row.kept_if_unclaimed_msat),
    ),
    S.RELEASED: _dropped,
    S.EXPIRED: _expired,
    S.FAILED: lambda _: (),
    S.REFUNDED: lambda _: (),
}


@pytest.mark.parametrize(
    ("runs", "quarantine"),
    [
        (1, False),
        pytest.param(1, True, marks=pytest.mark.slow),
        pytest.param(2, False, marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
def test_a_task_in_every_order(
    runs: int, record_property: Callable[[str, object], None], *, quarantine: bool
) -> None:
    """Everything balances, everything ends, and no money is anybody's but whose it is."""
    graph = TaskGraph(runs=runs, quarantine=quarantine)
    nodes = list(graph.nodes.values())
    for node in nodes:
        prove_balanced(node)
        prove_bounds(node)
        prove_runs(node)
        prove_earnings(node)
    prove_that_all_end(nodes)
    assert {node.row.state for node in nodes} == set(S)
    text = (
        f"a task of {runs} runs, {'with' if quarantine else 'without'} quarantine: "
        f"{len(nodes):,} states, {graph.told:,} commits each crashed before and after"
    )
    print(text)
    record_property(COUNTED, text)
    assert len(nodes) > 100


def prove_bounds(node: Node) -> None:
    """The price is within ceiling and fee, and so is what is reserved of the seller's cap."""
    row = node.row
    assert row.price_msat - row.fee_msat <= CEILING
    assert row.fee_msat <= MAX_FEE
    assert node.claimed(chart.receivable(SELLER)) <= CEILING + MAX_FEE
    assert node.net(chart.receivable(row.caller_id)) == 0
    if row.state is S.RUNNING:
        billed = sum(run.billed_pusd(run.cost_pusd) for run in row.runs if run.has_answered)
        assert row.priced_pusd == billed


def prove_runs(node: Node) -> None:
    """Each run's cost is in the account that it names, and holds its own of the day."""
    row, ledger = node.row, node.rows.ledger
    assert len(row.runs) == row.runs_made == len(node.truths)
    for code in ("cost/upstream", "cost/unpaid", "cost/failed"):
        account = chart.account_of(code)
        assert account is not None
        named = sum(run.cost_pusd for run in row.runs if run.cost_account.value == code)
        assert node.net(account) == named
    held = {run.run_id for run in row.runs if run.budget_held_pusd}
    reserved = [hold_id.split("/") for hold_id in ledger.open_reservations()]
    assert {run_id for run_id, name, *_ in reserved if name == "budget"} == held
    for run in row.runs:
        assert run.parked == (row.quarantine is not None)
    confirmed = [
        run.cost is not None and run.cost.standing is CostStanding.CONFIRMED
        for run in row.runs
        if run.instead is not None
    ]
    if all(confirmed):
        assert node.missing == 0


def prove_earnings(node: Node) -> None:
    """The seller earns its fee by the delivery and by nothing else; nobody's credit is below 0."""
    row = node.row
    earned = row.fee_msat if row.state is S.RELEASED else 0
    assert -node.net(chart.available(SELLER)) == earned
    assert -node.net(chart.available(row.caller_id)) >= 0
    if row.state is S.RELEASED:
        assert -node.net(chart.REVENUE) == row.price_msat - row.fee_msat
