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
    Tier,
    tier_of,
)

tiers = st.sampled_from(Tier)
seen = st.lists(st.sampled_from(("card", "email", "secret")), unique=True).map(tuple)
unseen = st.lists(st.sampled_from((UNSCANNABLE, DETECTOR_FAILED)), unique=True).map(tuple)


@given(declared=st.none() | tiers, policy=tiers, signals=st.tuples(seen, unseen))
def test_the_tier_is_never_below_what_was_declared_or_demanded(
    declared: Tier | None, policy: Tier, signals: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    """Whatever is detected or not, declared and policy are lower bounds."""
    tier = Privacy(declared=declared, policy=policy, signals=signals[0] + signals[1]).tier
    assert tier >= policy
    assert declared is None or tier >= declared


@given(declared=st.none() | tiers, policy=tiers, signals=seen, more=seen)
def test_more_signals_never_lower_it(
    declared: Tier | None, policy: Tier, signals: tuple[str, ...], more: tuple[str, ...]
) -> None:
    """The tier is monotone in what was detected."""
    before = Privacy(declared=declared, policy=policy, signals=signals).tier
    assert Privacy(declared=declared, policy=policy, signals=signals + more).tier >= before


@given(low=tiers, high=tiers, policy=tiers, signals=seen)
def test_a_higher_declaration_never_lowers_it(
    low: Tier, high: Tier, policy: Tier, signals: tuple[str, ...]
) -> None:
    """The tier is monotone in what is declared, and in the policy of the key."""
    low, high = sorted((low, high))
    at_low = Privacy(declared=low, policy=policy, signals=signals).tier
    assert Privacy(declared=high, policy=policy, signals=signals).tier >= at_low
    by_low = Privacy(declared=policy, policy=low, signals=signals).tier
    assert Privacy(declared=policy, policy=high, signals=signals).tier >= by_low


@given(declared=st.none() | tiers, signals=seen.filter(bool))
def test_anything_detected_means_local_even_for_what_was_declared_public(
    declared: Tier | None, signals: tuple[str, ...]
) -> None:
    """What the detector saw counts whatever was said."""
    assert Privacy(declared=declared, signals=signals).tier is Tier.LOCAL


@pytest.mark.parametrize("signal", [UNSCANNABLE, DETECTOR_FAILED])
def test_what_could_not_be_looked_at_is_local_unless_its_caller_says_what_it_is(
    signal: str,
) -> None:
    """Undeclared it is local; declared, it is what its caller says and its key demands."""
    assert Privacy(signals=(signal,)).tier is Tier.LOCAL
    assert Privacy(signals=(signal,), declared=Tier.PUBLIC).tier is Tier.PUBLIC
    assert Privacy(signals=(signal,), declared=Tier.PUBLIC, policy=Tier.ZDR).tier is Tier.ZDR
    assert Privacy(signals=(signal, "card"), declared=Tier.PUBLIC).tier is Tier.LOCAL


def test_without_anything_said_or_seen_a_request_is_public() -> None:
    """Nobody is kept from the cloud for nothing."""
    assert NO_PRIVACY.tier is Tier.PUBLIC


@pytest.mark.parametrize(
    ("word", "tier"),
    [("public", Tier.PUBLIC), ("zdr", Tier.ZDR), ("local", Tier.LOCAL), ("LOCAL", None), (1, None)],
)
def test_a_tier_is_one_of_three_words(word: object, tier: Tier | None) -> None:
    """Any other word is no tier."""
    assert tier_of(word) is tier
