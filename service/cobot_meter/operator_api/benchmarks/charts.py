"""Charts as inline SVG: intervals, cost against quality, and the sums of the watch.

Colours are classes of the page's style, so that they follow light and dark. Every mark has a title
that says in words what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from cobot_meter.domain.benchmarks.model_watch import WatchState
from cobot_meter.domain.benchmarks.statistics.proportions import PPM
from cobot_meter.domain.benchmarks.summary import ModelSummary
from cobot_meter.operator_api.benchmarks.wording import PUSD, TASKS, percent, thousand_cost

BAR_WIDTH, BAR_HEIGHT = 120, 18
SPARK_WIDTH, SPARK_HEIGHT, SPARK_DAYS = 150, 34, 60
WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 54, 170, 18, 46
LABEL_APART = 15
# So many powers of ten have room for a tick at their twos and fives as well.
POWERS_FEW = 3.2
_TICKS_PPM = (0, 200_000, 400_000, 600_000, 800_000, PPM)
_FINE_TICKS_PPM = tuple(range(0, PPM + 1, 100_000))

_OPENED = (
    f'<svg class="scatter" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
    'aria-label="Cost of a thousand tasks against the share of right replies">'
)
_UNDER = (
    f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}" '
    'text-anchor="middle">USD for a thousand tasks, each step a multiple</text>'
)


def interval_bar(one: ModelSummary) -> str:
    """The share that was right, from 0 to 100 %, with its interval around it."""
    low, high = (end * BAR_WIDTH / PPM for end in (one.interval.low_ppm, one.interval.high_ppm))
    share = one.right * PPM // one.judged if one.judged else 0
    at, middle = share * BAR_WIDTH / PPM, BAR_HEIGHT / 2
    title = (
        f"{percent(share)} right; 95 % interval {percent(one.interval.low_ppm)} to "
        f"{percent(one.interval.high_ppm)}"
    )
    return (
        f'<svg class="interval" width="{BAR_WIDTH}" height="{BAR_HEIGHT}" role="img" '
        f'aria-label="{title}"><title>{title}</title>'
        f'<rect class="track" x="0" y="{middle - 2:.1f}" width="{BAR_WIDTH}" height="4" rx="2"/>'
        f'<rect class="range" x="{low:.1f}" y="{middle - 5:.1f}" '
        f'width="{max(high - low, 2):.1f}" height="10" rx="3"/>'
        f'<circle class="point" cx="{min(max(at, 4), BAR_WIDTH - 4):.1f}" cy="{middle:.1f}" r="4"/>'
        "</svg>"
    )


def sparkline(state: WatchState) -> str:
    """The sum of each of the last days, and the height at which it rings."""
    sums = state.sums[-SPARK_DAYS:]
    top = max([*sums, state.height]) * 1.08
    step = SPARK_WIDTH / max(len(sums) - 1, 1)

    def y(value: float) -> float:
        return SPARK_HEIGHT - 2 - value / top * (SPARK_HEIGHT - 4)

    points = [(at * step, y(value)) for at, value in enumerate(sums)]
    line = " ".join(f"{x:.1f},{height:.1f}" for x, height in points)
    last_x, last_y = points[-1]
    title = (
        f"CUSUM of the last {len(sums)} days: {sums[-1] / PPM:.2f}, rings at "
        f"{state.height / PPM:.2f}"
    )
    rings = " rings" if state.fell else ""
    return (
        f'<svg class="spark{rings}" width="{SPARK_WIDTH}" height="{SPARK_HEIGHT}" role="img" '
        f'aria-label="{title}"><title>{title}</title>'
        f'<line class="limit" x1="0" x2="{SPARK_WIDTH}" y1="{y(state.height):.1f}" '
        f'y2="{y(state.height):.1f}"/>'
        f'<polyline class="line" points="{line}"/>'
        f'<circle class="end" cx="{min(last_x, SPARK_WIDTH - 3):.1f}" cy="{last_y:.1f}" r="2.5"/>'
        "</svg>"
    )


@dataclass(frozen=True, slots=True)
class _Spot:
    """A model's place in the scatter."""

    one: ModelSummary
    share_ppm: int
    x: float
    y: float
    low_y: float
    high_y: float
    best: bool


def scatter(models: Sequence[ModelSummary]) -> str:
    """Cost against quality; the line joins those that no other model beats at both."""
    shown = [one for one in models if one.judged and not one.provider]
    if not shown:
        return ""
    costs = [one.cost_pusd for one in shown if one.cost_pusd] or [10**8]
    low_x = math.log10(min(costs)) - 0.18
    high_x = max(math.log10(max(costs)) + 0.18, low_x + 1.0)
    floor_ppm = min(one.interval.low_ppm for one in shown) // 100_000 * 100_000

    def x(cost_pusd: int) -> float:
        at = math.log10(cost_pusd) if cost_pusd else low_x
        return LEFT + (at - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)

    def y(share_ppm: int) -> float:
        span = HEIGHT - TOP - BOTTOM
        return TOP + (PPM - share_ppm) / max(PPM - floor_ppm, 1) * span

    best = pareto(shown)
    spots = [
        _Spot(
            one,
            _share(one),
            x(one.cost_pusd),
            y(_share(one)),
            y(one.interval.low_ppm),
            y(one.interval.high_ppm),
            one.model in best,
        )
        for one in shown
    ]
    front = sorted((spot for spot in spots if spot.best), key=lambda spot: spot.x)
    line = " ".join(f"{spot.x:.1f},{spot.y:.1f}" for spot in front)
    ticks = _TICKS_PPM if PPM - floor_ppm > PPM // 2 else _FINE_TICKS_PPM
    return "".join(
        (
            _OPENED,
            *(_level(y(tick), tick) for tick in ticks if tick >= floor_ppm),
            *(_cost_tick(x(cost), cost) for cost in _costs(low_x, high_x)),
            _UNDER,
            f'<polyline class="front" points="{line}"/>',
            *map(_spot, spots),
            *_labels(spots),
            "</svg>",
        )
    )


def pareto(models: Iterable[ModelSummary]) -> frozenset[str]:
    """Those that no other model beats: none is as good for less, or better for as much."""
    best: list[str] = []
    share = -1
    for one in sorted(models, key=lambda one: (one.cost_pusd, -_share(one), one.model)):
        if _share(one) > share:
            best.append(one.model)
            share = _share(one)
    return frozenset(best)


def _share(one: ModelSummary) -> int:
    return one.right * PPM // one.judged if one.judged else 0


def _level(y: float, share_ppm: int) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
        f"{share_ppm * 100 // PPM} %</text>"
    )


def _costs(low_x: float, high_x: float) -> list[int]:
    """Round figures between the ends: of 1, 2 and 5, or of tens alone where there are many."""
    powers = range(math.floor(low_x), math.ceil(high_x) + 1)
    steps = (1, 2, 5) if high_x - low_x <= POWERS_FEW else (1,)
    found = [step * 10.0**power for power in powers for step in steps]
    return [round(cost) for cost in found if low_x <= math.log10(cost) <= high_x]


def _cost_tick(x: float, cost_pusd: int) -> str:
    bottom = HEIGHT - BOTTOM
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
        f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">'
        f"${cost_pusd * TASKS / PUSD:g}</text>"
    )


def _spot(spot: _Spot) -> str:
    title = escape(
        f"{spot.one.model}: {percent(spot.share_ppm)} right "
        f"({percent(spot.one.interval.low_ppm)} to {percent(spot.one.interval.high_ppm)}), "
        f"{thousand_cost(spot.one.cost_pusd)} for a thousand tasks"
    )
    kind = "best" if spot.best else "other"
    return (
        f'<g class="{kind}"><title>{title}</title>'
        f'<line class="whisker" x1="{spot.x:.1f}" x2="{spot.x:.1f}" y1="{spot.low_y:.1f}" '
        f'y2="{spot.high_y:.1f}"/>'
        f'<circle cx="{spot.x:.1f}" cy="{spot.y:.1f}" r="6"/></g>'
    )


def _labels(spots: Sequence[_Spot]) -> Iterable[str]:
    """Beside their points, moved down where two would lie on each other."""
    placed: list[tuple[float, float]] = []
    for spot in sorted(spots, key=lambda spot: (spot.y, spot.x)):
        x, y = spot.x + 9, spot.y + 17
        while any(abs(y - other) < LABEL_APART and abs(x - left) < RIGHT for left, other in placed):
            y += 2
        placed.append((x, y))
        kind = "best" if spot.best else "other"
        name = escape(spot.one.model.rpartition("/")[2])
        yield f'<text class="label {kind}" x="{x:.1f}" y="{y:.1f}">{name}</text>'
