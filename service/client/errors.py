"""What can go wrong while buying, by what became of the money.

L402Error
├── ChallengeRefused   nothing was paid: the challenge is not what it says, or not payable
├── BudgetExceeded     nothing was paid: it would pass a limit
├── PaymentFailed      nothing was paid: the wallet is certain
├── PaymentUnknown     it may have been paid: the amount stays reserved
└── ProofRefused       it was paid, and the seller does not honour it

Must not know: HTTP libraries.
"""

from __future__ import annotations


class L402Error(Exception):
    """Root of what this package raises."""


class ChallengeRefused(L402Error):
    """The invoice cannot be read, names no amount, or differs from what the answer announced."""


class BudgetExceeded(L402Error):
    """Paying would pass `limit` (`per_request`, `total` or `window`); all amounts in msat."""

    def __init__(
        self, *, limit: str, limit_msat: int, committed_msat: int, asked_msat: int
    ) -> None:
        """`committed_msat` is what was spent and is reserved already, under this limit."""
        super().__init__(
            f"{asked_msat} msat on top of {committed_msat} msat would pass the {limit} limit of "
            f"{limit_msat} msat"
        )
        self.limit = limit
        self.limit_msat = limit_msat
        self.committed_msat = committed_msat
        self.asked_msat = asked_msat


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
