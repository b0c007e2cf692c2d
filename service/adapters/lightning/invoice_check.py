"""Checks what a node answered against what we asked it for. Must not know: which node, or why.

No invoice reaches a caller before this: a node that is confused, hijacked or on the wrong network
must cost us an error, not somebody a payment that settles nothing.
"""

from __future__ import annotations

from service.adapters.lightning.bolt11 import PREFIX_OF_NETWORK, Bolt11Invalid
from service.adapters.lightning.bolt11_reading import decode_bolt11
from service.domain.errors import InvoiceRefused
from service.domain.invoices import Invoice, InvoiceOrder, NodeIdentity


def check_invoice(order: InvoiceOrder, invoice: Invoice, identity: NodeIdentity) -> None:
    """Return when the invoice is the one ordered, made by that node on its network.

    Hash, amount (msat), network, payee and expiry are compared, in the text a payer would read and
    in the fields we would store. Raises InvoiceRefused naming the first that differs.
    """
    try:
        said = decode_bolt11(invoice.payment_request)
    except Bolt11Invalid as fault:
        raise InvoiceRefused(f"the node's invoice cannot be read: {fault}") from fault
    expiry_s = invoice.expires_at_s - invoice.created_at_s
    for name, ordered, answers in (
        ("payment hash", order.payment_hash, (said.payment_hash, invoice.payment_hash)),
        ("amount in msat", order.amount_msat, (said.amount_msat, invoice.amount_msat)),
        ("network prefix", PREFIX_OF_NETWORK.get(identity.network), (said.prefix,)),
        ("payee", identity.pubkey, (said.payee_pubkey,)),
        ("expiry in seconds", order.expiry_s, (said.expiry_s, expiry_s)),
        ("end of life", invoice.expires_at_s, (said.expires_at_s,)),
    ):
        for answer in answers:
            if answer != ordered:
                raise InvoiceRefused(
                    f"the node's invoice has the wrong {name}: {answer}, expected {ordered}"
                )
