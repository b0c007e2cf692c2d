"""The daily watch: what it learns from, when it rings, and when it does not."""

from __future__ import annotations

from cobot_meter.domain.benchmarks.model_watch import (
    LEARNING_DAYS,
    ProbeDay,
    WatchTerms,
    probe_days,
    watch_model,
    watch_providers,
)
from cobot_meter.domain.benchmarks.movements import Measure
from cobot_meter.domain.benchmarks.record import MS_PER_DAY, BenchRecord, ReplyVerdict, RunKind
from tests.domain.benchmarks.bench_records import MODEL, NOW_MS, record

SPREAD_MS = tuple(900 + 10 * n for n in range(40))


def days(*rights: int, whole_ms: tuple[int, ...] = SPREAD_MS) -> list[ProbeDay]:
    """A day for each figure of right replies out of forty."""
    return [ProbeDay(day=n, right=r, judged=40, whole_ms=whole_ms) for n, r in enumerate(rights)]


def test_nothing_rings_while_it_learns() -> None:
    """However bad a day is: nobody knows yet what is usual."""
    state = watch_model(MODEL, days(*[36] * (LEARNING_DAYS - 1), 0), WatchTerms())
    assert state.learning
    assert state.moved == ()


def test_it_rings_after_some_bad_days_and_not_after_one() -> None:
    """A day of ten points less is bad luck, four of them are not."""
    usual = [36] * LEARNING_DAYS
    one = watch_model(MODEL, days(*usual, 36, 32), WatchTerms())
    four = watch_model(MODEL, days(*usual, 36, 32, 32, 32, 32), WatchTerms())
    assert (one.usual_ppm, one.moved) == (900_000, ())
    assert four.moved == (Measure.QUALITY,)
    assert list(four.sums) == sorted(four.sums)


def test_it_is_quiet_again_when_the_days_are() -> None:
    """Good days take back what bad ones said."""
    usual = [36] * LEARNING_DAYS
    state = watch_model(MODEL, days(*usual, *[32] * 4, *[36] * 10), WatchTerms())
    assert state.moved == ()


def test_slower_and_faster_ring_on_the_second_day() -> None:
    """By a third either way; two days that are a tenth slower are nothing."""
    usual = days(*[36] * (LEARNING_DAYS + 5))

    def after(share: float) -> tuple[Measure, ...]:
        times = tuple(round(one * share) for one in SPREAD_MS)
        return watch_model(MODEL, [*usual, *days(36, 36, whole_ms=times)], WatchTerms()).moved

    assert after(4 / 3) == after(2 / 3) == (Measure.LATENCY,)
    assert after(1.1) == ()


def test_days_are_made_of_probes_that_were_judged() -> None:
    """Full runs ask other items, errors say nothing, and what is before `since_day` is past."""
    kept = [
        record(0, kind=RunKind.PROBE),
        record(1, kind=RunKind.PROBE, right=False, total_ms=7),
        record(2, kind=RunKind.PROBE, verdict=ReplyVerdict.ERROR),
        record(3),
        record(0, kind=RunKind.PROBE, at_ms=NOW_MS - MS_PER_DAY),
    ]
    today = NOW_MS // MS_PER_DAY
    found = probe_days(kept, since_day=today)
    assert found == [ProbeDay(day=today, right=1, judged=2, whole_ms=(400, 7))]
    assert [one.day for one in probe_days(kept)] == [today - 1, today]


def probes(day: int, provider: str, rights: int, *, first: int = 0) -> list[BenchRecord]:
    """A day's thirty replies at one provider, so many of them right."""
    at_ms = NOW_MS + day * MS_PER_DAY
    return [
        record(first + n, right=n < rights, provider=provider, at_ms=at_ms, kind=RunKind.PROBE)
        for n in range(30)
    ]


def test_a_provider_that_falls_is_named() -> None:
    """Two serve half each; one of them falls, and the other is as it was."""
    usual = [one for day in range(28) for name in "AB" for one in probes(day, name, 27)]
    fell = [
        one
        for day in range(28, 36)
        for name, n in (("A", 27), ("B", 20))
        for one in probes(day, name, n)
    ]
    states = watch_providers(MODEL, [*usual, *fell], WatchTerms())
    assert {one.provider: one.fell for one in states} == {"": True, "A": False, "B": True}
    assert states[1].height > states[0].height


def test_a_provider_that_is_new_need_not_be_learnt() -> None:
    """It is held against what the model did before; a good one does not ring."""
    usual = [one for day in range(30) for one in probes(day, "A", 27)]
    for rights, fell in ((18, True), (27, False)):
        new = [one for day in range(30, 34) for one in probes(day, "New", rights)]
        state = watch_providers(MODEL, [*usual, *new], WatchTerms())[-1]
        assert (state.provider, state.usual_ppm, state.fell) == ("New", 900_000, fell)


def test_one_provider_is_watched_once() -> None:
    """What all answers are of needs no second row."""
    usual = [one for day in range(30) for one in probes(day, "A", 27)]
    assert [one.provider for one in watch_providers(MODEL, usual, WatchTerms())] == [""]


def test_no_day_at_all_is_no_finding() -> None:
    """A model that was never asked is learning."""
    state = watch_model(MODEL, [], WatchTerms())
    assert (state.days, state.learning, state.moved) == (0, True, ())
