"""What costs are counted from, read out of entries of any version."""

from __future__ import annotations

from cobot_meter.domain.upstream.usage import baseline_of, usage_alarm


def test_a_figure_of_one_upstream_only_grows() -> None:
    """The newest comparison of the same baseline says how far it was."""
    baseline = baseline_of(
        2,
        {"upstream": "one", "usage_pusd": 70, "booked_pusd": 50, "upstream_key": "k"},
        named=None,
        compared={"upstream": "one", "usage_pusd": 90, "baseline": 2},
        fell=False,
    )
    assert (baseline.usage_pusd, baseline.booked_pusd, baseline.highest_pusd) == (70, 50, 90)
    assert usage_alarm(baseline, key="k", usage_pusd=90) is None
    alarm = usage_alarm(baseline, key="k", usage_pusd=89)
    assert alarm is not None
    assert alarm.code == "upstream_usage_fell"


def test_a_sum_over_all_upstreams_bounds_the_figure_of_none() -> None:
    """Costs still count from it: what was booked then is the sum of all as well."""
    baseline = baseline_of(
        0,
        {"usage_pusd": 70, "upstream_key": "k"},
        named=None,
        compared={"usage_pusd": 90, "baseline": 0},
        fell=False,
    )
    assert baseline.highest_pusd == 0
    assert usage_alarm(baseline, key="k", usage_pusd=80) is None
    assert baseline.unexplained_pusd(usage_pusd=80, booked_pusd=10) == 0
