"""What moved since last week: the last seven days against the four weeks before them.

It is said only when chance is an unlikely reason *and* the step is large enough to matter; either
alone would ring all day. Every model is a question more, which Holm's correction pays for.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cobot_meter.domain.benchmarks.record import MS_PER_DAY, BenchRecord
from cobot_meter.domain.benchmarks.statistics.proportions import PPB, PPM, holm, mcnemar_exact
from cobot_meter.domain.benchmarks.statistics.shifts import (
    hodges_lehmann,
    mann_whitney,
    percentile,
)
from cobot_meter.domain.benchmarks.summary import by_model, by_provider

RECENT_DAYS, PRIOR_DAYS = 7, 28
P_MOST_PPB = PPB // 20


class Measure(enum.StrEnum):
    """What can move."""

    QUALITY = "quality"
    LATENCY = "latency"
    COST = "cost"


# Below these steps nobody would act: points of quality, and shares of time and cost.
EFFECT_PPM: Mapping[Measure, int] = {
    Measure.QUALITY: 50_000,
    Measure.LATENCY: 200_000,
    Measure.COST: 100_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One measure of one model, before and after; `count` pairs or answers are behind it.

    Quality is in parts per million, latency in ms, cost in pico-USD an item. The effect of quality
    is in points, the others' a share of what was before. Where `provider` is said it is of that
    one's answers alone.
    """

    model: str
    provider: str = ""
    measure: Measure
    before: int
    after: int
    effect_ppm: int
    p_ppb: int
    count: int

    @property
    def moved(self) -> bool:
        """Unlikely by chance, and large enough to matter."""
        return self.p_ppb <= P_MOST_PPB and abs(self.effect_ppm) >= EFFECT_PPM[self.measure]


def movements(records: Iterable[BenchRecord], *, now_ms: int) -> list[Movement]:
    """Every measure of every model that has both a now and a before, and of each of its providers.

    A provider is held against what it did before. One that is new has no before of its own: it is
    held against what the model did, whoever served it.
    """
    found: dict[Measure, list[Movement]] = {measure: [] for measure in Measure}
    for model, own in by_model(record for record in records if record.judged).items():
        after = [one for one in own if _age_days(one, now_ms) < RECENT_DAYS]
        before = [one for one in own if 0 <= _age_days(one, now_ms) - RECENT_DAYS < PRIOR_DAYS]
        if not after or not before:
            continue
        of_provider = by_provider([*before, *after])
        for name in ("", *of_provider):
            served = [one for one in after if name in {"", one.provider}]
            was = [one for one in before if name in {"", one.provider}] or before
            for movement in _of_model(model, was, served) if served else ():
                found[movement.measure].append(replace(movement, provider=name))
    return [one for several in found.values() for one in _corrected(several)]


def _age_days(record: BenchRecord, now_ms: int) -> int:
    return (now_ms - record.at_ms) // MS_PER_DAY


def _corrected(several: Sequence[Movement]) -> list[Movement]:
    adjusted = holm([one.p_ppb for one in several])
    return [replace(one, p_ppb=p) for one, p in zip(several, adjusted, strict=True)]


def _of_model(
    model: str, before: Sequence[BenchRecord], after: Sequence[BenchRecord]
) -> Iterable[Movement]:
    pairs = _pairs(before, after)
    if pairs:
        yield _quality(model, pairs)
    yield _latency(model, before, after)
    paid = [pair for pair in pairs if all(one.cost_pusd is not None for one in pair)]
    if paid:
        yield _cost(model, [(one.cost_pusd or 0, other.cost_pusd or 0) for one, other in paid])


def _pairs(
    before: Sequence[BenchRecord], after: Sequence[BenchRecord]
) -> list[tuple[BenchRecord, BenchRecord]]:
    """The last record of each item on both sides."""
    last = {record.item_id: record for record in before}
    now = {record.item_id: record for record in after}
    return [(last[item_id], record) for item_id, record in now.items() if item_id in last]


def _quality(model: str, pairs: Sequence[tuple[BenchRecord, BenchRecord]]) -> Movement:
    lost = sum(one.right and not other.right for one, other in pairs)
    won = sum(other.right and not one.right for one, other in pairs)
    was, now = (sum(pair[at].right for pair in pairs) * PPM // len(pairs) for at in (0, 1))
    return Movement(
        model=model,
        measure=Measure.QUALITY,
        before=was,
        after=now,
        effect_ppm=(won - lost) * PPM // len(pairs),
        p_ppb=mcnemar_exact(lost, won),
        count=len(pairs),
    )


def _latency(model: str, before: Sequence[BenchRecord], after: Sequence[BenchRecord]) -> Movement:
    return latency_movement(
        model, [one.total_ms for one in before], [one.total_ms for one in after]
    )


def latency_movement(model: str, before: Sequence[int], after: Sequence[int]) -> Movement:
    """Whole answers' times: how likely chance is, and the shift as a share of the middle one.

    The shift is looked for only where it may count: it takes longer than the test.
    """
    middle, p_ppb = percentile(before, 50), mann_whitney(before, after)
    shift = hodges_lehmann(before, after) if p_ppb <= P_MOST_PPB else 0
    return Movement(
        model=model,
        measure=Measure.LATENCY,
        before=middle,
        after=percentile(after, 50),
        effect_ppm=shift * PPM // middle if middle else 0,
        p_ppb=p_ppb,
        count=len(after),
    )


def _cost(model: str, pairs: Sequence[tuple[int, int]]) -> Movement:
    """Item by item, by the sign of the change: what an item costs hangs on the item most of all."""
    dearer = sum(now > was for was, now in pairs)
    cheaper = sum(now < was for was, now in pairs)
    was, now = (sum(pair[at] for pair in pairs) for at in (0, 1))
    return Movement(
        model=model,
        measure=Measure.COST,
        before=was // len(pairs),
        after=now // len(pairs),
        effect_ppm=(now - was) * PPM // was if was else 0,
        p_ppb=mcnemar_exact(dearer, cheaper),
        count=len(pairs),
    )
