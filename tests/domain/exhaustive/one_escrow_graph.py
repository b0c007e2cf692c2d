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
from cobot_meter.domain.run.record import CostStanding, Run
from cobot_meter.domain.transitions.escrows import escrow_transition
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.domain.with_changes import changer_of
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
    fell_back,
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
STEP = 3_000
_plain_sale, _plain_run = changer_of(Escrow), changer_of(Run)
_UNTRIED_SALE = {"version": 0, "attempt": 0, "payment_hash": None}
_UNTRIED_RUN = {"version": 0, "lookups": 0}
Identity = tuple[Escrow, tuple[Run, ...], tuple[int, ...], frozenset[tuple[str, int, int, int]]]
Told = tuple[on.EscrowEvent, int]


@dataclass(slots=True, eq=False)
class Node:
    """`truths` are what the upstream really took for each run, in pico-USD, said or not.

    What is asked of every pair is counted once: the upstream's truth, its claim on the caller's
    credit, what its books miss of that truth, whether the upstream's usage says nothing certain
    about it yet, what stands on its cost accounts, in all and unattributed, whether the comparison
    of costs would give it a share, and whether what it cost was never said for certain.
    """

    row: Escrow
    rows: BooksRows
    truths: tuple[int, ...] = (0,)
    moves: list[Move] = field(default_factory=list)
    truth: int = field(init=False)
    credit_claimed: int = field(init=False)
    missing: int = field(init=False)
    unquiet: bool = field(init=False)
    cost: int = field(init=False)
    unattributed: int = field(init=False)
    unexplained: bool = field(init=False)
    unconfirmed: bool = field(init=False)

    def __post_init__(self) -> None:
        """Count."""
        run = self.row.run
        failed = self.row.progress is S.FAILED
        self.truth = sum(self.truths)
        self.unexplained = failed and run.budget_held_pusd > 0 and not self.awaited
        self.unconfirmed = run.cost is None or run.cost.standing is not CostStanding.CONFIRMED
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


@dataclass(frozen=True, slots=True)
class Move:
    """One event told to a node. `guarded` ones may be refused by the caller's other doings."""

    name: str
    target: Node
    transition: Transition
    guarded: bool


class EscrowGraph:
    """All nodes that an escrow of one shape reaches, found on demand."""

    def __init__(self, shape: Shape, *, quarantine: bool = False, fallback: bool = False) -> None:
        """`told` counts the events told, each of them also lost once and repeated once.

        With `quarantine` it may be parked at any time, and the operator lets it go on or ends it.
        With `fallback` its first run may be followed by a second one.
        """
        self._offered = with_quarantine if quarantine else offered
        self._fallback = fallback
        escrow = opened(shape)
        self.opening = opening_of(escrow)
        self.nodes: dict[Identity, Node] = {}
        self._untold: list[Node] = []
        self._shared: dict[tuple[Node, int], Node] = {}
        self.told = 0
        self.first = self._node(escrow, BooksRows().after(_unguarded(self.opening)), (0,))
        self._tell_all()

    def attributed(self, node: Node, share: int) -> Node:
        """The node after A13 gave it its share; told once, however many pairs come to it."""
        if (node, share) in self._shared:
            return self._shared[node, share]
        event = ran.CostAttributed(cost_pusd=share)
        target = self._told(node, node.row, event, node.truths).target
        self._tell_all()
        self._shared[node, share] = target
        return target

    def _tell_all(self) -> None:
        """Find the moves of every new node, and so of those that they lead to."""
        while self._untold:
            node = self._untold.pop()
            node.moves = list(self._moves(node))

    def _moves(self, node: Node) -> Iterator[Move]:
        row, before = node.row, node.truths[:-1]
        for event, truth in self._offered(node):
            yield self._told(node, row, event, (*before, truth))
        if not self._fallback:
            return
        if row.progress is S.REQUESTED and row.runs_made == 1:
            for event, truth in falling_back(row):
                yield self._told(node, row, event, (truth, 0))
        for run in row.others:
            view = row.seen_from(run.run_id)
            for event in _late(view, node.truths[run.number - 1]):
                yield self._told(node, view, event, node.truths)

    def _told(
        self, node: Node, row: Escrow, event: on.EscrowEvent, truths: tuple[int, ...]
    ) -> Move:
        """The event told of the node's row, or of the same looked at from an earlier run."""
        transition = _transition(row, event)
        assert transition == _transition(row, event), "lost and told again, it is another"
        after = door(node.rows, transition)
        assert door(after, transition) is after, "repeated, it was booked again"
        assert len(after.journal) == len(node.rows.journal) + 1
        told = transition.escrow
        assert told is not None
        self.told += 1
        return Move(
            name=type(event).__name__,
            target=self._node(told.seen_from(told.run_id), after, truths),
            transition=transition,
            guarded=any(transfer.guard for transfer in transition.transfers),
        )

    def _node(self, row: Escrow, rows: BooksRows, truths: tuple[int, ...]) -> Node:
        identity = _identity(row, rows.ledger, truths)
        found = self.nodes.get(identity)
        if found is None:
            found = self.nodes[identity] = Node(row, rows, truths)
            self._untold.append(found)
        return found


def door(rows: BooksRows, transition: Transition) -> BooksRows:
    """The one door, without its guards: the same rows when the key is in the journal."""
    return rows if transition.key in rows.journal else rows.after(_unguarded(transition))


def offered(node: Node) -> Iterator[Told]:
    """What upstream, node, clock or caller may bring about next, and the truth of its run then."""
    row, truth = node.row, node.truths[-1]
    for event in _OF_ITS_STATE[row.progress](row):
        yield event, truth
    if row.progress is S.REQUESTED:
        yield from _of_the_upstream(row)
    if row.progress is S.GENERATED:
        yield cost_known(row, truth), truth
        yield cost_known(row, SAID, confirmed=False), truth
        yield ran.CostNotFound(failure=FAILURE), truth
    elif node.awaited:
        yield ran.CostConfirmed(cost=cost_of(truth)), truth
        yield ran.CostLookupMissed(lookup_at_ms=NOW_MS), truth
        yield ran.CostLookupMissed(lookup_at_ms=None), truth
    elif node.unexplained:
        yield ran.CostGivenUp(), truth


def with_quarantine(node: Node) -> Iterator[Told]:
    """The same with the operator's words: facts of others come in quarantine, timers do not."""
    yield from offered(node)
    row, truth = node.row, node.truths[-1]
    if row.quarantine is None:
        yield on.QuarantineBegun(event="anything", reason="it cannot be booked"), truth
        return
    yield on.QuarantineLifted(), truth
    yield on.WrittenOff(reason="looked at"), truth
    if row.progress in {S.INVOICED, S.EXPIRED} and not row.paid_msat:
        for paid in _payments(row):
            yield (
                on.WrittenOff(
                    reason="paid",
                    paid_msat=paid.paid_msat,
                    settle_index=paid.settle_index,
                    node_alias=paid.node_alias,
                ),
                truth,
            )


def falling_back(row: Escrow) -> Iterator[Told]:
    """The first run fails at no cost, at one that was said, or nobody knows; another is asked."""
    yield fell_back(row, charged=False), 0
    yield fell_back(row, charged=True, cost=cost_of(SAID, confirmed=False)), COSTS[-1]
    for truth in (0, SAID):
        yield fell_back(row), truth


def _late(view: Escrow, truth: int) -> Iterator[on.EscrowEvent]:
    """What comes of a run that its sale no longer lives by, whatever has become of the sale."""
    run = view.run
    if run.lookup_at_ms is not None:
        yield ran.CostConfirmed(cost=cost_of(truth))
        yield ran.CostLookupMissed(lookup_at_ms=NOW_MS)
        yield ran.CostLookupMissed(lookup_at_ms=None)
    elif run.budget_held_pusd:
        yield ran.CostGivenUp()
        yield ran.CostAttributed(cost_pusd=truth)


def _of_the_upstream(row: Escrow) -> Iterator[Told]:
    named = row.run.generation_id is not None
    if not named:
        yield ran.GenerationStarted(generation_id="gen-1"), 0
    if row.quote.grows and row.reserved_msat + STEP <= row.quote.ceiling_msat:
        yield on.ReservationExtended(number=row.extensions + 1, by_msat=STEP), 0
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
    if all(transfer.guard is None for transfer in transition.transfers):
        return transition
    transfers = tuple(replace(transfer, guard=None) for transfer in transition.transfers)
    return replace(transition, transfers=transfers)


def _identity(row: Escrow, ledger: Ledger, truths: tuple[int, ...]) -> Identity:
    run, *others = (_plain_run(one, _UNTRIED_RUN) for one in (row.run, *row.others))
    plain = _plain_sale(row, {**_UNTRIED_SALE, "run": run})
    booked = frozenset(
        (code, counters.net, counters.debits_pending, counters.credits_pending)
        for code, counters in ledger.counters.items()
        if any(counters)
    )
    return plain, tuple(others), truths, booked
