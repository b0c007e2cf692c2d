"""The wallet plugin of a cobot as a wallet of ours, where it can hand back a preimage.

cobot 0.2.0's `WalletProvider.pay` returns a text; a purchase is proved with a preimage. A plugin
that has one says so by a method beside it:

    pay_for_preimage(invoice: str, max_fee_msat: int) -> dict

It answers `{"preimage": hex, "amount_msat": int, "fee_msat": int}` for what was paid, and
`{"unpaid": True, "error": text}` when it is certain that nothing was and nothing will be. Whatever
else it answers or raises is unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from cobot_pay.errors import PaymentFailed, PaymentUnknown
from cobot_pay.spending.settling import TellsOutcomes
from cobot_pay.wallet import Payment


@runtime_checkable
class PaysForPreimage(Protocol):
    """What a cobot's wallet plugin needs beside cobot's own interface."""

    def pay_for_preimage(self, invoice: str, max_fee_msat: int) -> Mapping[str, object]:
        """Pay once, and answer as the module says."""


class WalletOfCobot:
    """Pays with a plugin of the cobot."""

    def __init__(self, plugin: PaysForPreimage) -> None:
        """The plugin is asked in a thread: what it does there may take its time."""
        self._plugin = plugin

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:
        """Raises PaymentFailed when the plugin is certain, PaymentUnknown for any other answer."""
        said = await asyncio.to_thread(self._plugin.pay_for_preimage, payment_request, max_fee_msat)
        if said.get("unpaid") is True:
            raise PaymentFailed(str(said.get("error") or "the cobot's wallet did not pay"))
        preimage, amount, fee = (said.get(name) for name in ("preimage", "amount_msat", "fee_msat"))
        if not isinstance(preimage, str) or type(amount) is not int or type(fee) is not int:
            raise PaymentUnknown("the cobot's wallet does not say what became of the payment")
        return Payment(preimage=preimage, amount_msat=amount, fee_msat=fee)

    async def outcome(self, payment_hash: str) -> Payment | None:
        """What became of a payment, where the plugin can be asked. Raises PaymentUnknown."""
        if not isinstance(self._plugin, TellsOutcomes):
            message = "the cobot's wallet cannot be asked what became of a payment"
            raise PaymentUnknown(message, payment_hash=payment_hash)
        return await self._plugin.outcome(payment_hash)
