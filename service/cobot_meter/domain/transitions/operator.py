"""Transitions of what an operator decides: callers, and whether anything is released."""

from __future__ import annotations

from cobot_meter.domain.ledger.accounts import caller_accounts
from cobot_meter.domain.transitions.kinds import RELEASES, RELEASES_OPENED, RELEASES_STOPPED
from cobot_meter.domain.transitions.transition import CallerChange, Transition


def releases_transition(*, sequence: int, stopped: bool, reason: str, at_ms: int) -> Transition:
    """Releases are stopped, or opened again: one word after the other, numbered from 0."""
    return Transition(
        key=f"{RELEASES}/{sequence}",
        kind=RELEASES_STOPPED if stopped else RELEASES_OPENED,
        subject_id=RELEASES,
        caller_id=None,
        at_ms=at_ms,
        facts={"reason": reason},
    )


def caller_transition(
    caller_id: str, change: CallerChange, *, sequence: int, at_ms: int
) -> Transition:
    """An operator's word on a caller; `sequence` numbers his words."""
    return Transition(
        key=f"{caller_id}/caller_changed/{sequence}",
        kind="caller_changed",
        subject_id="operator",
        caller_id=caller_id,
        at_ms=at_ms,
        accounts=caller_accounts(caller_id),
        caller=change,
        facts={"blocked": int(change.blocked), "cap_msat": change.cap_msat},
    )
