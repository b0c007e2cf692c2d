"""Standing and caps: what a caller may have open follows from what it paid and let lapse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.callers import CallerStanding, CapTerms, ExposureTerms

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


def test_a_days_budget_is_shared_out_to_the_pico_usd() -> None:
    """A quarter for newcomers, a tenth of that for one address, the rest for the proven."""
    terms = ExposureTerms.shares_of(1_000_003, cap=TERMS, newcomer_until_msat=7)
    assert terms == ExposureTerms(
        cap=TERMS,
        newcomer_until_msat=7,
        address_day_pusd=25_000,
        newcomers_day_pusd=250_000,
        proven_day_pusd=750_003,
        ask_least_pusd=100_000_000,
    )


@pytest.mark.parametrize(
    ("newcomers_bps", "address_bps", "newcomers", "address"),
    [
        (2_500, 1_000, 250_000, 25_000),
        (2_499, 999, 249_900, 24_965),
        (2_501, 1_001, 250_000, 25_000),
        (10_000, 10_000, 250_000, 25_000),
        (0, 1_000, 0, 0),
        (2_500, 0, 250_000, 0),
    ],
)
def test_no_setting_gives_newcomers_or_an_address_more_than_their_part(
    newcomers_bps: int, address_bps: int, newcomers: int, address: int
) -> None:
    """Less can be set, more cannot; whatever they do not have is for those who have paid."""
    terms = ExposureTerms.shares_of(
        1_000_000,
        cap=TERMS,
        newcomer_until_msat=0,
        newcomers_bps=newcomers_bps,
        address_bps=address_bps,
        ask_least_pusd=3,
    )
    assert (terms.newcomers_day_pusd, terms.address_day_pusd) == (newcomers, address)
    assert terms.proven_day_pusd == 1_000_000 - newcomers
    assert terms.ask_least_pusd == 3


@pytest.mark.parametrize(
    ("body_bytes", "times"), [(0, 1), (65_535, 1), (65_536, 2), (131_071, 2), (131_072, 3)]
)
def test_an_ask_counts_once_more_for_every_64_kib(body_bytes: int, times: int) -> None:
    """What nobody pays for takes room all the same."""
    assert ExposureTerms(cap=TERMS, ask_least_pusd=7).least_pusd(body_bytes) == 7 * times


def test_what_is_set_where_nothing_is_set() -> None:
    """A dollar a day in all, and a hundredth of a cent for an ask at least."""
    terms = ExposureTerms(cap=TERMS)
    assert (TERMS.newcomer_msat, TERMS.max_msat) == (200_000, 100_000_000)
    assert terms.address_day_pusd == 25_000_000_000
    assert terms.proven_day_pusd == 750_000_000_000
    assert terms.ask_least_pusd == 100_000_000
