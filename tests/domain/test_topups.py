"""Top-ups: every state and event, and B1 once for every payment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.topups import PROBE_AMOUNT_MSAT, Topup, TopupState
from cobot_meter.domain.transitions.topups import topup_transition
from tests.domain.escrow.walks import lines
from tests.domain.samples import CALLER, NOW_MS, opened, settled

S = TopupState
TOPUP = Topup(
    topup_id="top_1",
    caller_id=CALLER,
    address_key="a",
    amount_msat=PROBE_AMOUNT_MSAT,
    opened_at_ms=NOW_MS,
    state=S.OPENED,
    version=1,
    attempt=0,
    payment_hash="h0",
)
EVENTS: dict[str, Callable[[Topup], Topup]] = {
    "issued": lambda topup: topup.issued(payment_request="lnbcrt1", expires_at_s=1),
    "lost": lambda topup: topup.lost(payment_hash="h1"),
    "credited": lambda topup: topup.credited(paid_msat=1_000, settle_index=1),
    "lapsed": lambda topup: topup.lapsed(),
    "quarantined": lambda topup: topup.quarantined("topup_credited: it is too large"),
    "lifted": lambda topup: topup.lifted(),
    "written off": lambda topup: topup.written_off(),
}
LEADS_TO: dict[tuple[TopupState, str], TopupState] = {
    (S.OPENED, "issued"): S.INVOICED,
    (S.OPENED, "lost"): S.OPENED,
    (S.OPENED, "credited"): S.CREDITED,
    (S.INVOICED, "credited"): S.CREDITED,
    (S.LAPSED, "credited"): S.CREDITED,
    (S.OPENED, "lapsed"): S.LAPSED,
    (S.INVOICED, "lapsed"): S.LAPSED,
    **{(state, event): state for state in S for event in ("quarantined", "lifted")},
    **{(state, "written off"): S.LAPSED for state in S if state is not S.CREDITED},
    (S.CREDITED, "written off"): S.CREDITED,
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", list(S))
def test_every_event_in_every_state(state: TopupState, event: str) -> None:
    """What the table has moves on by one version, anything else raises and changes nothing."""
    topup = replace(TOPUP, state=state, version=5)
    target = LEADS_TO.get((state, event))
    if target is None:
        with pytest.raises(IllegalTransition):
            EVENTS[event](topup)
    else:
        moved = EVENTS[event](topup)
        assert (moved.state, moved.version) == (target, 6)
    assert topup == replace(TOPUP, state=state, version=5)


def test_a_lost_invoice_has_another_attempt() -> None:
    """The next hash belongs to the next attempt."""
    lost = EVENTS["lost"](TOPUP)
    assert (lost.attempt, lost.payment_hash) == (1, "h1")


def test_b1_is_keyed_by_its_payment() -> None:
    """However often and by whomever a settlement is told, it is one journal row."""
    fact = settled(replace(opened(), payment_hash="h0"), 1_500)
    first = topup_transition(EVENTS["credited"](TOPUP), "topup_credited", at_ms=1, settled=fact)
    late = topup_transition(
        EVENTS["credited"](EVENTS["lapsed"](TOPUP)), "topup_credited", at_ms=2, settled=fact
    )
    assert first.key == late.key == "ln/h0"
    assert lines(first) == lines(late) == ["posted node / available 1500"]
    assert first.cursor is not None
    assert first.cursor.settle_index == 1


def test_unpaid_topups_move_no_money() -> None:
    """Opening opens the caller's accounts, and books nothing; so do issue and lapse."""
    opening = topup_transition(TOPUP, "topup_opened", at_ms=1)
    issued = topup_transition(EVENTS["issued"](TOPUP), "topup_invoiced", at_ms=1)
    assert (len(opening.accounts), issued.accounts) == (4, ())
    assert opening.transfers == issued.transfers == ()
    assert opening.key != issued.key
