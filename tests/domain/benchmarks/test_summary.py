"""What a model's row says."""

from __future__ import annotations

from cobot_meter.domain.benchmarks.record import ReplyVerdict
from cobot_meter.domain.benchmarks.statistics.proportions import wilson
from cobot_meter.domain.benchmarks.summary import by_model, summaries_of, summary_of
from tests.domain.benchmarks.bench_records import MODEL, NOW_MS, record


def test_a_row_is_counted_from_what_was_judged() -> None:
    """Errors are counted by themselves; costs are means, times are measured ones."""
    records = [
        record(0, cost_pusd=10, total_ms=100),
        record(1, cost_pusd=21, total_ms=300, provider="Azure"),
        record(2, right=False, cost_pusd=None, total_ms=200, ttft_ms=None),
        record(3, verdict=ReplyVerdict.ERROR, error="timeout", cost_pusd=9_999, provider=""),
    ]
    found = summary_of(MODEL, records)
    assert (found.judged, found.right, found.errors) == (3, 2, 1)
    assert found.interval == wilson(2, 3)
    assert found.cost_pusd == 15
    assert (found.whole.p50_ms, found.whole.p95_ms) == (200, 300)
    assert found.providers == (("Mistral", 2), ("Azure", 1))
    assert found.last_ms == NOW_MS


def test_the_same_prompt_asked_again_is_no_more_evidence() -> None:
    """Thirty days of one prompt are one reply, the last; another seed is another prompt."""
    daily = [record(0, right=day < 29, at_ms=NOW_MS + day) for day in range(30)]
    found = summary_of(MODEL, [*daily, record(0, seed=2)])
    assert (found.judged, found.right) == (2, 1)
    assert len(found.providers) == 1
    assert found.providers[0][1] == 31


def test_a_model_that_only_failed_has_no_share() -> None:
    """Nothing is known of it, and nothing falls over."""
    found = summary_of(MODEL, [record(0, verdict=ReplyVerdict.ERROR, error="timeout")])
    assert (found.judged, found.errors, found.cost_pusd, found.whole.p95_ms) == (0, 1, 0, 0)


def test_providers_are_told_apart_where_there_are_several() -> None:
    """Behind the model's row one for each of them; of one provider alone there is nothing more."""
    records = [record(n, provider="A" if n % 2 else "B", right=n % 2 == 1) for n in range(10)]
    rows = [(one.provider, one.right, one.judged) for one in summaries_of(records)]
    assert rows == [("", 5, 10), ("A", 5, 5), ("B", 0, 5)]
    assert [one.provider for one in summaries_of([record(n) for n in range(3)])] == [""]


def test_models_are_told_apart() -> None:
    """In the order of their names, whatever order they ran in."""
    records = [record(0, model="b/b"), record(0, model="a/a"), record(1, model="b/b")]
    assert {name: len(own) for name, own in by_model(records).items()} == {"a/a": 1, "b/b": 2}
    assert list(by_model(records)) == ["a/a", "b/b"]
