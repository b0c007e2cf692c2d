"""Signs the development node's invoices, and spoils them on demand. Must not know: their states."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import coincurve

from service.adapters.lightning.bolt11 import (
    BASIC_MPP_OPTIONAL,
    PAYMENT_SECRET_REQUIRED,
    PREFIX_OF_NETWORK,
    VAR_ONION_REQUIRED,
    Bolt11Terms,
)
from service.adapters.lightning.bolt11_writing import sign_bolt11
from service.adapters.lightning.dev_node_faults import BadInvoice
from service.domain.invoices import Invoice, InvoiceOrder

NETWORK = "regtest"
PREFIX = PREFIX_OF_NETWORK[NETWORK]
MIN_FINAL_CLTV = 80  # lnd's default
FEATURES = frozenset({VAR_ONION_REQUIRED, PAYMENT_SECRET_REQUIRED, BASIC_MPP_OPTIONAL})


def sign_order(key: coincurve.PrivateKey, order: InvoiceOrder, created_at_s: int) -> str:
    """The payment request such as lnd would make; never one of mainnet."""
    return sign_bolt11(_terms(key, order, created_at_s), key)


def spoil(
    key: coincurve.PrivateKey, order: InvoiceOrder, invoice: Invoice, wrong: BadInvoice
) -> Invoice:
    """The invoice with a payment request that is wrong in the one way asked for."""
    terms = _terms(key, order, invoice.created_at_s)
    match wrong:
        case BadInvoice.NO:
            return invoice
        case BadInvoice.CHECKSUM:
            last = "p" if invoice.payment_request.endswith("q") else "q"
            return replace(invoice, payment_request=invoice.payment_request[:-1] + last)
        case BadInvoice.PAYEE:
            stranger = coincurve.PrivateKey(hashlib.sha256(key.secret).digest())
            return replace(invoice, payment_request=sign_bolt11(terms, stranger))
        case BadInvoice.AMOUNT:
            terms = replace(terms, amount_msat=order.amount_msat + 1000)
        case BadInvoice.HASH:
            terms = replace(terms, payment_hash=terms.payment_secret)
        case BadInvoice.NETWORK:
            terms = replace(terms, prefix="tb")
        case BadInvoice.EXPIRY:
            terms = replace(terms, expiry_s=order.expiry_s + 1)
    return replace(invoice, payment_request=sign_bolt11(terms, key))


def _terms(key: coincurve.PrivateKey, order: InvoiceOrder, created_at_s: int) -> Bolt11Terms:
    """The payment secret is derived from the key, so that the same invoice is the same text."""
    secret = hmac.digest(key.secret, f"payment secret {order.payment_hash}".encode(), "sha256")
    return Bolt11Terms(
        prefix=PREFIX,
        payment_hash=order.payment_hash,
        payment_secret=secret.hex(),
        timestamp_s=created_at_s,
        amount_msat=order.amount_msat,
        description=order.memo,
        expiry_s=order.expiry_s,
        min_final_cltv=MIN_FINAL_CLTV,
        features=FEATURES,
    )
