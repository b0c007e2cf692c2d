"""Benchmarks as tables: what each model did, and what moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.wording import moment, usd
from cobot_meter.domain.benchmarks.model_watch import WatchState
from cobot_meter.domain.benchmarks.movements import Measure, Movement
from cobot_meter.domain.benchmarks.statistics.proportions import PPB, PPM
from cobot_meter.domain.benchmarks.summary import ModelSummary
from cobot_meter.domain.routing.reach import TaskReach

_TENTHS = 10
_TENTHOUSAND = 10_000


def summaries_table(title: str, summaries: Sequence[ModelSummary]) -> RenderableType:
    """A row a model: no single score, and no share without its interval."""
    table = plain_table(title)
    table.add_column("model", overflow="fold")
    for header in ("right", "95 % interval", "n", "errors", "cost an item"):
        table.add_column(header, justify="right", no_wrap=True)
    for header in ("first text p50/p95", "whole p50/p95, ms", "last"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("served by", overflow="fold")
    for one in summaries:
        table.add_row(*_cells(one))
    return table


def _cells(one: ModelSummary) -> tuple[str, ...]:
    share = one.right * PPM // one.judged if one.judged else 0
    return (
        named(one.model, one.provider),
        percent(share) if one.judged else "",
        f"{percent(one.interval.low_ppm)} – {percent(one.interval.high_ppm)}",
        str(one.judged),
        str(one.errors) if one.errors else "",
        usd(one.cost_pusd),
        f"{one.first_text.p50_ms:,}/{one.first_text.p95_ms:,}",
        f"{one.whole.p50_ms:,}/{one.whole.p95_ms:,}",
        moment(one.last_ms),
        "" if one.provider else ", ".join(f"{name} {count}" for name, count in one.providers),
    )


def named(model: str, provider: str) -> str:
    """A model, or what one of its providers serves of it."""
    return f"  at {provider}" if provider else model


def movements_table(found: Sequence[Movement]) -> RenderableType:
    """What moved, or that nothing did and how many questions were asked."""
    moved = [one for one in found if one.moved]
    if not moved:
        return Text(f"nothing moved since last week ({len(found)} comparisons)", style="dim")
    table = plain_table("Moved: the last 7 days against the 28 before them")
    _add_headers(table)
    for one in moved:
        table.add_row(
            _whose(one.model, one.provider),
            one.measure,
            _said(one, one.before),
            _said(one, one.after),
            effect(one),
            probability(one.p_ppb),
            str(one.count),
        )
    return table


def _add_headers(table: Table) -> None:
    table.add_column("model", overflow="fold")
    table.add_column("what")
    for header in ("before", "now", "effect", "p", "n"):
        table.add_column(header, justify="right", no_wrap=True)


def watch_table(states: Sequence[WatchState]) -> RenderableType:
    """How each model stands, and what moved in the last line."""
    table = plain_table("Daily watch")
    table.add_column("model", overflow="fold")
    for header in ("days", "usual", "CUSUM", "rings at", "latency"):
        table.add_column(header, justify="right", no_wrap=True)
    for one in states:
        table.add_row(
            named(one.model, one.provider),
            str(one.days),
            "learning" if one.learning else percent(one.usual_ppm),
            "" if one.learning else _millionths(one.sums[-1]),
            _millionths(one.height),
            effect(one.latency) if one.latency is not None else "",
        )
    moved = [
        f"{_whose(one.model, one.provider)}: {', '.join(one.moved)}" for one in states if one.moved
    ]
    last = Text(f"moved: {'; '.join(moved)}", style="bold red") if moved else Text("nothing moved")
    return Group(table, last)


def _whose(model: str, provider: str) -> str:
    return f"{model} at {provider}" if provider else model


def reach_table(
    reached: Sequence[TaskReach], measured: Mapping[str, Mapping[str, object]]
) -> RenderableType:
    """A row a task: what is demanded, who reaches it, and how much of that was measured."""
    table = plain_table("What the table comes to: the cheapest of those who reach it is asked")
    table.add_column("task")
    table.add_column("demanded", justify="right", no_wrap=True)
    table.add_column("reached by", overflow="fold")
    table.add_column("measured here", justify="right")
    for one in reached:
        names = ", ".join(
            f"{name} {record.successes}/{record.trials}" for name, record in one.reaching
        )
        table.add_row(
            one.task,
            percent(one.bar_ppm),
            names or "nobody yet: more seeds make figures surer",
            f"{len(measured.get(one.task, {}))} of {len(one.reaching) + len(one.others)}",
        )
    return table


def effect(one: Movement) -> str:
    """`−10.5 points`, or `+25.0 %` of what was before."""
    unit = "points" if one.measure is Measure.QUALITY else "%"
    sign = "-" if one.effect_ppm < 0 else "+"
    return f"{sign}{percent(abs(one.effect_ppm)).removesuffix(' %')} {unit}"


def percent(share_ppm: int) -> str:
    """`93.4 %`."""
    whole, rest = divmod(share_ppm * 100 * _TENTHS // PPM, _TENTHS)
    return f"{whole}.{rest} %"


def probability(p_ppb: int) -> str:
    """Four digits, or that it is less."""
    tenthousandths = p_ppb * _TENTHOUSAND // PPB
    if tenthousandths == 0:
        return "<0.0001"
    return f"{p_ppb // PPB}.{tenthousandths % _TENTHOUSAND:04d}"


def _millionths(value: int) -> str:
    return f"{value // PPM}.{value % PPM * 100 // PPM:02d}"


def _said(one: Movement, value: int) -> str:
    if one.measure is Measure.QUALITY:
        return percent(value)
    return f"{value:,} ms" if one.measure is Measure.LATENCY else usd(value)
