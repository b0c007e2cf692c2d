"""`python -m benchmarks routing [--data DIR]`: decision times, our own sets, and recorded data."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import quantiles

from benchmarks.rig.sizes import SMOKE, Size
from benchmarks.rig.tables import Bar, bars, table
from benchmarks.routing import orders
from benchmarks.routing.prompts import HARD, ROUTINE
from benchmarks.routing.recorded import CHEAP, DATA, SHARES, Item, Ulab, columns, read_ulab
from cobot_meter.domain.body import Body
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import PriceTerms
from cobot_meter.domain.routing.decide import Decision, decide
from cobot_meter.domain.routing.hints import NO_HINTS
from cobot_meter.domain.routing.rules import bounded_turn
from cobot_meter.domain.routing.table import Tier
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.flows.offer.route_request import candidates, facts_of
from cobot_meter.wiring.opening.routing_table import RoutingTable, routing_table

NAME = "routing"
TIMED_BYTES, TIMED = 8_192, 2_000
P50_BAR_US, P99_BAR_US = 200.0, 1_000.0
CHEAP_BAR, SAVED_BAR, HARD_BAR = 0.95, 0.90, 0.03
DECLARED_BAR = 0.70
ANSWER_TOKENS = 1_000
DECLARED = "ours, task declared, a target for each"
_Row = tuple[str, orders.Needs | None]
_RATE = ExchangeRate(usd_micro_per_btc=94_000_500_000, source="static", fetched_at_ms=0)


def measure(size: Size) -> str:
    """Every table; what needs data that are not there is left out, and said."""
    shipped = routing_table(None)
    parts = [_times(shipped, TIMED // 20 if size is SMOKE else TIMED), _own_sets(shipped)]
    ulab = read_ulab()
    if ulab is None:
        parts.append(f"Recorded data are left out: name their folder with --data or {DATA}.")
        return "\n\n".join(parts)
    notes: list[str] = []
    on_test = _on_test(ulab, shipped, notes)
    on_train = _on_train(ulab, shipped, notes)
    with_task = dict(on_test)[DECLARED] or {}
    parts.append(_savings(f"ulab, {len(ulab.test)} prompts", on_test, ulab.test))
    parts.append(
        _savings(f"ulab, {len(ulab.train)} prompts, a data set left out", on_train, ulab.train)
    )
    least = min(columns(with_task, ulab.test)[:: len(SHARES)])
    parts.append(
        bars(
            [
                Bar(
                    what="saved at 95 %, task declared",
                    value=least,
                    limit=DECLARED_BAR,
                    at_most=False,
                    unit="",
                )
            ]
        )
    )
    return "\n\n".join([*parts, *notes])


def _on_test(ulab: Ulab, shipped: RoutingTable, notes: list[str]) -> list[_Row]:
    test, train = ulab.test, ulab.train
    read, of_train = orders.read_by_rules(test), orders.read_by_rules(train)
    said, said_of_train = orders.declared(test), orders.declared(train)
    one, each = orders.one_target, orders.points_lost
    return [
        ("chance", orders.same(test)),
        ("length alone", orders.by_length(test)),
        ("LiteLLM heuristic v1", orders.litellm_v1(test, notes)),
        ("ours, rules only", orders.by_table(read, train, of_train, one)),
        ("ours, rules, a target for each task", orders.by_table(read, train, of_train, each)),
        ("ours, rules and shipped priors", orders.by_priors(read, shipped.successes)),
        ("ours, task declared, one target", orders.by_table(said, train, said_of_train, one)),
        (DECLARED, orders.by_table(said, train, said_of_train, each)),
        ("oracle", orders.oracle(test)),
    ]


def _on_train(ulab: Ulab, shipped: RoutingTable, notes: list[str]) -> list[_Row]:
    train = ulab.train
    read = orders.read_by_rules(train)
    return [
        ("chance", orders.same(train)),
        ("length alone", orders.by_length(train)),
        ("LiteLLM heuristic v1", orders.litellm_v1(train, notes)),
        ("ours, rules only", orders.left_out(train, read, orders.one_target)),
        ("ours, rules and shipped priors", orders.by_priors(read, shipped.successes)),
        ("oracle", orders.oracle(train)),
    ]


def _times(shipped: RoutingTable, count: int) -> str:
    """From the request to the decision, candidates and all, on turns of 8 kB of every kind.

    CPU time of the thread: a decision waits for nothing, and the machine may be shared.
    """
    turns = [_filled(prompt) for prompt in (*ROUTINE, *HARD)]
    spent: list[float] = []
    for at in range(count):
        request = _request(turns[at % len(turns)])
        began = time.thread_time()
        _decided(request, shipped)
        spent.append((time.thread_time() - began) * 1e6)
    hundredths = quantiles(spent, n=100)
    return bars(
        [
            Bar(what="a decision at 8 kB, p50", value=hundredths[49], limit=P50_BAR_US, unit="µs"),
            Bar(what="a decision at 8 kB, p99", value=hundredths[98], limit=P99_BAR_US, unit="µs"),
        ]
    )


def _own_sets(shipped: RoutingTable) -> str:
    routine = [_decided(_request(prompt), shipped) for prompt in ROUTINE]
    hard = [_decided(_request(prompt), shipped) for prompt in HARD]
    spent = sum(map(_asked_pusd, routine))
    always = sum(_ceiling_of(decision, decision.baseline) for decision in routine)
    return bars(
        [
            Bar(
                what=f"routine set ({len(ROUTINE)}): cheap",
                value=_cheap(routine),
                limit=CHEAP_BAR,
                at_most=False,
                unit="",
                digits=3,
            ),
            Bar(
                what="routine set: saved of always asking the best",
                value=1 - spent / always,
                limit=SAVED_BAR,
                at_most=False,
                unit="",
                digits=3,
            ),
            Bar(
                what=f"hard set ({len(HARD)}): cheap",
                value=_cheap(hard),
                limit=HARD_BAR,
                unit="",
                digits=3,
            ),
        ]
    )


def _savings(title: str, rows: Sequence[_Row], items: Sequence[Item]) -> str:
    heads = [f"{pair} at {share:.0%}" for pair in CHEAP for share in SHARES]
    shown: Callable[[float], str] = "{:.1%}".format
    return table(
        [title, *heads],
        [[name, *map(shown, columns(needs, items))] for name, needs in rows if needs is not None],
    )


def _cheap(decisions: Sequence[Decision]) -> float:
    cheap = [decision for decision in decisions if decision.choice.tier is Tier.CHEAP]
    return len(cheap) / len(decisions)


def _asked_pusd(decision: Decision) -> int:
    return _ceiling_of(decision, decision.model)


def _ceiling_of(decision: Decision, model_id: str) -> int:
    found = {one.model_id: one.ceiling_pusd for one in decision.considered}
    return found[model_id]


def _decided(request: CompletionRequest, shipped: RoutingTable) -> Decision:
    field = candidates(request, shipped.successes, shipped.listed, rate=_RATE, terms=PriceTerms())
    return decide(facts_of(request), NO_HINTS, shipped.successes, field)


def _request(prompt: str) -> CompletionRequest:
    return CompletionRequest(
        body=Body(b"{}"),
        model="cobot/auto",
        max_tokens=ANSWER_TOKENS,
        prompt_bytes=len(prompt.encode()),
        message_count=1,
        turn=bounded_turn(prompt),
    )


def _filled(prompt: str) -> str:
    """The prompt with as much more of its own kind as makes 8 kB."""
    times = TIMED_BYTES // (len(prompt) + 1) + 1
    return "\n".join([prompt] * times)[:TIMED_BYTES]
