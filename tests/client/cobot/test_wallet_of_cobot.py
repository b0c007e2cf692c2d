"""A cobot's wallet plugin as a wallet of ours: what it says, and what it does not say."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cobot_pay import Payment, PaymentFailed, PaymentUnknown
from cobot_pay.cobot.wallet_of_cobot import WalletOfCobot


class Plugin:
    """Answers every payment with the same."""

    def __init__(self, said: Mapping[str, object]) -> None:
        self.said = said

    def pay_for_preimage(self, invoice: str, max_fee_msat: int) -> Mapping[str, object]:
        """The contract of the module."""
        return self.said


async def test_a_preimage_is_a_payment() -> None:
    """With its amount and its fee."""
    wallet = WalletOfCobot(Plugin({"preimage": "00" * 32, "amount_msat": 5, "fee_msat": 1}))
    paid = await wallet.pay("lnbc1", max_fee_msat=1)
    assert paid == Payment(preimage="00" * 32, amount_msat=5, fee_msat=1)


async def test_only_a_wallet_that_is_certain_has_not_paid() -> None:
    """`success: False` of a script that timed out is no certainty."""
    with pytest.raises(PaymentFailed):
        await WalletOfCobot(Plugin({"unpaid": True})).pay("lnbc1", max_fee_msat=1)
    with pytest.raises(PaymentUnknown):
        await WalletOfCobot(Plugin({"success": False})).pay("lnbc1", max_fee_msat=1)
