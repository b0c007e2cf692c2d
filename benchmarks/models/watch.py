"""How soon the watch over models rings after a planted regression, and how often for nothing.

Replies are simulated item by item and judged by the checks that judge a model's; days, learning and
bells are those of `cobot-meter bench watch`. No clock, no network, and the same figures from the
same seeds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean, median

from benchmarks.rig.sizes import Size
from benchmarks.rig.tables import Bar, bars, table
from cobot_meter.domain.benchmarks.item import Item
from cobot_meter.domain.benchmarks.model_watch import (
    ProbeDay,
    WatchTerms,
    latency_of,
    watch_model,
)
from cobot_meter.domain.benchmarks.movements import PRIOR_DAYS, Measure
from cobot_meter.domain.benchmarks.prompts.prompt_set import PROBE_SIZE, prompt_set
from cobot_meter.domain.benchmarks.record import Reply, RunHead, RunKind, record_of

NAME = "model_watch"
TWO_YEARS = 730
QUALITIES = (0.97, 0.9, 0.8, 0.65)
USUAL = 0.9
FALL = 0.1
FASTER, SLOWER = 0.75, 1.25
# Of one answer, and of a whole day: the logarithms' deviations.
SPREAD, DAY_SPREAD = 0.35, 0.05
MIDDLE_MS = 1_200
WRONG = "I am not certain, and would rather not say."
AFTER_MAX = 60
SOON_DAYS, LATENCY_SOON_DAYS, FALSE_MAX = 4, 2, 1.0
REPLAYS, TRIALS = 20, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedModel:
    """How often it is right, and how long it takes beside what is usual."""

    quality: float
    pace: float = 1.0


class SimulatedProbe:
    """Days of forty replies; every distinct reply is judged by its item's check once."""

    def __init__(self, seed: int) -> None:
        """`seed` draws chances; what is asked is always the same forty."""
        self._chance = random.Random(f"model watch {seed}")
        items = prompt_set(1, count=PROBE_SIZE).items
        self._verdicts = [
            (self._judged(one, one.solution), self._judged(one, WRONG)) for one in items
        ]

    def day(self, day: int, model: SimulatedModel) -> ProbeDay:
        """One day's replies."""
        chance = self._chance
        today = chance.gauss(math.log(MIDDLE_MS * model.pace), DAY_SPREAD)
        right = sum(
            good if chance.random() < model.quality else bad for good, bad in self._verdicts
        )
        whole_ms = tuple(round(math.exp(chance.gauss(today, SPREAD))) for _ in self._verdicts)
        return ProbeDay(day=day, right=right, judged=len(self._verdicts), whole_ms=whole_ms)

    @staticmethod
    def _judged(item: Item, said: str) -> bool:
        head = RunHead(run_id="", kind=RunKind.PROBE, prompt_set="", seed=1)
        return record_of(head, item, "simulated", Reply(text=said), at_ms=0).right


def false_alarms(seed: int, quality: float, days: int, terms: WatchTerms) -> int:
    """Bells in so many days of a model that does not change; after each one it learns anew."""
    probe, model = SimulatedProbe(seed), SimulatedModel(quality=quality)
    seen = [probe.day(day, model) for day in range(days)]
    falls, began = 0, 0
    while (rang := _first_ring(seen[began:], terms)) is not None:
        falls += 1
        began += terms.learning_days + rang + 1
    return falls + sum(_latency_bells(seen, terms))


def _first_ring(seen: list[ProbeDay], terms: WatchTerms) -> int | None:
    """The day after learning on which it rings first."""
    sums = watch_model("simulated", seen, terms).sums
    return next((at for at, one in enumerate(sums) if one >= terms.fall.height), None)


def _latency_bells(seen: list[ProbeDay], terms: WatchTerms) -> Iterator[bool]:
    """Each day on which it begins to ring."""
    rings = False
    for day in range(terms.learning_days + 1, len(seen)):
        found = latency_of("simulated", seen[: day + 1][-40:], terms)
        rings, before = found is not None and found.moved, rings
        yield rings and not before


def days_to_ring(
    seed: int, before: SimulatedModel, after: SimulatedModel, terms: WatchTerms
) -> int:
    """Days of the changed model until what changed rings; AFTER_MAX + 1 where nothing does."""
    probe = SimulatedProbe(seed)
    usual = terms.learning_days + seed % terms.learning_days
    seen = [probe.day(day, before) for day in range(usual)]
    changed = Measure.QUALITY if after.quality != before.quality else Measure.LATENCY
    for number in range(1, AFTER_MAX + 1):
        seen.append(probe.day(usual + number, after))
        if changed in watch_model("simulated", seen, terms).moved:
            return number
    return AFTER_MAX + 1


def measure(size: Size) -> str:
    """The tables, with the parameters that made them."""
    terms = WatchTerms()
    replays, trials = (REPLAYS, TRIALS) if size.thorough else (1, 5)
    falls = {quality: fall_days(quality, trials, terms) for quality in QUALITIES}
    paces = {pace: pace_days(pace, trials, terms) for pace in (FASTER, SLOWER)}
    false = {
        quality: [false_alarms(seed, quality, TWO_YEARS, terms) for seed in range(replays)]
        for quality in QUALITIES
    }
    rows = [(*_row(f"right in {q:.0%}, then −10 points", falls[q]), "", "") for q in QUALITIES]
    rows += [(*_row(f"times × {pace}", days), "", "") for pace, days in paces.items()]
    rows += [
        (f"right in {q:.0%}, no change", "", "", f"{mean(found):.2f}", str(max(found)))
        for q, found in false.items()
    ]
    columns = ("model", "days to ring, median", "nine of ten by", "false, mean", "most")
    shown = (*_fall_bars(falls), *_pace_bars(paces), _false_bar(false))
    return "\n\n".join((_parameters(terms, replays, trials), table(columns, rows), bars(shown)))


def fall_days(quality: float, trials: int, terms: WatchTerms) -> list[int]:
    """Days until a fall by ten points rings, for each seed."""
    usual, worse = SimulatedModel(quality=quality), SimulatedModel(quality=quality - FALL)
    return [days_to_ring(seed, usual, worse, terms) for seed in range(trials)]


def pace_days(pace: float, trials: int, terms: WatchTerms) -> list[int]:
    """Days until another pace rings, for each seed."""
    usual = SimulatedModel(quality=USUAL)
    changed = SimulatedModel(quality=USUAL, pace=pace)
    return [days_to_ring(seed, usual, changed, terms) for seed in range(trials)]


def _row(what: str, days: list[int]) -> tuple[str, str, str]:
    return (what, f"{median(days):.1f}", str(sorted(days)[len(days) * 9 // 10]))


def _fall_bars(falls: dict[float, list[int]]) -> list[Bar]:
    return [
        Bar(
            what=f"−10 points found, median, of a model right in {quality:.0%}",
            value=median(days),
            limit=SOON_DAYS,
            unit="days",
            digits=1,
        )
        for quality, days in falls.items()
    ]


def _pace_bars(paces: dict[float, list[int]]) -> list[Bar]:
    return [
        Bar(
            what=f"times × {pace} found, median",
            value=median(days),
            limit=LATENCY_SOON_DAYS,
            unit="days",
            digits=1,
        )
        for pace, days in paces.items()
    ]


def _false_bar(false: dict[float, list[int]]) -> Bar:
    return Bar(
        what="false alarms a model in two years, the worst mean",
        value=max(mean(found) for found in false.values()),
        limit=FALSE_MAX,
        unit="",
    )


def _parameters(terms: WatchTerms, replays: int, trials: int) -> str:
    fall = terms.fall
    return (
        f"{PROBE_SIZE} items a day; {terms.learning_days} days of learning; CUSUM for a fall by "
        f"{fall.fall_ppm / 1e4:.0f} points, height {fall.height / 1e6:.2f}, doubt "
        f"{fall.doubt_ppm / 1e4:.0f} %; times of {terms.latency_days} days against {PRIOR_DAYS} at "
        f"p ≤ {terms.latency_p_ppb / 1e9:g} and a fifth; {replays} replays of {TWO_YEARS} days and "
        f"{trials} regressions each; every reply by chance; logarithms of times with deviation "
        f"{SPREAD} within a day and {DAY_SPREAD} between days."
    )
