"""Top-ups: an invoice whose payment becomes credit. Here, what an empty ask is offered.

    opened ─issued→ invoiced ─settled→ credited
                    invoiced ─canceled→ lapsed ─settled→ credited (a late payment is credit too)

Must not know: HTTP, escrows or the node.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from cobot_meter.domain.errors import IllegalTransition

PROBE_AMOUNT_MSAT = 1_000


class TopupState(enum.StrEnum):
    """Where a top-up stands."""

    OPENED = "opened"
    INVOICED = "invoiced"
    CREDITED = "credited"
    LAPSED = "lapsed"


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

    def issued(self, *, payment_request: str, expires_at_s: int) -> Topup:
        """The node made the invoice."""
        return self._to(
            TopupState.INVOICED,
            {TopupState.OPENED},
            payment_request=payment_request,
            expires_at_s=expires_at_s,
        )

    def lost(self, *, payment_hash: str) -> Topup:
        """The invoice was canceled before we stored it: another attempt."""
        return self._to(
            TopupState.OPENED,
            {TopupState.OPENED},
            payment_hash=payment_hash,
            attempt=self.attempt + 1,
        )

    def credited(self, *, paid_msat: int, settle_index: int) -> Topup:
        """The node says SETTLED; late is as good as in time."""
        return self._to(
            TopupState.CREDITED,
            {TopupState.OPENED, TopupState.INVOICED, TopupState.LAPSED},
            paid_msat=paid_msat,
            settle_index=settle_index,
        )

    def lapsed(self) -> Topup:
        """The node says CANCELED."""
        return self._to(TopupState.LAPSED, {TopupState.OPENED, TopupState.INVOICED})

    def quarantined(self, reason: str) -> Topup:
        """What happened to it cannot be booked: it waits for the operator where it is."""
        return self._to(self.state, {self.state}, quarantine=reason)

    def lifted(self) -> Topup:
        """The operator lets it go on."""
        return self._to(self.state, {self.state}, quarantine=None)

    def written_off(self) -> Topup:
        """The operator ends it: unpaid as far as the books go; a payment is credit all the same."""
        ended = self.state if self.state is TopupState.CREDITED else TopupState.LAPSED
        return self._to(ended, {self.state}, quarantine=None)

    def _to(
        self, state: TopupState, allowed: set[TopupState], **changes: str | int | None
    ) -> Topup:
        if self.state not in allowed:
            message = f"a top-up that is {self.state} cannot become {state}"
            raise IllegalTransition(message)
        moved = replace(self, state=state, version=self.version + 1)
        return replace(moved, **changes)  # type: ignore[arg-type]
