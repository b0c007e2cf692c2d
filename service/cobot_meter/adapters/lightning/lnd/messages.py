"""lnd's messages as our values. Must not know: connections."""

from __future__ import annotations

from typing import Any

from cobot_meter.adapters.lightning.lnd.stubs import lnrpc
from cobot_meter.domain import outside
from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import HeldInvoice, Invoice, InvoiceState, NodeIdentity
from cobot_meter.domain.money import AMOUNT_MAX

STATES = {
    lnrpc.Invoice.OPEN: InvoiceState.OPEN,
    lnrpc.Invoice.SETTLED: InvoiceState.SETTLED,
    lnrpc.Invoice.CANCELED: InvoiceState.CANCELED,
    lnrpc.Invoice.ACCEPTED: InvoiceState.ACCEPTED,
}
TIME_MAX_S = outside.TIME_MAX_MS // 1_000
Message = Any  # protobuf's messages ship no types


def invoice_of(said: Message) -> Invoice:
    """The invoice in lnrpc.Invoice. Parts that wait for the others leave it OPEN.

    Raises NodeUnavailable for one that says what cannot be: nothing of it can be booked.
    """
    state = STATES.get(said.state)
    if state is None:
        message = (
            f"the node says a state of an invoice that this service does not know: {said.state}"
        )
        raise NodeUnavailable(message)
    is_settled = state is InvoiceState.SETTLED
    created_at_s = _count("creation_date", said.creation_date, most=TIME_MAX_S)
    expiry_s = _count("expiry", said.expiry, most=TIME_MAX_S)
    return Invoice(
        payment_hash=said.r_hash.hex(),
        payment_request=outside.text(said.payment_request),
        amount_msat=_count("value_msat", said.value_msat),
        state=state,
        created_at_s=created_at_s,
        expires_at_s=min(created_at_s + expiry_s, TIME_MAX_S),
        amount_paid_msat=_count("amt_paid_msat", said.amt_paid_msat) if is_settled else 0,
        settle_index=_count("settle_index", said.settle_index) if is_settled else 0,
    )


def _count(name: str, said: int, *, most: int = AMOUNT_MAX) -> int:
    let_in = outside.count(said, most=most)
    if let_in is None:
        message = f"the node says a {name} of {said}, which is not from 0 to {most}"
        raise NodeUnavailable(message)
    return let_in


def held_invoice_of(said: Message) -> HeldInvoice:
    """The hold invoice in lnrpc.Invoice.

    While it is ACCEPTED, with the msat of the HTLCs that are locked and the lowest height at which
    one of them expires; otherwise both are 0. Raises NodeUnavailable for what cannot be.
    """
    invoice = invoice_of(said)
    parts = [part for part in said.htlcs if part.state == lnrpc.InvoiceHTLCState.ACCEPTED]
    if invoice.state is not InvoiceState.ACCEPTED or not parts:
        return HeldInvoice(invoice=invoice)
    return HeldInvoice(
        invoice=invoice,
        held_msat=_count("amt_msat", sum(part.amt_msat for part in parts)),
        held_until_height=min(part.expiry_height for part in parts),
    )


def identity_of(info: Message) -> NodeIdentity:
    """Who lnrpc.GetInfoResponse says it is; a network of `` when it names no chain."""
    network = info.chains[0].network if info.chains else ""
    return NodeIdentity(
        pubkey=outside.maybe_text(info.identity_pubkey),
        network=outside.maybe_text(network),
        alias=outside.maybe_text(info.alias),
    )
