"""Two escrows of one caller in every order of events: the product of two graphs.

Counters are sums, and no escrow touches another's rows, so a pair is two nodes and what the
comparison of costs booked beside them. What couples them are the guards: those are asked of the
whole ledger, by the model's own code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import add
from typing import NamedTuple

from cobot_meter.domain.callers import CapTerms, ExposureTerms
from cobot_meter.domain.errors import ExposureExceeded
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.transitions.upstream import usage_compared
from tests.domain.escrow.walks import granted
from tests.domain.exhaustive.one_escrow_graph import EscrowGraph, Move, Node
from tests.domain.samples import CALLER, NOW_MS, Shape, opened, opening_of, used
from tests.fakes.ledger_model import Counters, Ledger, OpenReservation

CEILING = 10_000
LEAST = 100
# What a sale that grows begins with, and what it may cost us beyond what it has grown to.
FIRST = 4_000
OVERRUN = 2_000
# Tight enough that the second escrow is refused after some histories of the first.
TERMS = ExposureTerms(
    cap=CapTerms(newcomer_msat=2 * CEILING, max_msat=10 * CEILING),
    newcomer_until_msat=7_000,
    address_day_pusd=2 * CEILING,
    newcomers_day_pusd=2 * CEILING,
    proven_day_pusd=2 * CEILING,
)
KEY = "key_1"
SETTLED = chart.settled(CALLER)
EVERY = 101  # edge whose additivity is proven on the whole ledger


class Pair(NamedTuple):
    """`rest` is what comparisons booked that no escrow explains, in pico-USD."""

    first: Node
    second: Node | None
    rest: int

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The escrows that are there, in opening order."""
        return (self.first,) if self.second is None else (self.first, self.second)

    @property
    def quiet(self) -> bool:
        """Whether costs may be compared now."""
        return not (self.first.unquiet or (self.second is not None and self.second.unquiet))

    @property
    def unexplained_pusd(self) -> int:
        """What the upstream took and our books do not have."""
        second = self.second.missing if self.second is not None else 0
        return self.first.missing + second - self.rest


class Opening(NamedTuple):
    """A pair in which an escrow was just opened, and the limits that stood at that moment."""

    pair: Pair
    ledger: Ledger
    newcomer: bool


@dataclass(slots=True)
class Search:
    """All pairs that a caller with `credit` reaches, and the counts of what was done there.

    `covered` is the mode of what credit covers: the other escrow may be of the other mode. `first`
    is what credit has to cover; less than the ceiling grows. `besides` is what no escrow booked, by
    the rest of the pair.
    """

    credit: int
    covered: Mode = Mode.ESCROW
    first: int = CEILING
    graphs: dict[tuple[str, int, bool], EscrowGraph] = field(default_factory=dict)
    openings: list[Opening] = field(default_factory=list)
    events: int = 0
    refused: int = 0
    besides: dict[int, Ledger] = field(default_factory=dict)

    def pairs(self) -> set[Pair]:
        """Every one, from the opening of the first escrow on."""
        start = Pair(self._first(), None, 0)
        seen, frontier = {start}, [start]
        while frontier:
            for pair in self._next(frontier.pop()):
                if pair not in seen:
                    seen.add(pair)
                    frontier.append(pair)
        return seen

    def ledger(self, pair: Pair) -> Ledger:
        """The whole ledger of a pair."""
        if pair.rest not in self.besides:
            rest = usage_compared(used(0), sequence=0, cost_pusd=pair.rest, at_ms=NOW_MS)
            credited = granted(Ledger(), CALLER, self.credit)
            self.besides[pair.rest] = credited.after((), rest.transfers)
        return _sum(self.besides[pair.rest], *(node.rows.ledger for node in pair.nodes))

    def spendable(self, pair: Pair) -> int:
        """The caller's credit, reservations taken off."""
        second = pair.second.credit_claimed if pair.second is not None else 0
        return self.credit - pair.first.credit_claimed - second

    def _first(self) -> Node:
        shape = self._shape("esc_1", credit=self.credit, newcomer=True)
        before = granted(Ledger(), CALLER, self.credit)
        first = self._graph(shape).first
        self._open(Pair(first, None, 0), before, shape)
        return first

    def _shape(self, escrow_id: str, *, credit: int, newcomer: bool) -> Shape:
        on_credit = credit >= self.first and self.covered is Mode.CREDIT
        grows = on_credit and self.first < CEILING
        return Shape(
            escrow_id=escrow_id,
            ceiling=CEILING,
            credit=min(credit, self.first if on_credit else CEILING),
            newcomer=newcomer,
            least=LEAST,
            mode=self.covered if on_credit else Mode.ESCROW,
            key_id=KEY if on_credit else None,
            first_tokens=1 if grows else None,
            overrun=OVERRUN if grows else 0,
        )

    def _next(self, pair: Pair) -> Iterator[Pair]:
        first, second, rest = pair
        for move in first.moves:
            if not move.guarded or self._passes(pair, move):
                yield self._moved(pair, move, Pair(move.target, second, rest))
        if second is None:
            yield from self._opened(pair)
        else:
            for move in second.moves:
                if not move.guarded or self._passes(pair, move):
                    yield self._moved(pair, move, Pair(first, move.target, rest))
        if pair.quiet:
            yield from self._compared(pair)

    def _passes(self, pair: Pair, move: Move) -> bool:
        try:
            self.ledger(pair).after(move.transition.accounts, move.transition.transfers)
        except ExposureExceeded:
            self.refused += 1
            return False
        return True

    def _moved(self, pair: Pair, move: Move, target: Pair) -> Pair:
        self.events += 1
        if self.events % EVERY == 0:
            whole = self.ledger(pair).after(move.transition.accounts, move.transition.transfers)
            assert _standing(whole) == _standing(self.ledger(target)), "the parts do not add up"
        return target

    def _opened(self, pair: Pair) -> Iterator[Pair]:
        newcomer = TERMS.is_newcomer(pair.first.net(SETTLED))
        shape = self._shape("esc_2", credit=self.spendable(pair), newcomer=newcomer)
        target = Pair(pair.first, self._graph(shape).first, pair.rest)
        try:
            self._open(target, self.ledger(pair), shape)
        except ExposureExceeded:
            self.refused += 1
        else:
            yield target

    def _open(self, target: Pair, before: Ledger, shape: Shape) -> None:
        opening = opening_of(opened(shape), terms=TERMS)
        after = before.after(opening.accounts, opening.transfers)
        assert _standing(after) == _standing(self.ledger(target))
        self.events += 1
        self.openings.append(Opening(target, after, shape.newcomer))

    def _compared(self, pair: Pair) -> Iterator[Pair]:
        """One transition of A13: a share for the first unexplained escrow, or the rest."""
        first, second, rest = pair
        missing = pair.unexplained_pusd
        node = first if first.unexplained else second
        if node is not None and node.unexplained:
            share = min(max(missing, 0), node.row.quote.ceiling_pusd)
            target = self._graph_of(node).attributed(node, share)
            self.events += 1
            yield Pair(target, second, rest) if node is first else Pair(first, target, rest)
        elif missing:
            self.events += 1
            yield Pair(first, second, rest + missing)

    def _graph(self, shape: Shape) -> EscrowGraph:
        key = (shape.escrow_id, shape.credit, shape.newcomer)
        if key not in self.graphs:
            self.graphs[key] = EscrowGraph(shape)
        return self.graphs[key]

    def _graph_of(self, node: Node) -> EscrowGraph:
        quote = node.row.quote
        return self.graphs[node.row.escrow_id, quote.credit_reserved_msat, quote.newcomer]


def _sum(*ledgers: Ledger) -> Ledger:
    accounts: dict[str, Account] = {}
    counters: dict[str, Counters] = {}
    holds: dict[str, OpenReservation | None] = {}
    for ledger in ledgers:
        accounts.update(ledger.accounts)
        holds.update(ledger.holds)
        for code, part in ledger.counters.items():
            so_far = counters.get(code)
            counters[code] = part if so_far is None else Counters(*map(add, so_far, part))
    return Ledger(accounts, counters, holds)


def _standing(ledger: Ledger) -> dict[str, tuple[int, int, int]]:
    return {
        code: (counters.net, counters.debits_pending, counters.credits_pending)
        for code, counters in ledger.counters.items()
        if any((counters.net, counters.debits_pending, counters.credits_pending))
    }
