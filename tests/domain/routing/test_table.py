"""The table of successes: its bounds, its version, and what is no table."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.routing.hints import Task
from cobot_meter.domain.routing.table import PPM, Record, Tier, read_table

DOCUMENT: dict[str, Any] = {
    "version": "1",
    "target_percent": {"code": 95},
    "models": {"a/b": {"tier": "cheap"}, "c/d": {"tier": "premium"}},
    "successes": {"code": {"a/b": [90, 100], "c/d": [100, 100]}},
}
Z = 1.281_551_6


@given(
    st.integers(min_value=1, max_value=10**6).flatmap(
        lambda trials: st.tuples(st.integers(min_value=0, max_value=trials), st.just(trials))
    )
)
def test_the_lower_bound_is_wilsons(counts: tuple[int, int]) -> None:
    """To a few millionths, and never above what was seen."""
    well, tried = counts
    share = well / tried
    spread = Z * math.sqrt(share * (1 - share) / tried + Z * Z / (4 * tried * tried))
    wanted = (share + Z * Z / (2 * tried) - spread) / (1 + Z * Z / tried)
    record = Record(successes=well, trials=tried)
    assert abs(record.lower_ppm - max(wanted, 0) * PPM) < 5
    assert record.lower_ppm <= record.mean_ppm + 1


@given(well=st.integers(min_value=0, max_value=500), more=st.integers(min_value=2, max_value=50))
def test_more_of_the_same_evidence_raises_the_bound(well: int, more: int) -> None:
    """What was tried little is trusted little, and what was never tried not at all."""
    few, many = Record(successes=well, trials=500), Record(successes=well * more, trials=500 * more)
    assert few.lower_ppm <= many.lower_ppm
    assert Record(successes=0, trials=0).lower_ppm == 0


def test_a_document_is_read_and_named_by_what_is_in_it() -> None:
    """Another figure is another version, and the order of members is none."""
    table = read_table(DOCUMENT)
    assert table.tiers == {"a/b": Tier.CHEAP, "c/d": Tier.PREMIUM}
    assert table.premium("code") == ("c/d", Record(successes=100, trials=100))
    assert table.bar_ppm("code") == 950_000
    assert table.record("maths", "a/b").trials == 0
    assert read_table(dict(reversed(DOCUMENT.items()))).version == table.version
    other = copy.deepcopy(DOCUMENT)
    other["successes"]["code"]["a/b"] = [91, 100]
    assert read_table(other).version != table.version


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": ""}, "version"),
        ({"version": "x" * 99}, "version"),
        ({"models": {}}, "models"),
        ({"models": []}, "models"),
        ({"models": {"a/b": {"tier": "dear"}}}, "tier"),
        ({"models": {"a b": {"tier": "cheap"}}}, "no model id"),
        ({"target_percent": {"code": 101}}, "whole number"),
        ({"target_percent": {"cod": 95}}, "no task"),
        ({"successes": {"cod": {}}}, "no task"),
        ({"successes": {"code": {"x/y": [1, 2]}}}, "no model of it"),
        ({"successes": {"code": {"a/b": [2, 1]}}}, "more successes"),
        ({"successes": {"code": {"a/b": [1]}}}, "must be"),
        ({"successes": {"code": {"a/b": [1.5, 2]}}}, "must be"),
        ({"successes": {"code": {"a/b": [True, 2]}}}, "must be"),
    ],
)
def test_what_is_no_table_is_refused(changes: dict[str, Any], why: str) -> None:
    """With a sentence that names the place."""
    with pytest.raises(ValueError, match=why):
        read_table({**DOCUMENT, **changes})


def test_nothing_else_is_a_table() -> None:
    """Neither a list nor nothing."""
    documents: tuple[object, ...] = ([], None, "table", 5)
    for document in documents:
        with pytest.raises(ValueError, match="object"):
            read_table(document)


def test_every_task_has_a_word() -> None:
    """So that each can be asked for behind a model's name."""
    assert all(task.isalpha() for task in Task)
