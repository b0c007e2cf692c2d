"""What the tables of the benchmarks say."""

from __future__ import annotations

import pytest

from benchmarks.rig.tables import Bar, bars, ratios, spread, table


@pytest.mark.parametrize(
    ("value", "at_most", "met"),
    [(0.3, True, True), (0.31, True, False), (0.3, False, True), (0.29, False, False)],
)
def test_a_bar_is_met_at_its_limit(value: float, *, at_most: bool, met: bool) -> None:
    """The limit itself is met, from either side, and nothing beyond it is."""
    bar = Bar(what="ratio", value=value, limit=0.3, at_most=at_most)
    assert bar.met is met
    assert ("MISSED" in bars([bar])) is not met


def test_ratios_are_of_one_round() -> None:
    """Each round is compared with itself, and the middle one is shown with the outer ones."""
    found = ratios([2.0, 9.0, 4.0], [1.0, 3.0, 1.0])
    assert found == [2.0, 3.0, 4.0]
    assert spread(found, 1) == "3.0 [2.0 – 4.0]"


def test_tables_are_markdown() -> None:
    """Columns are aligned, the figures to the right."""
    lines = table(("side", "a second"), [("direct", "505"), ("us", "1,405")]).splitlines()
    assert lines == [
        "| side   | a second |",
        "| ------ | -------: |",
        "| direct |      505 |",
        "| us     |    1,405 |",
    ]
