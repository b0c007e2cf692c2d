"""Two escrows of one caller, every order of events, a crash on either side of every commit.

The graphs tell each event three times over: lost before its commit and told again, committed,
and repeated after it. The product then interleaves two of them in every order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from cobot_meter.domain.escrow.states import Mode, Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import Commodity
from cobot_meter.domain.run.states import RunState
from tests.conftest import COUNTED
from tests.domain.exhaustive.one_escrow_graph import Node
from tests.domain.exhaustive.two_escrow_graph import (
    CEILING,
    FIRST,
    LEAST,
    TERMS,
    Opening,
    Pair,
    Search,
)
from tests.domain.samples import ADDRESS, CALLER, CREDITS, DAY

S = Progress
ENDED = frozenset({S.RELEASED, S.REFUNDED, S.EXPIRED, S.FAILED})
PAID = frozenset({S.SETTLED, S.RELEASED, S.REFUNDED})
ADDRESS_DAY = chart.address_budget(ADDRESS, DAY)
PAYMENTS = frozenset({"invoice_settled", "covered_by_credit", "completion_costed"})


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("credit", "covered", "first"),
    [
        (0, Mode.ESCROW, CEILING),
        (2_000, Mode.ESCROW, CEILING),
        (CEILING, Mode.ESCROW, CEILING),
        (CEILING, Mode.CREDIT, CEILING),
        (CEILING, Mode.CREDIT, FIRST),
    ],
)
def test_two_escrows_in_every_order(
    credit: int, covered: Mode, first: int, record_property: Callable[[str, object], None]
) -> None:
    """From no credit, some, and enough for the first, in either mode: everything always holds."""
    search = Search(credit, covered, first)
    pairs = search.pairs()
    nodes = [node for graph in search.graphs.values() for node in graph.nodes.values()]
    for node in nodes:
        prove_node(node)
    prove_that_all_end(nodes)
    for opening in search.openings:
        prove_opening(opening)
    for pair in pairs:
        assert search.spendable(pair) >= 0
        if pair.quiet and pair.unexplained_pusd == 0:
            prove_costs(pair)
    told = sum(graph.told for graph in search.graphs.values())
    growing = f", which grow from {first} msat" if first < CEILING else ""
    text = (
        f"credit {credit} msat, covered sales by {covered}{growing}: {len(pairs):,} distinct "
        f"states of two escrows, {search.events:,} events told, {search.refused:,} refused by a "
        f"guard; {len(nodes):,} states of one, {told:,} commits each crashed before and after"
    )
    print(text)
    record_property(COUNTED, text)
    assert len(pairs) > 50_000


def prove_node(node: Node) -> None:
    """What holds for an escrow wherever it is: balance, one row a fact, nothing unpaid read."""
    ledger = node.rows.ledger
    for commodity in Commodity:
        codes = [code for code, at in ledger.accounts.items() if at.commodity is commodity]
        assert sum(ledger.counters[code].net for code in codes) == 0
    kinds = [entry.kind for entry in node.rows.journal.values()]
    sale, runs = node.row.version, [run.version for run in node.row.runs]
    assert max(sale, *runs) <= len(kinds) < sale + sum(runs)
    assert kinds.count("invoice_settled") <= 1
    assert kinds.count("completion_delivered") <= 1
    if node.row.progress in PAID:
        assert PAYMENTS & set(kinds)
        assert node.net(chart.lapsed(CALLER)) == node.net(ADDRESS_DAY) == 0
    else:
        assert node.net(chart.REVENUE) == 0
    if node.row.progress is S.RELEASED:
        assert -node.net(chart.REVENUE) == node.row.price_msat
    if node.row.progress in ENDED:
        prove_cleared(node)


def prove_cleared(node: Node) -> None:
    """Ended: nothing unearned or receivable, and nothing reserved but unexplained days."""
    assert node.net(chart.UNEARNED) == 0
    prove_key(node)
    assert node.net(chart.receivable(CALLER)) == 0
    open_reservations = node.rows.ledger.open_reservations()
    newcomer = node.row.quote.newcomer
    days = [chart.day_budget(DAY, newcomer=newcomer), *([ADDRESS_DAY] if newcomer else [])]
    reserved = {hold.debit for hold in open_reservations.values()}
    assert reserved in ({day.code for day in days}, set())
    prove_overrun(node)
    if not open_reservations and not node.row.quote.covered:
        for day in days:
            prove_budget(node, node.net(day))


def prove_key(node: Node) -> None:
    """A key has spent what its sale was sold for, on its day as in all, and nothing is reserved."""
    key_id = node.row.key_id
    if key_id is None:
        return
    sold = node.row.progress is S.RELEASED
    kept = -node.net(chart.REVENUE) if node.row.progress is S.REFUNDED else 0
    for account in (chart.key_spent(key_id), chart.key_day(key_id, DAY)):
        assert node.claimed(account) == node.net(account)
        assert node.net(account) == (node.row.price_msat if sold else kept)
    prove_losses(node, node.net(chart.key_losses(key_id, DAY)))


def prove_losses(node: Node, lost: int) -> None:
    """What a failed run cost, or its ceiling where that is unknown; nothing of what is sold."""
    kinds = {entry.kind for entry in node.rows.journal.values()}
    run = node.row.run
    if node.row.progress in PAID or run.state is not RunState.FAILED:
        assert lost == 0
    elif run.cost is not None:
        assert lost == run.cost_pusd
    else:
        unknown = "outcome_unknown" in kinds
        assert lost in ({CEILING} if unknown else {0, CEILING})


def prove_overrun(node: Node) -> None:
    """Counted is what its price would have been above what was reserved, and never less than 0."""
    row = node.row
    overrun = node.net(chart.overrun(DAY))
    assert node.claimed(chart.overrun(DAY)) == overrun
    sold = row.progress in PAID and row.quote.grows
    assert overrun == (max(0, row.priced_pusd - row.reserved_msat) if sold else 0)


def prove_budget(node: Node, counted: int) -> None:
    """A day counts exactly what is unpaid, its least, or the ceiling where none can tell."""
    kinds = {entry.kind for entry in node.rows.journal.values()}
    if node.row.progress in PAID:
        assert counted == 0
    elif "cost_given_up" in kinds:
        assert counted == CEILING
    else:
        assert counted == max(LEAST, -node.net(CREDITS))


def prove_that_all_end(nodes: Iterable[Node]) -> None:
    """From every state some row of events ends the escrow with nothing reserved."""
    sources: dict[Node, list[Node]] = {}
    frontier = []
    for node in nodes:
        sources.setdefault(node, [])
        for move in node.moves:
            sources.setdefault(move.target, []).append(node)
        if node.row.progress in ENDED and not node.rows.ledger.open_reservations():
            frontier.append(node)
    found = set(frontier)
    while frontier:
        for source in sources[frontier.pop()]:
            if source not in found:
                found.add(source)
                frontier.append(source)
    assert found == set(sources)


def prove_opening(opening: Opening) -> None:
    """Whoever was let in was within the cap, the address's day and the day's budget."""
    ledger = opening.ledger
    cap = TERMS.cap.cap_msat(
        settled_msat=ledger.of(chart.settled(CALLER)).net,
        lapsed_msat=ledger.of(chart.lapsed(CALLER)).net,
    )
    row = opening.pair.nodes[-1].row
    if row.quote.grows:
        assert ledger.of(chart.overrun(DAY)).claimed <= TERMS.overrun_day_pusd
    if not row.quote.covered:
        assert ledger.of(chart.receivable(CALLER)).claimed <= cap
        budget = ledger.of(chart.day_budget(DAY, newcomer=opening.newcomer))
        assert budget.claimed <= TERMS.day_budget_pusd(newcomer=opening.newcomer)
        if opening.newcomer:
            assert ledger.of(ADDRESS_DAY).claimed <= TERMS.address_day_pusd


def prove_costs(pair: Pair) -> None:
    """What the upstream took is what our cost accounts say; unattributed only what none knew."""
    nodes = pair.nodes
    assert sum(node.cost for node in nodes) + pair.rest == sum(node.truth for node in nodes)
    if pair.rest or any(node.unattributed for node in nodes):
        assert any(node.unconfirmed for node in nodes)
