"""A wallet where somebody pays by hand: it shows the invoice and asks for the preimage.

The preimage is the proof that it was paid, and what the seller is shown. Whoever goes away without
a word may have paid: the amount stays reserved, as with any wallet that does not answer.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable

from cobot_pay.cli.invoice_qr import NoQrCode, invoice_qr
from cobot_pay.errors import PaymentFailed, PaymentUnknown
from cobot_pay.invoice_terms import read_invoice
from cobot_pay.wallet import Payment, proves

# A person looks for a telephone; the invoice itself ends sooner.
PATIENCE_S = 3_600.0
ASKED = "pay it, then paste the preimage that the wallet shows as proof (nothing: not paid)"
_LINE_MAX = 4_096


class HandWallet:
    """Implements `cobot_pay.wallet.Wallet`."""

    charges_fees = False  # what the wallet of a person takes on top, nobody tells us

    def __init__(
        self, *, say: Callable[[str], None], told: Callable[[], Awaitable[str]], draw: bool
    ) -> None:
        """`say` shows a line; `told` is the next line that is typed, empty at the end of input.

        With `draw` the invoice is shown as a QR code too.
        """
        self._say = say
        self._told = told
        self._draw = draw

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:  # noqa: ARG002 - not known
        """Raises PaymentFailed at the word that it was not paid, PaymentUnknown without one."""
        terms = read_invoice(payment_request)
        self._say(f"invoice {payment_request}")
        if self._draw:
            self._show(payment_request)
        while True:
            self._say(ASKED)
            line = await self._told()
            if not line:
                raise PaymentUnknown("nobody said whether it was paid")
            preimage = line.strip().lower()
            if not preimage:
                raise PaymentFailed("it was not paid")
            if proves(preimage, terms.payment_hash):
                amount_msat = terms.amount_msat
                return Payment(preimage=preimage, amount_msat=amount_msat, fee_msat=0)
            self._say("that is not the preimage of this invoice: 64 hexadecimal digits")

    def _show(self, payment_request: str) -> None:
        try:
            self._say(f"\n{invoice_qr(payment_request)}")
        except NoQrCode as missing:
            self._say(str(missing))


async def typed_line(descriptor: int = 0) -> str:
    """The next line of standard input; empty at its end.

    Read without Python's own buffer and apart: whoever interrupts the command is not kept waiting
    for a line that never comes.
    """
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()

    def give(text: str) -> None:
        if not line.done():
            line.set_result(text)

    def read() -> None:
        octets = bytearray()
        while not octets.endswith(b"\n") and len(octets) < _LINE_MAX:
            octet = os.read(descriptor, 1)
            if not octet:
                break
            octets += octet
        loop.call_soon_threadsafe(give, octets.decode(errors="replace"))

    threading.Thread(target=read, daemon=True).start()
    return await line
