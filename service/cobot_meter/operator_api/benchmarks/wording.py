"""Figures as the page says them."""

from __future__ import annotations

from datetime import UTC, datetime

from cobot_meter.domain.benchmarks.movements import Measure, Movement
from cobot_meter.domain.benchmarks.statistics.proportions import PPB, PPM

TASKS = 1_000
PUSD = 10**12
_SECOND_MS = 1_000
_TENTH_S_MS = 10_000


def percent(share_ppm: int) -> str:
    """`93.4 %`."""
    return f"{share_ppm * 100 / PPM:.1f} %"


def thousand_cost(cost_pusd: int) -> str:
    """What a thousand items cost, in USD with three figures that count."""
    usd = cost_pusd * TASKS / PUSD
    if usd >= 1:
        return f"${usd:,.2f}"
    return f"${usd:.3g}" if usd else "$0"


def duration(ms: int) -> str:
    """`840 ms`, `2.1 s`, `14 s`."""
    if ms < _SECOND_MS:
        return f"{ms} ms"
    return f"{ms / _SECOND_MS:.1f} s" if ms < _TENTH_S_MS else f"{ms / _SECOND_MS:.0f} s"


def moment(at_ms: int) -> str:
    """`29 Nov 2026, 13:05` UTC."""
    when = datetime.fromtimestamp(at_ms // _SECOND_MS, tz=UTC)
    return f"{when.day} {when:%b %Y, %H:%M}"


def short_moment(at_ms: int) -> str:
    """`29 Nov, 13:05` UTC."""
    when = datetime.fromtimestamp(at_ms // _SECOND_MS, tz=UTC)
    return f"{when.day} {when:%b, %H:%M}"


def effect(one: Movement) -> str:
    """`−10.5 points`, or `+25.0 %` of what was before."""
    unit = "points" if one.measure is Measure.QUALITY else "%"
    sign = "\N{MINUS SIGN}" if one.effect_ppm < 0 else "+"
    return f"{sign}{abs(one.effect_ppm) * 100 / PPM:.1f} {unit}"


def figure(one: Movement, value: int) -> str:
    """A value of what moved, in its unit."""
    match one.measure:
        case Measure.QUALITY:
            return percent(value)
        case Measure.LATENCY:
            return duration(value)
        case Measure.COST:
            return f"{thousand_cost(value)} a thousand"


def probability(p_ppb: int) -> str:
    """`p = 0.013`, or that it is less than can be said."""
    return f"p = {p_ppb / PPB:.2g}" if p_ppb >= PPB // 10_000 else "p < 0.0001"
