"""What a constraint of the database says: one transition's own trouble, or worse.

Must not know: which statement met it.
"""

from __future__ import annotations

from service.domain.errors import LedgerContradicted, LedgerUnbalanced

# A hold reserved or resolved a second time, and credit spent below zero: no value of one sale
# does that, only books whose rows and transfers tell different stories.
_CONTRADICTIONS = ("transfer.hold_id", "uq_transfer_re", "account_spendable")


def unbookable(key: str, says: str) -> LedgerUnbalanced:
    """The error of a transition that a constraint refused, in the database's own words."""
    message = f"{key} cannot be booked: {says}"
    if any(name in says for name in _CONTRADICTIONS):
        return LedgerContradicted(message)
    return LedgerUnbalanced(message)
