"""What became of a call that ended with an exception, as a sentence. Must not know: cobot."""

from __future__ import annotations

import httpx

from cobot_pay.errors import BudgetExceeded, L402Error, PaymentUnknown


def sentence_of(fault: Exception, url: str) -> str:
    """What became of a call that ended with this."""
    match fault:
        case L402Error():
            return _unpaid(fault)
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return f"{url} is not there, and nothing was paid. Start it, or mend url in cobot.yml."
        case httpx.HTTPError():
            return (
                f"{url} broke off ({type(fault).__name__}). Ask the same again: what was paid for "
                "is not paid twice."
            )
        case OSError():
            return f"The file of the budget cannot be used ({fault}), so nothing is bought."
        case _:
            return f"The call was not bought: {fault}."


def _unpaid(fault: L402Error) -> str:
    match fault:
        case BudgetExceeded(resets_at_s=int()):
            return f"My budget does not allow this, and nothing was paid: {fault}."
        case BudgetExceeded():
            return (
                f"This costs more than one call may, and nothing was paid: {fault}. Raise "
                "budget_sat_call or max_cost_sat in cobot.yml, or ask for less."
            )
        case PaymentUnknown():
            return (
                f"A payment may have been made, and is not made again: {fault}. Look with: "
                "cobot-pay receipts --settle."
            )
        case _:
            return f"The call was not bought: {fault}. Look after the wallet, then ask again."
