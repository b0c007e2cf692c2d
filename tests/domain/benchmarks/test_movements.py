"""What is said to have moved, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cobot_meter.domain.benchmarks.movements import Measure, Movement, movements
from cobot_meter.domain.benchmarks.record import MS_PER_DAY, BenchRecord, ReplyVerdict
from tests.domain.benchmarks.bench_records import NOW_MS, record

LAST_WEEK_MS = NOW_MS - 10 * MS_PER_DAY
Made = Callable[[int], BenchRecord]


def compared(before: Made, after: Made, *, count: int = 100) -> dict[Measure, Movement]:
    """A hundred items ten days ago and now."""
    records = [before(number) for number in range(count)] + [after(n) for n in range(count)]
    return {one.measure: one for one in movements(records, now_ms=NOW_MS)}


def moved(found: dict[Measure, Movement]) -> set[Measure]:
    """The measures that are said to have moved."""
    return {measure for measure, one in found.items() if one.moved}


def usual(number: int) -> BenchRecord:
    """Ten days ago: nine of ten right, times and costs that differ from item to item."""
    return record(
        number,
        right=number % 10 > 0,
        at_ms=LAST_WEEK_MS,
        total_ms=1_000 + 7 * number,
        cost_pusd=1_000 + 50 * number,
    )


def now(number: int, **changes: object) -> BenchRecord:
    """The same as ten days ago, but for what changed."""
    was = usual(number)
    same = {"right": was.right, "total_ms": was.total_ms, "cost_pusd": was.cost_pusd}
    return record(number, **{**same, **changes})  # type: ignore[arg-type]


def test_nothing_moves_where_nothing_changed() -> None:
    """Every measure is compared, and none is said to have moved."""
    found = compared(usual, now)
    assert set(found) == set(Measure)
    assert moved(found) == set()


def test_seventeen_points_are_said() -> None:
    """Seventeen items that were right are wrong now: the effect is that of the pairs."""
    found = compared(usual, lambda n: now(n, right=n % 10 > 0 and n % 6 != 1))
    assert moved(found) == {Measure.QUALITY}
    quality = found[Measure.QUALITY]
    assert (quality.before, quality.after, quality.effect_ppm) == (900_000, 730_000, -170_000)
    assert quality.count == 100


def test_a_significant_trifle_is_not_said() -> None:
    """A twentieth slower at every item is certain, and too little to act on; a quarter is not."""
    found = compared(usual, lambda n: now(n, total_ms=usual(n).total_ms * 21 // 20))
    assert moved(found) == set()
    found = compared(usual, lambda n: now(n, total_ms=usual(n).total_ms * 10 // 4))
    assert moved(found) == {Measure.LATENCY}
    assert found[Measure.LATENCY].effect_ppm >= 200_000
    found = compared(usual, lambda n: now(n, total_ms=usual(n).total_ms * 3 // 4))
    assert found[Measure.LATENCY].effect_ppm <= -200_000


def test_a_large_step_of_few_items_is_not_said() -> None:
    """Two of four wrong is fifty points, and may be chance."""
    found = compared(usual, lambda n: now(n, right=n > 2), count=4)
    assert found[Measure.QUALITY].effect_ppm <= -250_000
    assert moved(found) == set()


def test_a_dearer_model_is_said() -> None:
    """An eighth dearer at every item; a twentieth is not worth a word."""
    assert moved(compared(usual, lambda n: now(n, cost_pusd=1_125 + 57 * n))) == {Measure.COST}
    assert moved(compared(usual, lambda n: now(n, cost_pusd=1_051 + 51 * n))) == set()


def test_errors_are_no_wrong_answers() -> None:
    """An hour in which the provider was away is no fall of quality."""
    found = compared(usual, lambda n: now(n, verdict=ReplyVerdict.ERROR, error="timeout"))
    assert found == {}


def test_many_models_make_each_less_surprising() -> None:
    """What is said of one model alone is not said of it among forty that did not change."""

    def of(name: str, *, falls: bool) -> list[BenchRecord]:
        before = [record(n, at_ms=LAST_WEEK_MS, model=name) for n in range(100)]
        return [*before, *(record(n, right=n > 5 or not falls, model=name) for n in range(100))]

    one = of("a/falls", falls=True)
    others = [each for n in range(40) for each in of(f"b/{n}", falls=False)]
    alone = [m for m in movements(one, now_ms=NOW_MS) if m.moved]
    among = [m for m in movements([*one, *others], now_ms=NOW_MS) if m.moved]
    assert [m.measure for m in alone] == [Measure.QUALITY]
    assert among == []


def test_a_new_provider_is_held_against_what_the_model_did() -> None:
    """It serves a third of the answers since this week, and those are much worse."""
    before = [usual(n) for n in range(99)]
    after = [now(n, provider="New" if n % 3 == 0 else "Mistral") for n in range(99)]
    bad = [
        replace(one, verdict=ReplyVerdict.WRONG) if one.provider == "New" else one for one in after
    ]
    found = [one for one in movements([*before, *bad], now_ms=NOW_MS) if one.moved]
    assert {(one.provider, one.measure) for one in found} == {
        ("", Measure.QUALITY),
        ("New", Measure.QUALITY),
    }
    assert next(one.count for one in found if one.provider == "New") == 33
    assert not [one for one in movements([*before, *after], now_ms=NOW_MS) if one.moved]


def test_weeks_have_edges() -> None:
    """Seven days are now, the 28 before them are before, and older ones are nothing."""
    old = record(0, at_ms=NOW_MS - 35 * MS_PER_DAY)
    assert movements([old, record(0)], now_ms=NOW_MS) == []
    edge = record(0, at_ms=NOW_MS - 7 * MS_PER_DAY)
    assert {one.count for one in movements([edge, record(0)], now_ms=NOW_MS)} == {1}
    assert movements([record(0, at_ms=NOW_MS - 6 * MS_PER_DAY), record(0)], now_ms=NOW_MS) == []
