"""What a payer of the development node meets: who may pay what, and the ways to be turned away.

Must not know: files, faults or HTTP.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cobot_meter.adapters.lightning.bolt11 import MAX_AMOUNT_MSAT, Bolt11Invalid, decode_bolt11
from cobot_meter.adapters.lightning.dev_node.state import DevInvoice
from cobot_meter.domain.invoices import InvoiceState

_LINK = "lightning:"


class PaymentFault(enum.StrEnum):
    """Why a payment did not happen; no money has moved in any of them."""

    INVOICE_INVALID = "invoice_invalid"
    INVOICE_UNKNOWN = "invoice_unknown"
    INVOICE_ALREADY_PAID = "invoice_already_paid"
    INVOICE_CANCELED = "invoice_canceled"
    AMOUNT_INVALID = "amount_invalid"
    AMOUNT_TOO_LOW = "amount_too_low"
    NODE_UNREACHABLE = "node_unreachable"


class PaymentRefused(Exception):
    """The payment did not happen; `fault` says why. The payer's error, not the service's."""

    def __init__(self, fault: PaymentFault, message: str) -> None:
        """`message` is one sentence for the payer."""
        super().__init__(message)
        self.fault = fault
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What a wallet has in hand after paying. The preimage is its receipt: 64 hex digits."""

    preimage: str
    payment_hash: str
    amount_msat: int
    fee_msat: int


def read_payment_hash(payment_request: str) -> str:
    """The hash the request names. Raises PaymentRefused when it is not an invoice."""
    try:
        return decode_bolt11(payment_request).payment_hash
    except Bolt11Invalid as fault:
        raise PaymentRefused(PaymentFault.INVOICE_INVALID, str(fault)) from fault


def bare(payment_request: str) -> str:
    """The invoice alone, without blanks or the `lightning:` of a link."""
    text = payment_request.strip()
    return text[len(_LINK) :].removeprefix("//") if text[: len(_LINK)].lower() == _LINK else text


def payment_of(entry: DevInvoice | None) -> Payment | None:
    """What the wallet has in hand of a paid invoice, however often it is asked; else None."""
    if entry is None or entry.invoice.state is not InvoiceState.SETTLED:
        return None
    return receipt(entry)


def receipt(entry: DevInvoice) -> Payment:
    """The payment of an invoice that is settled."""
    return Payment(
        preimage=entry.preimage,
        payment_hash=entry.invoice.payment_hash,
        amount_msat=entry.invoice.amount_paid_msat,
        fee_msat=0,
    )


def own(entry: DevInvoice | None, payment_request: str) -> DevInvoice:
    """The entry, when it is for this very request. Raises PaymentRefused."""
    if entry is None or entry.invoice.payment_request != payment_request.lower():
        raise PaymentRefused(
            PaymentFault.INVOICE_UNKNOWN, "this invoice is not the development node's"
        )
    return entry


def payable(entry: DevInvoice) -> DevInvoice:
    """The entry, when it can still be paid. Raises PaymentRefused."""
    if entry.invoice.state is InvoiceState.SETTLED:
        raise PaymentRefused(PaymentFault.INVOICE_ALREADY_PAID, "the invoice is already paid")
    if entry.invoice.state is InvoiceState.CANCELED:
        raise PaymentRefused(
            PaymentFault.INVOICE_CANCELED, "the invoice is canceled or has expired"
        )
    return entry


def amount_to_pay(entry: DevInvoice, amount_msat: int | None) -> int:
    """What the payer pays: the invoice's amount unless it offers more. Raises PaymentRefused."""
    asked_msat = entry.invoice.amount_msat
    if amount_msat is None:
        return asked_msat
    if not 0 < amount_msat <= MAX_AMOUNT_MSAT:
        raise PaymentRefused(
            PaymentFault.AMOUNT_INVALID, f"nobody can pay {amount_msat} msat: leave it out"
        )
    if amount_msat < asked_msat:
        raise PaymentRefused(
            PaymentFault.AMOUNT_TOO_LOW,
            f"the invoice asks for {asked_msat} msat, {amount_msat} msat is less",
        )
    return amount_msat
