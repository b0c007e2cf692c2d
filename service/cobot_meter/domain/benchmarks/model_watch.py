"""The daily watch over a model: sixty items a day, and a bell that seldom rings for nothing.

Quality is held against the first weeks of the watch by a CUSUM, latency of the last two days
against the four weeks before them. Where several providers serve a model each of them is watched
too, and all of them together ring for nothing as seldom as one would. What the figures are tuned
to, and on what, stands in docs/benchmarks.md; `python -m benchmarks model_watch` makes them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from cobot_meter.domain.benchmarks.movements import PRIOR_DAYS, Measure, Movement, latency_movement
from cobot_meter.domain.benchmarks.record import BenchRecord, RunKind
from cobot_meter.domain.benchmarks.statistics.drift import FallWatch
from cobot_meter.domain.benchmarks.statistics.proportions import PPB, PPM
from cobot_meter.domain.benchmarks.summary import by_provider

# So many days say what is usual; before they are over nothing rings.
LEARNING_DAYS = 28
LATENCY_DAYS = 2
# Asked every day for years: the usual 5 % would ring every month.
LATENCY_P_PPB = PPB // 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeDay:
    """One day's replies of one model."""

    day: int
    right: int
    judged: int
    whole_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTerms:
    """When it rings. `learning_days` are those that say what is usual."""

    fall: FallWatch = field(default_factory=FallWatch)
    learning_days: int = LEARNING_DAYS
    latency_days: int = LATENCY_DAYS
    latency_p_ppb: int = LATENCY_P_PPB

    def one_of(self, several: int) -> WatchTerms:
        """Those of one of several watches that together ring for nothing as seldom as this one."""
        return replace(
            self, fall=self.fall.one_of(several), latency_p_ppb=self.latency_p_ppb // several
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState:
    """How a model stands today; `sums` has a figure for each day after those of learning.

    Where `provider` is said it is of that one's answers alone.
    """

    model: str
    provider: str = ""
    days: int
    usual_ppm: int
    sums: tuple[int, ...]
    height: int
    latency: Movement | None

    @property
    def learning(self) -> bool:
        """Whether what is usual is still being found out."""
        return not self.sums

    @property
    def fell(self) -> bool:
        """Whether quality has fallen."""
        return bool(self.sums) and self.sums[-1] >= self.height

    @property
    def moved(self) -> tuple[Measure, ...]:
        """What moved."""
        slower = self.latency is not None and self.latency.moved
        said = ((Measure.QUALITY, self.fell), (Measure.LATENCY, slower))
        return tuple(measure for measure, stands in said if stands)


def probe_days(records: Iterable[BenchRecord], *, since_day: int = 0) -> list[ProbeDay]:
    """One model's daily probes in order; runs of another kind ask other items, and are left out."""
    days: dict[int, list[BenchRecord]] = {}
    for record in records:
        if record.kind is RunKind.PROBE and record.judged and record.day >= since_day:
            days.setdefault(record.day, []).append(record)
    return [
        ProbeDay(
            day=day,
            right=sum(one.right for one in own),
            judged=len(own),
            whole_ms=tuple(one.total_ms for one in own),
        )
        for day, own in sorted(days.items())
    ]


def watch_providers(
    model: str, records: Sequence[BenchRecord], terms: WatchTerms, *, since_day: int = 0
) -> list[WatchState]:
    """How the model stands, and behind it each of its providers where there are several.

    A provider that was not there while the watch learnt is held against what the model did then.
    """
    days = probe_days(records, since_day=since_day)
    whole = watch_model(model, days, terms)
    probes = [one for one in records if one.kind is RunKind.PROBE and one.day >= since_day]
    served = by_provider(probes)
    states = [whole]
    for provider, own in served.items():
        own_days, among = probe_days(own), terms.one_of(len(served))
        learnt_until = days[: terms.learning_days][-1].day if days else 0
        known = not own_days or own_days[0].day <= learnt_until
        state = (
            watch_model(model, own_days, among)
            if known or whole.learning
            else _held_against(whole.usual_ppm, model, own_days, among)
        )
        states.append(replace(state, provider=provider))
    return states


def _held_against(
    usual_ppm: int, model: str, days: Sequence[ProbeDay], terms: WatchTerms
) -> WatchState:
    """These days against what is usual; all there is of a provider that came later.

    Nothing is learnt of that one, and its times have no before.
    """
    sums = terms.fall.sums([(one.right, one.judged) for one in days], usual_ppm=usual_ppm)
    return WatchState(
        model=model,
        days=len(days),
        usual_ppm=usual_ppm,
        sums=tuple(sums),
        height=terms.fall.height,
        latency=None,
    )


def watch_model(model: str, days: Sequence[ProbeDay], terms: WatchTerms) -> WatchState:
    """How it stands after the last of these days."""
    learnt, later = days[: terms.learning_days], days[terms.learning_days :]
    judged = sum(one.judged for one in learnt)
    usual = sum(one.right for one in learnt) * PPM // judged if judged else 0
    return replace(
        _held_against(usual, model, later, terms),
        days=len(days),
        latency=latency_of(model, days, terms) if later else None,
    )


def latency_of(model: str, days: Sequence[ProbeDay], terms: WatchTerms) -> Movement | None:
    """The last days' times against those of the weeks before; None where chance may well be it."""
    recent = days[-terms.latency_days :]
    prior = days[-terms.latency_days - PRIOR_DAYS : -terms.latency_days]
    before, after = _all_ms(prior), _all_ms(recent)
    if not before or not after:
        return None
    found = latency_movement(model, before, after)
    return found if found.p_ppb <= terms.latency_p_ppb else None


def _all_ms(days: Iterable[ProbeDay]) -> list[int]:
    return [one for day in days for one in day.whole_ms]
