"""A top-up as its row has it: what it was opened with, and what the node has said of it since.

Must not know: HTTP, escrows or the node.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.topup.states import TOPUP_STATES, TopupFacts, TopupState

# What an empty ask is offered.
PROBE_AMOUNT_MSAT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupBounds:
    """What a top-up that names its amount may be, in msat: whole sats, from `least` to `most`."""

    least_msat: int = 10_000
    most_msat: int = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Topup:
    """One top-up. `address_key` finds the open one of an address; times are Unix ms or s."""

    topup_id: str
    caller_id: str
    address_key: str
    amount_msat: int
    opened_at_ms: int
    state: TopupState
    version: int
    attempt: int
    payment_hash: str
    payment_request: str = ""
    expires_at_s: int = 0
    paid_msat: int = 0
    settle_index: int = 0
    quarantine: str | None = None

    @property
    def progress(self) -> TopupState:
        """How far it is, as callers read it."""
        return self.state

    @property
    def payable_since_ms(self) -> int:
        """When what its invoice asks for can have been known at the earliest, in Unix ms."""
        return self.opened_at_ms

    @property
    def facts(self) -> TopupFacts:
        """What holds of it in its state."""
        return TOPUP_STATES[self.state]
