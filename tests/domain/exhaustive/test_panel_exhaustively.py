"""One panel of two: every order of what upstream, node, clock and operator say of both at once.

As in the search over two escrows each event is lost before its commit, told again, and repeated
after it. Whatever comes when, no price is above the ceilings of those who answered, nobody pays for
one that failed, and each member's cost stands in one account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from cobot_meter.domain.consensus.panel import read_panel
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.states import RunState
from tests.conftest import COUNTED
from tests.domain.escrow.test_quarantine import prove_balanced
from tests.domain.exhaustive.one_escrow_graph import OVERPAID, EscrowGraph, Move, Node
from tests.domain.exhaustive.test_task_exhaustively import prove_runs
from tests.domain.exhaustive.test_two_escrows_exhaustively import prove_that_all_end
from tests.domain.samples import (
    FAILURE,
    Shape,
    canceled,
    cost_known,
    cost_of,
    invoice_issued,
    panel_priced,
    received,
    settled,
)

MOST = (4_000, 6_000)
CEILING = sum(MOST)
SAID = 3_000
BEYOND = 4_500  # more than the first one's own ceiling
S = EscrowState


class PanelGraph(EscrowGraph):
    """All nodes that a panel of two reaches; parked at any time with `quarantine`.

    So much of its ceiling is reserved of `credit`. With `in_turn` the second is asked only when the
    first has answered or failed, or never.
    """

    def __init__(self, *, quarantine: bool, credit: int, in_turn: bool = False) -> None:
        """Searches."""
        self._parks = quarantine
        shape = Shape(ceiling=CEILING, newcomer=False, panel=MOST, least=100, credit=credit)
        super().__init__(replace(shape, in_turn=in_turn))

    def _moves(self, node: Node) -> Iterator[Move]:
        row = node.row
        truths = node.truths if len(node.truths) == len(MOST) else (0,) * len(MOST)
        if self._parks:
            for event in _of_the_operator(row):
                yield self._told(node, row, event, truths)
        for event in _OF_ITS_STATE[row.state](row):
            yield self._told(node, row, event, truths)
        for run in row.runs:
            view = row.seen_from(run.run_id)
            for event, truth in _of_member(view, truths[run.number - 1]):
                changed = [truth if at == run.number - 1 else old for at, old in enumerate(truths)]
                yield self._told(node, view, event, tuple(changed))


def _of_member(view: Escrow, truth: int) -> Iterator[tuple[on.EscrowEvent, int]]:
    """What the upstream says of one member, and what it really took for it then."""
    run, first = view.run, view.run.number == 1
    match run.state:
        case RunState.OPENED:
            yield ran.Abandoned(), 0
            if not any(one.state is RunState.REQUESTED for one in view.runs):
                yield ran.UpstreamRequested(requested_by="replica-1"), 0
        case RunState.REQUESTED:
            yield received(), BEYOND if first else SAID
            yield ran.RunFailed(failure=FAILURE, charged=False), 0
            yield ran.RunOutcomeUnknown(failure=FAILURE), SAID
        case RunState.GENERATED:
            yield cost_known(view, truth), truth
            if first:
                yield cost_known(view, SAID, confirmed=False), truth
            else:
                yield ran.CostNotFound(failure=FAILURE), truth
        case _ if run.lookup_at_ms is not None:
            yield ran.CostConfirmed(cost=cost_of(truth)), truth
        case RunState.FAILED if run.budget_held_pusd:
            yield ran.CostGivenUp(), truth


def _of_the_operator(row: Escrow) -> Iterator[on.EscrowEvent]:
    if row.quarantine is None:
        yield on.QuarantineBegun(event="anything", reason="it cannot be booked")
        return
    yield on.QuarantineLifted()
    yield on.WrittenOff(reason="looked at")


def _running(row: Escrow) -> tuple[on.EscrowEvent, ...]:
    if any(run.may_charge for run in row.runs):
        return ()
    told: tuple[on.EscrowEvent, ...] = ()
    if row.answer_sha256 is None:
        told = (on.PanelAnswered(answer_sha256="a5" * 32),)
    if any(run.in_flight for run in row.runs):
        return told
    enough = len(row.sold_runs) >= read_panel(row.route).quorum
    if row.answer_sha256 and enough and row.quarantine is None:
        told = (*told, panel_priced(row))
    return (*told, on.PanelEnded(failure=FAILURE))


def _expired(row: Escrow) -> tuple[on.EscrowEvent, ...]:
    late = (on.LatePurchase(),) if row.paid_msat and row.keep_until_ms else ()
    dropped = (on.BodiesShredded(),) if row.keep_until_ms else ()
    return (*late, *dropped, *(() if row.paid_msat else _payments(row)))


def _payments(row: Escrow) -> tuple[on.EscrowEvent, ...]:
    assert row.invoice is not None
    return (settled(row, row.invoice.amount_msat + OVERPAID),)


_OF_ITS_STATE: Mapping[EscrowState, Callable[[Escrow], tuple[on.EscrowEvent, ...]]] = {
    S.RUNNING: _running,
    S.PRICED: lambda row: (
        (invoice_issued(row), on.InvoiceMakingRefused(failure=FAILURE))
        if row.due_msat
        else (on.CoveredByCredit(),)
    ),
    S.INVOICED: lambda row: (*_payments(row), canceled(row)),
    S.SETTLED: lambda row: (
        on.CompletionDelivered(),
        on.CompletionLost(),
        on.ClaimLapsed(kept_msat=row.kept_if_unclaimed_msat),
    ),
    S.RELEASED: lambda row: (on.BodiesShredded(),) if row.keep_until_ms else (),
    S.EXPIRED: _expired,
    S.FAILED: lambda _: (),
    S.REFUNDED: lambda _: (),
}


@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.parametrize("credit", [0, 6_500, CEILING])
@pytest.mark.parametrize("quarantine", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_panel_in_every_order(
    credit: int,
    record_property: Callable[[str, object], None],
    *,
    quarantine: bool,
    in_turn: bool,
) -> None:
    """Everything balances, everything ends, and nobody pays for what failed."""
    graph = PanelGraph(quarantine=quarantine, credit=credit, in_turn=in_turn)
    nodes = [node for node in graph.nodes.values() if len(node.truths) == len(MOST)]
    for node in nodes:
        prove_balanced(node)
        prove_runs(node)
        prove_price(node, credit)
    prove_that_all_end(graph.nodes.values())
    invoiced = {S.INVOICED, S.EXPIRED} if credit < CEILING else set()
    assert {node.row.state for node in nodes} == set(S) - {S.INVOICED, S.EXPIRED} | invoiced
    how = f"{' in turn' * in_turn}{', parked at any time' * quarantine}"
    text = (
        f"a panel of {len(MOST)} with credit {credit}{how}: "
        f"{len(nodes):,} states, {graph.told:,} commits each crashed before and after"
    )
    print(text)
    record_property(COUNTED, text)
    assert len(nodes) > 100


def prove_price(node: Node, credit: int) -> None:
    """It is that of two answers, each within its own ceiling, which is all that is risked."""
    row = node.row
    assert row.price_msat <= CEILING
    assert node.claimed(chart.receivable(row.caller_id)) <= CEILING - credit
    if row.price_msat:
        billed = [SAID if run.number > 1 else min(run.cost_pusd, MOST[0]) for run in row.sold_runs]
        assert len(billed) >= read_panel(row.route).quorum
        assert row.price_msat in {sum(billed), sum(billed) - MOST[0] + SAID}
    if row.state is S.RELEASED:
        assert -node.net(chart.REVENUE) == row.price_msat
    assert -node.net(chart.available(row.caller_id)) >= -min(credit, row.price_msat)
