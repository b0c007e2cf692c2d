"""Every way one escrow can go, told by parts outside that may say anything they ever say.

A node is an escrow's row with what it has booked. Rows that differ only in how often something was
tried (version, look-ups, invoice attempts) are one node. Every event is told through the door as it
is, lost before its commit and told again, and repeated after it. Guards are left to whoever puts
several escrows together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Mode, Progress
from cobot_meter.domain.ledger.accounts import (
    COST_ACCOUNTS,
    COST_UNATTRIBUTED,
    Account,
    available,
)
from cobot_meter.domain.pricing.prices import kept_when_lapsed_msat
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import CostStanding
from cobot_meter.domain.transitions.escrows import escrow_transition
from cobot_meter.domain.transitions.transition import Transition
from tests.domain.samples import (
    CREDITS,
    FAILURE,
    NOW_MS,
    RETENTION,
    Shape,
    canceled,
    completion_costed,
    cost_known,
    cost_of,
    invoice_issued,
    invoice_lost,
    opened,
    opening_of,
    received,
    settled,
)
from tests.fakes.books_rows import BooksRows
from tests.fakes.ledger_model import Ledger

S = Progress
COSTS = (4_000, 7_500, 12_000)  # the ceiling is 10,000
SAID = 7_500
MAYBE = (0, 7_500, 12_000)
OVERPAID = 1_500
Identity = tuple[Escrow, int, frozenset[tuple[str, int, int, int]]]


@dataclass(slots=True, eq=False)
class Node:
    """`truth` is what the upstream really took for it, in pico-USD, whether it says so or not.

    What is asked of every world is counted once: its claim on the caller's credit, what its books
    miss of its truth, whether the upstream's usage says nothing certain about it yet, and what
    stands on its cost accounts, in all and unattributed.
    """

    row: Escrow
    rows: BooksRows
    truth: int = 0
    moves: list[Move] = field(default_factory=list)
    credit_claimed: int = field(init=False)
    missing: int = field(init=False)
    unquiet: bool = field(init=False)
    cost: int = field(init=False)
    unattributed: int = field(init=False)

    def __post_init__(self) -> None:
        """Count."""
        self.credit_claimed = self.claimed(available(self.row.caller_id))
        self.missing = self.truth + self.net(CREDITS)
        self.unquiet = self.in_flight or self.awaited
        self.cost = sum(self.net(account) for account in COST_ACCOUNTS)
        self.unattributed = self.net(COST_UNATTRIBUTED)

    def claimed(self, account: Account) -> int:
        """Its part of what a guard on this account reads."""
        return self.rows.ledger.of(account).claimed

    def net(self, account: Account) -> int:
        """Its part of the account's balance."""
        return self.rows.ledger.of(account).net

    @property
    def awaited(self) -> bool:
        """Whether its cost is still being looked up."""
        return self.row.run.lookup_at_ms is not None

    @property
    def in_flight(self) -> bool:
        """Whether the upstream may still be at work on it."""
        return self.row.run.in_flight

    @property
    def unexplained(self) -> bool:
        """Whether the comparison of costs would give it a share."""
        failed = self.row.progress is S.FAILED
        return failed and self.row.run.budget_held_pusd > 0 and not self.awaited

    @property
    def unconfirmed(self) -> bool:
        """Whether what it really cost was never said for certain."""
        cost = self.row.run.cost
        return cost is None or cost.standing is not CostStanding.CONFIRMED


@dataclass(frozen=True, slots=True)
class Move:
    """One event told to a node. `guarded` ones may be refused by the caller's other doings."""

    name: str
    target: Node
    transition: Transition
    guarded: bool


class EscrowGraph:
    """All nodes that an escrow of one shape reaches, found on demand."""

    def __init__(self, shape: Shape, *, quarantine: bool = False) -> None:
        """`told` counts the events told, each of them also lost once and repeated once.

        With `quarantine` it may be parked at any time, and the operator lets it go on or ends it.
        """
        self._offered = with_quarantine if quarantine else offered
        escrow = opened(shape)
        self.opening = opening_of(escrow)
        self.nodes: dict[Identity, Node] = {}
        self.told = 0
        self.first = self._node(escrow, BooksRows().after(_unguarded(self.opening)), 0)
        frontier = [self.first]
        while frontier:
            node = frontier.pop()
            known = len(self.nodes)
            node.moves = [self._told(node, event, truth) for event, truth in self._offered(node)]
            frontier += list(self.nodes.values())[known:]

    def attributed(self, node: Node, share: int) -> Node:
        """The node after A13 gave it its share."""
        known = len(self.nodes)
        target = self._told(node, ran.CostAttributed(cost_pusd=share), node.truth).target
        for new in list(self.nodes.values())[known:]:
            new.moves = [self._told(new, event, truth) for event, truth in self._offered(new)]
        return target

    def _told(self, node: Node, event: on.EscrowEvent, truth: int) -> Move:
        transition = _transition(node.row, event)
        assert transition == _transition(node.row, event), "lost and told again, it is another"
        after = door(node.rows, transition)
        assert door(after, transition) is after, "repeated, it was booked again"
        assert len(after.journal) == len(node.rows.journal) + 1
        row = transition.escrow
        assert row is not None
        self.told += 1
        return Move(
            name=type(event).__name__,
            target=self._node(row, after, truth),
            transition=transition,
            guarded=any(transfer.guard for transfer in transition.transfers),
        )

    def _node(self, row: Escrow, rows: BooksRows, truth: int) -> Node:
        identity = _identity(row, rows.ledger, truth)
        if identity not in self.nodes:
            self.nodes[identity] = Node(row, rows, truth)
        return self.nodes[identity]


def door(rows: BooksRows, transition: Transition) -> BooksRows:
    """The one door, without its guards: the same rows when the key is in the journal."""
    return rows if transition.key in rows.journal else rows.after(_unguarded(transition))


def offered(node: Node) -> Iterator[tuple[on.EscrowEvent, int]]:
    """What upstream, node, clock or caller may bring about next, and the truth behind it."""
    row = node.row
    for event in _OF_ITS_STATE[row.progress](row):
        yield event, node.truth
    if row.progress is S.REQUESTED:
        yield from _of_the_upstream(row)
    if row.progress is S.GENERATED:
        yield cost_known(row, node.truth), node.truth
        yield cost_known(row, SAID, confirmed=False), node.truth
        yield ran.CostNotFound(failure=FAILURE), node.truth
    elif node.awaited:
        yield ran.CostConfirmed(cost=cost_of(node.truth)), node.truth
        yield ran.CostLookupMissed(lookup_at_ms=NOW_MS), node.truth
        yield ran.CostLookupMissed(lookup_at_ms=None), node.truth
    elif node.unexplained:
        yield ran.CostGivenUp(), node.truth


def with_quarantine(node: Node) -> Iterator[tuple[on.EscrowEvent, int]]:
    """The same with the operator's words: facts of others come in quarantine, timers do not."""
    yield from offered(node)
    row = node.row
    if row.quarantine is None:
        yield on.QuarantineBegun(event="anything", reason="it cannot be booked"), node.truth
        return
    yield on.QuarantineLifted(), node.truth
    yield on.WrittenOff(reason="looked at"), node.truth
    if row.progress in {S.INVOICED, S.EXPIRED} and not row.paid_msat:
        for paid in _payments(row):
            yield (
                on.WrittenOff(
                    reason="paid",
                    paid_msat=paid.paid_msat,
                    settle_index=paid.settle_index,
                    node_alias=paid.node_alias,
                ),
                node.truth,
            )


def _of_the_upstream(row: Escrow) -> Iterator[tuple[on.EscrowEvent, int]]:
    named = row.run.generation_id is not None
    if not named:
        yield ran.GenerationStarted(generation_id="gen-1"), 0
    for truth in COSTS:
        yield received(), truth
        if row.mode is Mode.CREDIT:
            yield completion_costed(row, SAID), truth
    yield ran.RunFailed(failure=FAILURE, charged=False), 0
    said = cost_of(SAID, confirmed=False)
    for truth in COSTS if named else (SAID,):
        yield ran.RunFailed(failure=FAILURE, charged=True, cost=said), truth
    for truth in MAYBE:
        yield ran.RunFailed(failure=FAILURE, charged=True), truth
        yield ran.RunOutcomeUnknown(failure=FAILURE), truth


def _costed(row: Escrow) -> tuple[on.EscrowEvent, ...]:
    if row.due_msat == 0:
        return (on.CoveredByCredit(),)
    return (invoice_issued(row), invoice_lost(row), on.InvoiceMakingRefused(failure=FAILURE))


def _expired(row: Escrow) -> tuple[on.EscrowEvent, ...]:
    late = (on.LatePurchase(),) if row.paid_msat and row.keep_until_ms else ()
    return (*late, *_dropped(row), *(() if row.paid_msat else _payments(row)))


def _dropped(row: Escrow) -> tuple[on.EscrowEvent, ...]:
    return (on.BodiesShredded(),) if row.keep_until_ms else ()


def _payments(row: Escrow) -> tuple[on.InvoiceSettled, on.InvoiceSettled]:
    assert row.invoice is not None
    return settled(row), settled(row, row.invoice.amount_msat + OVERPAID)


def _claim_lapsed(row: Escrow) -> on.ClaimLapsed:
    kept = kept_when_lapsed_msat(
        row.cost_pusd, price_msat=row.price_msat, rate=row.quote.rate, terms=row.quote.terms
    )
    return on.ClaimLapsed(kept_msat=kept)


_OF_ITS_STATE: Mapping[Progress, Callable[[Escrow], tuple[on.EscrowEvent, ...]]] = {
    S.OPENED: lambda _: (ran.UpstreamRequested(), ran.Abandoned()),
    S.REQUESTED: lambda _: (),
    S.GENERATED: lambda _: (ran.CostLookupMissed(lookup_at_ms=NOW_MS),),
    S.COSTED: _costed,
    S.INVOICED: lambda row: (*_payments(row), canceled(row)),
    S.SETTLED: lambda row: (on.CompletionDelivered(), on.CompletionLost(), _claim_lapsed(row)),
    S.RELEASED: _dropped,
    S.EXPIRED: _expired,
    S.FAILED: lambda _: (),
    S.REFUNDED: lambda _: (),
}


def _transition(row: Escrow, event: on.EscrowEvent) -> Transition:
    told = escrow_transition(row, event, at_ms=NOW_MS, retention=RETENTION)
    # Storage does not write again that an ask is occupied: once it is free, it stays free.
    assert row.occupies_ask or told.escrow is None or not told.escrow.occupies_ask
    return told


def _unguarded(transition: Transition) -> Transition:
    transfers = tuple(replace(transfer, guard=None) for transfer in transition.transfers)
    return replace(transition, transfers=transfers)


def _identity(row: Escrow, ledger: Ledger, truth: int) -> Identity:
    run = replace(row.run, version=0, lookups=0)
    plain = replace(row, version=0, attempt=0, payment_hash=None, run=run)
    booked = frozenset(
        (code, counters.net, counters.debits_pending, counters.credits_pending)
        for code, counters in ledger.counters.items()
        if any(counters)
    )
    return plain, truth, booked
