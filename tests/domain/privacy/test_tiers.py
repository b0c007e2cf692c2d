"""A tier is only ever raised, whoever says what and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.privacy.tiers import (
    DETECTOR_FAILED,
    NO_PRIVACY,
    UNSCANNABLE,
    Privacy,
    highest,
    reaches,
)
from cobot_meter.domain.routing.hints import PrivacyTier

tiers = st.sampled_from(PrivacyTier)
seen = st.lists(st.sampled_from(("card", "email", "secret")), unique=True).map(tuple)
unseen = st.lists(st.sampled_from((UNSCANNABLE, DETECTOR_FAILED)), unique=True).map(tuple)


@given(declared=st.none() | tiers, policy=tiers, signals=st.tuples(seen, unseen))
def test_the_tier_is_never_below_what_was_declared_or_demanded(
    declared: PrivacyTier | None,
    policy: PrivacyTier,
    signals: tuple[tuple[str, ...], tuple[str, ...]],
) -> None:
    """Whatever is detected or not, declared and policy are lower bounds."""
    tier = Privacy(declared=declared, policy=policy, signals=signals[0] + signals[1]).tier
    assert reaches(tier, policy)
    assert declared is None or reaches(tier, declared)


@given(declared=st.none() | tiers, policy=tiers, signals=seen, more=seen)
def test_more_signals_never_lower_it(
    declared: PrivacyTier | None,
    policy: PrivacyTier,
    signals: tuple[str, ...],
    more: tuple[str, ...],
) -> None:
    """The tier is monotone in what was detected."""
    before = Privacy(declared=declared, policy=policy, signals=signals).tier
    after = Privacy(declared=declared, policy=policy, signals=signals + more).tier
    assert reaches(after, before)


@given(low=tiers, high=tiers, policy=tiers, signals=seen)
def test_a_higher_declaration_never_lowers_it(
    low: PrivacyTier, high: PrivacyTier, policy: PrivacyTier, signals: tuple[str, ...]
) -> None:
    """The tier is monotone in what is declared, and in the policy of the key."""
    low, high = (low, high) if reaches(high, low) else (high, low)
    at_low = Privacy(declared=low, policy=policy, signals=signals).tier
    assert reaches(Privacy(declared=high, policy=policy, signals=signals).tier, at_low)
    by_low = Privacy(declared=policy, policy=low, signals=signals).tier
    assert reaches(Privacy(declared=policy, policy=high, signals=signals).tier, by_low)


@given(declared=st.none() | tiers, signals=seen.filter(bool))
def test_anything_detected_means_local_even_for_what_was_declared_public(
    declared: PrivacyTier | None, signals: tuple[str, ...]
) -> None:
    """What the detector saw counts whatever was said."""
    assert Privacy(declared=declared, signals=signals).tier is PrivacyTier.LOCAL


@pytest.mark.parametrize("signal", [UNSCANNABLE, DETECTOR_FAILED])
def test_what_could_not_be_looked_at_is_local_unless_its_caller_says_what_it_is(
    signal: str,
) -> None:
    """Undeclared it is local; declared, it is what its caller says and its key demands."""
    assert Privacy(signals=(signal,)).tier is PrivacyTier.LOCAL
    assert Privacy(signals=(signal,), declared=PrivacyTier.PUBLIC).tier is PrivacyTier.PUBLIC
    assert (
        Privacy(signals=(signal,), declared=PrivacyTier.PUBLIC, policy=PrivacyTier.ZDR).tier
        is PrivacyTier.ZDR
    )
    assert Privacy(signals=(signal, "card"), declared=PrivacyTier.PUBLIC).tier is PrivacyTier.LOCAL


def test_without_anything_said_or_seen_a_request_is_public() -> None:
    """Nobody is kept from the cloud for nothing."""
    assert NO_PRIVACY.tier is PrivacyTier.PUBLIC


def test_the_tiers_are_in_order() -> None:
    """Anybody, who keeps nothing, this machine alone."""
    order = [PrivacyTier.PUBLIC, PrivacyTier.ZDR, PrivacyTier.LOCAL]
    assert sorted(order, key=lambda tier: sum(reaches(tier, other) for other in order)) == order
    assert highest(*order) is PrivacyTier.LOCAL
