"""Signs the development node's invoices, and shows the faults that a test asks for.

Must not know: the states of invoices.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import coincurve

from cobot_meter.adapters.lightning.bolt11 import (
    BASIC_MPP_OPTIONAL,
    PAYMENT_SECRET_REQUIRED,
    PREFIX_OF_NETWORK,
    VAR_ONION_REQUIRED,
    Bolt11Terms,
    sign_bolt11,
)
from cobot_meter.domain.invoices import Invoice, InvoiceOrder


class BadInvoice(enum.StrEnum):
    """What is wrong with the invoices it answers; what it remembers stays sound."""

    NO = "no"
    AMOUNT = "amount"
    HASH = "hash"
    NETWORK = "network"
    PAYEE = "payee"
    EXPIRY = "expiry"
    CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFaults:
    """Switches stay until reset; counters are used up one by one.

    `down`: nothing answers, streams break. `refuses_adds`: no new invoices, for good.
    `lost_add_replies`, `lost_cancel_replies`: the effect happens, the answer does not come.
    `bad_invoice`: what is wrong with the invoices answered.
    `holds_expiry`: expired invoices stay OPEN, so that a late payment settles.
    `silent_streams`: streams stay open and say nothing. `lost_settle_events`: not sent to anybody.
    `doubled_events`: each is sent twice. `shuffled_replays`: in order of creation, as lnd does on
    SQL. `settle_index_gap`: how many indexes the next settlement skips.
    """

    down: bool = False
    refuses_adds: bool = False
    lost_add_replies: int = 0
    lost_cancel_replies: int = 0
    bad_invoice: BadInvoice = BadInvoice.NO
    holds_expiry: bool = False
    silent_streams: bool = False
    lost_settle_events: int = 0
    doubled_events: bool = False
    shuffled_replays: bool = False
    settle_index_gap: int = 0


NO_FAULTS = NodeFaults()


def change_faults(faults: NodeFaults, changes: Mapping[str, object]) -> NodeFaults:
    """The faults with the named ones changed, as JSON gives them. Raises ValueError naming one."""
    changed: dict[str, object] = {}
    defaults = {field.name: field.default for field in fields(NodeFaults)}
    for name, value in changes.items():
        default = defaults.get(name)
        if default is None:
            raise ValueError(f"there is no fault {name!r}; there are {sorted(defaults)}")
        if isinstance(default, BadInvoice):
            changed[name] = BadInvoice(str(value))
        elif type(value) is not type(default) or (isinstance(value, int) and value < 0):
            raise ValueError(f"the fault {name!r} takes a value such as {default!r}")
        else:
            changed[name] = value
    return replace(faults, **changed)  # type: ignore[arg-type] # checked above, one by one


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
    said = f"payment secret {order.payment_hash}".encode()
    secret = hmac.digest(key.secret, said, hashlib.sha256)
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
