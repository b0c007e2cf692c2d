"""Standing and caps: what a caller may have open follows from what it paid and let lapse."""

from __future__ import annotations

import pytest
from cobot_meter.domain.callers import CallerStanding, CapTerms, ExposureTerms
from hypothesis import given
from hypothesis import strategies as st

TERMS = CapTerms()
amounts = st.integers(min_value=0, max_value=10**18)


@pytest.mark.parametrize(
    ("settled", "lapsed", "cap"),
    [
        (0, 0, 200_000),
        (9, 0, 200_000),
        (1_000_000, 0, 300_000),
        (0, 50_000, 100_000),
        (0, 100_000, 0),
        (0, 10**15, 0),
        (998_000_000, 0, 100_000_000),
        (10**15, 0, 100_000_000),
    ],
)
def test_the_cap_formula(settled: int, lapsed: int, cap: int) -> None:
    """clamp(newcomer + settled/10 − 2 × lapsed, 0, max), to the msat."""
    assert TERMS.cap_msat(settled_msat=settled, lapsed_msat=lapsed) == cap


@given(settled=amounts, lapsed=amounts, more=amounts)
def test_paying_never_lowers_a_cap_and_lapsing_never_raises_it(
    settled: int, lapsed: int, more: int
) -> None:
    """Monotone in both, and always within its bounds."""
    cap = TERMS.cap_msat(settled_msat=settled, lapsed_msat=lapsed)
    assert 0 <= cap <= TERMS.max_msat
    assert TERMS.cap_msat(settled_msat=settled + more, lapsed_msat=lapsed) >= cap
    assert TERMS.cap_msat(settled_msat=settled, lapsed_msat=lapsed + more) <= cap


@given(lapsed=st.integers(min_value=1, max_value=10**9))
def test_a_lapse_costs_more_cap_than_paying_it_back_earns(lapsed: int) -> None:
    """Letting 1 msat lapse takes what 20 msat of payments give."""
    before = TERMS.cap_msat(settled_msat=10**8, lapsed_msat=0)
    after = TERMS.cap_msat(settled_msat=10**8 + 19 * lapsed, lapsed_msat=lapsed)
    assert after < before or after == before == 0


def test_the_operators_word_goes_first() -> None:
    """An override replaces the formula, zero included."""
    assert CallerStanding(caller_id="c").cap_msat(TERMS) == 200_000
    assert CallerStanding(caller_id="c", cap_override_msat=0).cap_msat(TERMS) == 0


def test_who_is_a_newcomer_and_what_is_shared() -> None:
    """Below 200 sat of settled completions; budgets of both groups are apart and add up to $1."""
    terms = ExposureTerms(cap=TERMS)
    assert terms.is_newcomer(199_999)
    assert not terms.is_newcomer(200_000)
    assert terms.day_budget_pusd(newcomer=True) == 250_000_000_000
    assert sum(terms.day_budget_pusd(newcomer=group) for group in (True, False)) == 10**12


def test_a_caller_whom_nobody_has_seen_has_nothing() -> None:
    """No credit, nothing open, settled or lapsed, and no word of the operator."""
    unseen = CallerStanding(caller_id="c_new")
    amounts = (
        unseen.available_msat,
        unseen.open_msat,
        unseen.settled_msat,
        unseen.lapsed_msat,
        unseen.credited_msat,
        unseen.spent_credit_msat,
    )
    assert amounts == (0,) * 6
    assert not unseen.blocked
    assert unseen.cap_override_msat is None
