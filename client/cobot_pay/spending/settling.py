"""Asks the wallet what became of payments whose outcome is unknown, and books what it says."""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

from cobot_pay.errors import L402Error
from cobot_pay.spending.stored_budget import StoredBudget
from cobot_pay.wallet import Payment, Wallet, proves

AT_ONCE_MAX = 20
_HASH = re.compile(r"[0-9A-Fa-f]{64}")


@runtime_checkable
class TellsOutcomes(Protocol):
    """A wallet that can be asked what became of a payment."""

    async def outcome(self, payment_hash: str) -> Payment | None:
        """What was paid; None when certainly nothing was, nor will be.

        Raises PaymentUnknown while the wallet cannot say.
        """


async def settle_unknown(budget: StoredBudget, wallet: Wallet) -> list[str]:
    """What was found out, a sentence for each; a wallet that cannot be asked finds out nothing."""
    told: list[str] = []
    if not isinstance(wallet, TellsOutcomes):
        return told
    for receipt in budget.receipts(at_most=AT_ONCE_MAX, unknown_only=True):
        payment_hash = receipt.payment_hash
        if _HASH.fullmatch(payment_hash) is None:
            continue  # a call on a key: no wallet knows of it, and none may say that it was free
        try:
            payment = await wallet.outcome(payment_hash)
        except L402Error as fault:
            told.append(f"{payment_hash}: still unknown ({fault})")
            continue
        if payment is None:
            budget.settle(payment_hash, None)
            told.append(
                f"{payment_hash}: was not paid; {receipt.amount_msat:,} msat are free again"
            )
        elif proves(payment.preimage, payment_hash):
            paid_msat = payment.amount_msat + payment.fee_msat
            budget.settle(payment_hash, (paid_msat, payment.preimage.lower()))
            told.append(f"{payment_hash}: was paid, {paid_msat:,} msat")
        else:
            told.append(f"{payment_hash}: still unknown (the wallet shows another's preimage)")
    return told
