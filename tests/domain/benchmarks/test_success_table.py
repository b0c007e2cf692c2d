"""The table that routing reads: its shape, and what of an earlier one stays."""

from __future__ import annotations

import json

import pytest

from cobot_meter.domain.benchmarks.record import ReplyVerdict
from cobot_meter.domain.benchmarks.success_table import NO_TABLE, prior_of, success_table
from tests.domain.benchmarks.bench_records import NOW_MS, record

PRIOR = {
    "version": "2026-01-01",
    "models": {"a/cheap": {"tier": "middle"}, "c/old": {"tier": "cheap"}},
    "target_percent": {"maths": 90, "summary": 80},
    "successes": {
        "summary": {"c/old": [8, 10]},
        "maths": {"c/old": [1, 2], "a/cheap": [0, 9]},
    },
}


def measured() -> list[object]:
    """Two models at two items, the first of maths and the second of general instructions."""
    return [
        record(0, model="a/cheap", cost_pusd=100),
        record(1, model="a/cheap", cost_pusd=100, right=False),
        record(0, model="b/dear", cost_pusd=9_000),
        record(1, model="b/dear", cost_pusd=9_000, verdict=ReplyVerdict.ERROR),
    ]


def test_a_table_says_successes_trials_and_what_they_cost() -> None:
    """In routing's words; errors are no trials, and a model without a trial has no row."""
    table = success_table(measured(), version="2026-11-29")  # type: ignore[arg-type]
    assert table["version"] == "2026-11-29"
    assert table["models"] == {"a/cheap": {"tier": "cheap"}, "b/dear": {"tier": "premium"}}
    assert table["target_percent"] == {"general": 95, "maths": 95}
    assert table["successes"] == {
        "general": {"a/cheap": [0, 1]},
        "maths": {"a/cheap": [1, 1], "b/dear": [1, 1]},
    }
    evidence = table["measured"]["maths"]["a/cheap"]
    assert (evidence["successes"], evidence["trials"]) == (1, 1)
    assert (evidence["cost_pusd"], evidence["seen_at_ms"]) == (100, NOW_MS)
    assert json.loads(json.dumps(table)) == table


def test_what_an_operator_set_stays() -> None:
    """Tiers, targets, and rows that were not measured; what was measured takes their place."""
    table = success_table(
        measured(),  # type: ignore[arg-type]
        version="2026-11-29",
        prior=prior_of(PRIOR),
    )
    assert table["models"]["a/cheap"] == {"tier": "middle"}
    assert table["target_percent"] == {"general": 95, "maths": 90, "summary": 80}
    assert table["successes"]["summary"] == {"c/old": [8, 10]}
    assert table["successes"]["maths"] == {"c/old": [1, 2], "a/cheap": [1, 1], "b/dear": [1, 1]}


def test_the_same_item_asked_daily_is_one_trial() -> None:
    """A month of probes is not a thousand trials: routing would believe it too much."""
    daily = [record(0, at_ms=NOW_MS + day) for day in range(30)]
    assert success_table(daily, version="x")["successes"]["maths"] == {"maker/model": [1, 1]}


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {**PRIOR, "models": []}, {**PRIOR, "successes": {"maths": [1]}}],
)
def test_what_is_no_table_is_refused(document: object) -> None:
    """Nothing is built on a file of another kind."""
    with pytest.raises(ValueError, match="not a table of successes"):
        prior_of(document)


def test_a_table_of_nothing_is_refused() -> None:
    """Records of errors alone are no evidence; more models than routing takes are too many."""
    with pytest.raises(ValueError, match="1 to 24"):
        success_table([record(0, verdict=ReplyVerdict.ERROR)], version="x", prior=NO_TABLE)
    with pytest.raises(ValueError, match="1 to 24"):
        success_table([record(0, model=f"m/{n}") for n in range(25)], version="x")
