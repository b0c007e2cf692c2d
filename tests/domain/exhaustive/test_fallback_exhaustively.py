"""One sale that may have a second run: every order of what comes of either, and of the sale.

As in the search over two escrows each event is lost before its commit, told again, and repeated
after it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cobot_meter.domain.run.record import CostStanding
from cobot_meter.domain.run.states import RunState
from tests.conftest import COUNTED
from tests.domain.escrow.test_quarantine import prove_balanced
from tests.domain.exhaustive.one_escrow_graph import EscrowGraph, Node
from tests.domain.exhaustive.test_two_escrows_exhaustively import prove_that_all_end
from tests.domain.samples import Shape

CEILING = 10_000


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("quarantine", [False, True])
@pytest.mark.parametrize("credit", [0, CEILING])
def test_two_runs_of_one_sale_in_every_order(
    credit: int, record_property: Callable[[str, object], None], *, quarantine: bool
) -> None:
    """Everything balances, everything ends, and each run's cost stands where that run says."""
    shape = Shape(ceiling=CEILING, credit=credit, least=100)
    graph = EscrowGraph(shape, quarantine=quarantine, fallback=True)
    nodes = list(graph.nodes.values())
    for node in nodes:
        prove_balanced(node)
        prove_runs(node)
    prove_that_all_end(nodes)
    second = [node for node in nodes if node.row.runs_made == 2]
    assert {node.row.progress for node in second} >= {node.row.progress for node in nodes} - {
        graph.first.row.progress  # a second run is sent in the commit that begins it
    }
    text = (
        f"credit {credit} msat, {'with' if quarantine else 'without'} quarantine: "
        f"{len(nodes):,} states of a sale, {len(second):,} of them with a second run, "
        f"{graph.told:,} commits each crashed before and after"
    )
    print(text)
    record_property(COUNTED, text)
    assert len(second) > 1_000


def prove_runs(node: Node) -> None:
    """What a run books is its own; the first of two stays failed, and holds days of its own."""
    row, ledger = node.row, node.rows.ledger
    assert len(row.runs) == row.runs_made == len(node.truths)
    assert row.run_id == row.run.run_id
    for run in row.others:
        assert run.state is RunState.FAILED
        assert run.failure is not None
        assert run.parked == (row.quarantine is not None)
    held = {run.run_id: run.budget_held_pusd for run in row.runs}
    reserved = [hold_id.split("/") for hold_id in ledger.open_reservations()]
    on_days = {run_id for run_id, name, *_ in reserved if name in {"address", "budget"}}
    assert on_days == {run_id for run_id, amount in held.items() if amount}
    costs = [run.cost for run in row.runs]
    if all(cost is not None and cost.standing is CostStanding.CONFIRMED for cost in costs):
        assert node.missing == 0
