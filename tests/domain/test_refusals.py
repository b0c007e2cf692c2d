"""What a refused guard says: true figures, once, and nothing advised that would not help."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.money import sat_text
from cobot_meter.domain.refusals import exposure_exceeded, retry_after_s, sentence

amounts = st.integers(min_value=0, max_value=10**16)
GUARDS = ("caller", "address", "budget", "available")
NOW_MS = 1_795_000_000_000


@given(guard=st.sampled_from(GUARDS), open_=amounts, over=amounts, limit=amounts, pay=st.booleans())
def test_any_figures_make_one_sentence(
    guard: str, open_: int, over: int, limit: int, *, pay: bool
) -> None:
    """One colon and one full stop, one unit, no advice that cannot help, whatever the figures."""
    asked = max(limit - open_, 0) + over + 1
    refused = exposure_exceeded(guard, open_amount=open_, limit=limit, asked=asked)
    said = sentence(refused, to_pay=pay)
    assert said.endswith(".")
    assert ". " not in said
    assert said.count(": ") == 1
    assert not ("sat" in said and "USD" in said)
    assert "top up" not in said.lower()
    waits = retry_after_s(refused, now_ms=NOW_MS, to_pay=pay)
    alone = guard != "available" and asked > limit
    assert (waits is None) is (alone or (guard == "caller" and pay))
    if alone:
        assert "midnight" not in said
        assert "pay" not in said.replace("unpaid", "")
    if not pay:
        assert "to_pay" not in said


@pytest.mark.parametrize(
    ("guard", "figures", "to_pay", "says"),
    [
        (
            "caller",
            (180_000, 200_000, 52_345),
            False,
            (
                "This caller has 180 sat open and unpaid of at most 200 sat, and this request may"
                " cost up to 52.345 sat more: ask for less with a lower max_tokens or a cheaper "
                "model, or ask again when what is running has ended."
            ),
        ),
        (
            "address",
            (24_900_000_000, 25_000_000_000, 200_000_000),
            True,
            (
                "Unpaid runs of new callers behind this network address have taken 0.0249 USD of "
                "the 0.025 USD that they may take a day, and this request may cost up to 0.0002 "
                "USD more: pay what is open (see metadata.to_pay), ask for less with a lower "
                "max_tokens or a cheaper model, or ask again after midnight UTC."
            ),
        ),
        (
            "address",
            (0, 25_000_000_000, 124_500_000_000),
            False,
            (
                "This request may cost up to 0.1245 USD, and unpaid runs of new callers behind "
                "one network address may take at most 0.025 USD a day: ask for less with a lower "
                "max_tokens or a cheaper model."
            ),
        ),
        (
            "available",
            (5_000, 4_000, 2_000),
            False,
            (
                "Other requests of this caller have just used the credit that was to pay for this"
                " one: ask again."
            ),
        ),
    ],
)
def test_the_sentences(
    guard: str, figures: tuple[int, int, int], *, to_pay: bool, says: str
) -> None:
    """Word for word."""
    open_amount, limit, asked = figures
    refused = exposure_exceeded(guard, open_amount=open_amount, limit=limit, asked=asked)
    assert sentence(refused, to_pay=to_pay) == says


@pytest.mark.parametrize(
    ("now_ms", "seconds"),
    [(0, 86_400), (1, 86_400), (86_399_000, 1), (86_399_999, 1), (86_400_000, 86_400)],
)
def test_a_day_comes_back_at_midnight_utc(now_ms: int, seconds: int) -> None:
    """Whole seconds, never too early."""
    for guard in ("address", "budget"):
        refused = exposure_exceeded(guard, open_amount=9, limit=10, asked=2)
        assert retry_after_s(refused, now_ms=now_ms, to_pay=False) == seconds


@given(msat=st.integers(min_value=-(10**15), max_value=10**15))
def test_satoshis_are_shown_exactly(msat: int) -> None:
    """Up to three decimals, and no zeros at their end."""
    assert Decimal(sat_text(msat)) * 1_000 == msat
    assert not (sat_text(msat).endswith("0") and "." in sat_text(msat))
