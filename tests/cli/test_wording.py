"""Amounts and names read well and say exactly what is meant."""

from __future__ import annotations

import pytest

from cobot_meter.cli.wording import (
    account,
    age,
    amount,
    begun_ms,
    event,
    moment,
    name,
    names,
    sat,
    usd,
)

ESCROW = "esc_1a206af1508879je4jipH2pTxsQMMnHtNgN0dvkgLKYc31iAVXWB4k"


@pytest.mark.parametrize(
    ("amount_msat", "shown"),
    [(0, "0 sat"), (1_000, "1 sat"), (1_234_567, "1,234.567 sat"), (-50, "-0.050 sat")],
)
def test_satoshis_keep_their_fraction(amount_msat: int, shown: str) -> None:
    """What is no whole satoshi is shown to the msat."""
    assert sat(amount_msat) == shown


def test_dollars_are_exact() -> None:
    """Nothing is rounded, and the sign stands before the dollar."""
    assert usd(265_800_000) == "$0.0002658"
    assert usd(-1) == "-$0.000000000001"
    assert amount("pusd", 10**12) == "$1"
    assert amount("msat", 1_000) == "1,000"


def test_names_are_shortened_to_what_tells_them_apart() -> None:
    """Kind and end are kept; short names and accounts without ids stay whole."""
    assert name(ESCROW) == "esc_…iAVXWB4k"
    assert name("operator") == "operator"
    long = "caller/c_1a206af15075f1d0715ba76a4cc/available"
    assert account(long) == "caller/c_…ba76a4cc/available"
    assert account("exposure/contra/msat") == "exposure/contra/msat"


@pytest.mark.parametrize(
    "given", [ESCROW, "esc_…iAVXWB4k", "iAVXWB4k", "esc_...iAVXWB4k", "esc_~iAVXWB4k"]
)
def test_a_shown_name_finds_what_it_names(given: str) -> None:
    """The whole, what a table shows, and its end: all mean the same."""
    assert names(given, ESCROW)


@pytest.mark.parametrize("given", ["", "4k", "…", "esc_", "top_…iAVXWB4k", "IAVXWB4K"])
def test_too_little_or_another_name_finds_nothing(given: str) -> None:
    """An end of fewer than six characters could be anybody's."""
    assert not names(given, ESCROW)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7_199, "1 h"), (86_400 * 400, "400 d"), (-5, "0 s")],
)
def test_an_age_is_told_in_one_unit(seconds: int, shown: str) -> None:
    """What lies ahead, by a clock that was set back, is no time ago."""
    assert age(0, seconds * 1_000) == shown


def test_an_id_tells_when_it_was_made() -> None:
    """The eleven digits after its kind; a foreign name tells nothing."""
    assert begun_ms(ESCROW) == 1_795_408_467_208
    assert begun_ms("operator") == begun_ms("") == 0


def test_times_and_events_read_as_words() -> None:
    """Times are UTC to the second, events lose their underscores."""
    assert moment(1_795_408_467_208) == "2026-11-23 04:34:27"
    assert event("invoice_settled") == "invoice settled"
