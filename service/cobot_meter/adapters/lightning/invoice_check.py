"""Checks what a node answered against what we asked it for.

No invoice reaches a caller before this: a node that is confused, hijacked or on the wrong network
must cost us an error, not somebody a payment that settles nothing.
"""

from __future__ import annotations

import hashlib
import re

from cobot_meter.adapters.lightning.bolt11 import (
    MAX_AMOUNT_MSAT,
    MAX_MEMO_OCTETS,
    PREFIX_OF_NETWORK,
    Bolt11,
    Bolt11Invalid,
    decode_bolt11,
)
from cobot_meter.domain.errors import InvoiceRefused
from cobot_meter.domain.invoices import HoldOrder, Invoice, InvoiceOrder, InvoiceState, NodeIdentity

MAX_EXPIRY_S = 31_536_000  # lnd's limit, a year

_HASH = re.compile("[0-9a-f]{64}")


def check_order(order: InvoiceOrder | HoldOrder) -> None:
    """Return when lnd could make the invoice. Raises InvoiceRefused.

    What lnd itself would read as something else is caught here: an amount of 0 as *any amount*, an
    expiry of 0 as a day.
    """
    if isinstance(order, InvoiceOrder):
        if hashlib.sha256(order.preimage).hexdigest() != order.payment_hash:
            raise InvoiceRefused("the payment hash is not that of the preimage")
    elif not _HASH.fullmatch(order.payment_hash):
        raise InvoiceRefused(f"{order.payment_hash!r} is not a payment hash")
    if not 0 < order.amount_msat <= MAX_AMOUNT_MSAT:
        raise InvoiceRefused(f"an invoice cannot ask for {order.amount_msat} msat")
    if len(order.memo.encode()) > MAX_MEMO_OCTETS:
        raise InvoiceRefused(f"a memo has at most {MAX_MEMO_OCTETS} octets")
    if not 0 < order.expiry_s <= MAX_EXPIRY_S:
        raise InvoiceRefused(f"an invoice cannot expire after {order.expiry_s} s")


def check_invoice(
    order: InvoiceOrder | HoldOrder, invoice: Invoice, identity: NodeIdentity
) -> None:
    """Return when the invoice, made before, is the one ordered, by that node on its network.

    Hash, amount (msat), network and payee are compared, in the text a payer would read and in the
    fields we would store. How long it lives is its own truth, the same in both: the setting may
    have changed since it was made. Raises InvoiceRefused naming the first that differs.
    """
    said = _read(invoice.payment_request)
    _compare(order, said, identity)
    _demand("payment hash", invoice.payment_hash, order.payment_hash)
    _demand("amount in msat", invoice.amount_msat, order.amount_msat)
    _demand("time of creation", said.timestamp_s, invoice.created_at_s)
    _demand("expiry", said.expires_at_s, invoice.expires_at_s)


def read_new_invoice(
    order: InvoiceOrder | HoldOrder, payment_request: str, identity: NodeIdentity
) -> Invoice:
    """The OPEN invoice that the text is, made just now as ordered. Raises InvoiceRefused."""
    said = _read(payment_request)
    _compare(order, said, identity)
    _demand("expiry in seconds", said.expiry_s, order.expiry_s)
    return Invoice(
        payment_hash=order.payment_hash,
        payment_request=payment_request,
        amount_msat=order.amount_msat,
        state=InvoiceState.OPEN,
        created_at_s=said.timestamp_s,
        expires_at_s=said.expires_at_s,
    )


def _read(payment_request: str) -> Bolt11:
    try:
        return decode_bolt11(payment_request)
    except Bolt11Invalid as fault:
        raise InvoiceRefused(f"the node's invoice cannot be read: {fault}") from fault


def _compare(order: InvoiceOrder | HoldOrder, said: Bolt11, identity: NodeIdentity) -> None:
    _demand("payment hash", said.payment_hash, order.payment_hash)
    _demand("amount in msat", said.amount_msat, order.amount_msat)
    _demand("network prefix", said.prefix, PREFIX_OF_NETWORK.get(identity.network))
    _demand("payee", said.payee_pubkey, identity.pubkey)


def _demand(name: str, answer: object, ordered: object) -> None:
    if answer != ordered:
        raise InvoiceRefused(
            f"the node's invoice has the wrong {name}: {answer}, expected {ordered}"
        )
