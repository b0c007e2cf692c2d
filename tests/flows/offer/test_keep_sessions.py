"""Sessions: what they have had is remembered by whose they are, and within a bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.routing.table import Tier
from cobot_meter.flows.offer.route_request import KeepSessions

OWNERS = st.sampled_from(["ann", "bob"])
SESSIONS = st.sampled_from(["s", "t", None])
STEPS = st.lists(st.tuples(OWNERS, SESSIONS, st.sampled_from(Tier)), max_size=30)


@given(steps=STEPS)
def test_a_tier_rises_and_never_falls(steps: list[tuple[str, str | None, Tier]]) -> None:
    """Each owner's own, and no session is none at all."""
    kept = KeepSessions()
    for owner, session, tier in steps:
        kept.had(owner, session, tier)
    for owner in ("ann", "bob"):
        for session in ("s", "t", None):
            had = [tier for whose, name, tier in steps if (whose, name) == (owner, session)]
            assert kept.floor(owner, session) == (max(had, default=None) if session else None)


def test_no_more_are_kept_than_there_is_room_for() -> None:
    """The one unused for longest goes; one that is used stays."""
    kept = KeepSessions(most=3)
    for name in ("a", "b", "c"):
        kept.had("ann", name, Tier.PREMIUM)
    kept.had("ann", "a", Tier.CHEAP)
    kept.had("ann", "d", Tier.CHEAP)
    assert len(kept) == 3
    assert kept.floor("ann", "b") is None
    assert kept.floor("ann", "a") is Tier.PREMIUM
