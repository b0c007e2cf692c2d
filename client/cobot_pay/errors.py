"""What can go wrong while buying, by what became of the money.

L402Error
├── ChallengeRefused   nothing was paid: the challenge is not what it says, or not payable
├── BudgetExceeded     nothing was paid: it would pass a limit
├── EventLoopUnsupported  nothing was paid: the client does not run on asyncio
├── PaymentFailed      nothing was paid: the wallet is certain
├── PaymentUnknown     it may have been paid: the amount stays reserved
└── ProofRefused       it was paid, and the seller does not honour it

Must not know: HTTP libraries.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


class L402Error(Exception):
    """Root of what this package raises."""


class ChallengeRefused(L402Error):
    """The invoice cannot be read, names no amount, or differs from what the answer announced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """How one limit of a budget stands, in msat; what is in flight includes fees.

    `host` is whose limit it is, empty for one that holds for all. `resets_at_s` is when what was
    spent stops counting, in Unix seconds, None where no time changes it.
    """

    limit: str
    limit_msat: int
    spent_msat: int
    in_flight_msat: int
    host: str = ""
    resets_at_s: int | None = None

    @property
    def left_msat(self) -> int:
        """What may still be committed; below 0 when more was paid than was set aside."""
        return self.limit_msat - self.spent_msat - self.in_flight_msat


class BudgetExceeded(L402Error):
    """Paying would pass `limit` (`per_request`, `total`, `window`, `hour` or `day`), in msat.

    `asked_msat` is the invoice with the least fee that was wanted for it, `committed_msat` what
    was spent and is in flight already under this limit. `waiting_helps` says that it would fit
    once payments in flight are made for less than the fees that are kept for them.
    """

    def __init__(
        self, committed: Committed, *, invoice_msat: int, fee_msat: int, waiting_helps: bool = False
    ) -> None:
        """`committed` is how the limit stands."""
        fees = f" and up to {fee_msat:,} msat of fees" if fee_msat else ""
        whose = f" for {committed.host}" if committed.host else ""
        super().__init__(
            f"the invoice asks for {invoice_msat:,} msat{fees}; of the {committed.limit} limit"
            f"{whose} of {committed.limit_msat:,} msat {committed.spent_msat:,} are spent and "
            f"{committed.in_flight_msat:,} in flight, so {max(committed.left_msat, 0):,} are left"
            f"{_resets(committed.resets_at_s)}"
        )
        self.limit = committed.limit
        self.host = committed.host
        self.resets_at_s = committed.resets_at_s
        self.limit_msat = committed.limit_msat
        self.spent_msat = committed.spent_msat
        self.in_flight_msat = committed.in_flight_msat
        self.committed_msat = committed.spent_msat + committed.in_flight_msat
        self.invoice_msat = invoice_msat
        self.fee_msat = fee_msat
        self.asked_msat = invoice_msat + fee_msat
        self.waiting_helps = waiting_helps


def _resets(at_s: int | None) -> str:
    if at_s is None:
        return ""
    return time.strftime("; it resets at %Y-%m-%d %H:%M UTC", time.gmtime(at_s))


class EventLoopUnsupported(L402Error):
    """The asynchronous client does not run on asyncio; nothing was sent or paid."""


class PaymentFailed(L402Error):
    """For wallets to raise when it is certain that nothing was and nothing will be paid."""


class PaymentUnknown(L402Error):
    """Nobody knows yet whether `payment_hash` was paid; it is not paid again."""

    def __init__(self, message: str, *, payment_hash: str = "") -> None:
        """`payment_hash` is 64 hex digits, empty when a wallet raises this."""
        super().__init__(message)
        self.payment_hash = payment_hash


class ProofRefused(L402Error):
    """`payment_hash` is paid, and the seller still asks for payment."""

    def __init__(self, message: str, *, payment_hash: str) -> None:
        """`payment_hash` is 64 hex digits: what to complain with."""
        super().__init__(message)
        self.payment_hash = payment_hash
