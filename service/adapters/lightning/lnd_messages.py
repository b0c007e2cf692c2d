"""lnd's messages as our values. Must not know: connections."""

from __future__ import annotations

from typing import Any

from service.adapters.lightning.lnd_stubs import lnrpc
from service.domain.invoices import HeldInvoice, Invoice, InvoiceState, NodeIdentity

STATES = {
    lnrpc.Invoice.OPEN: InvoiceState.OPEN,
    lnrpc.Invoice.SETTLED: InvoiceState.SETTLED,
    lnrpc.Invoice.CANCELED: InvoiceState.CANCELED,
    lnrpc.Invoice.ACCEPTED: InvoiceState.ACCEPTED,
}
Message = Any  # protobuf's messages ship no types


def invoice_of(said: Message) -> Invoice:
    """The invoice in lnrpc.Invoice. Parts that wait for the others leave it OPEN."""
    state = STATES[said.state]
    is_settled = state is InvoiceState.SETTLED
    return Invoice(
        payment_hash=said.r_hash.hex(),
        payment_request=said.payment_request,
        amount_msat=said.value_msat,
        state=state,
        created_at_s=said.creation_date,
        expires_at_s=said.creation_date + said.expiry,
        amount_paid_msat=said.amt_paid_msat if is_settled else 0,
        settle_index=said.settle_index if is_settled else 0,
    )


def held_invoice_of(said: Message) -> HeldInvoice:
    """The same with what the payer has locked, while it is ACCEPTED."""
    invoice = invoice_of(said)
    parts = [part for part in said.htlcs if part.state == lnrpc.InvoiceHTLCState.ACCEPTED]
    if invoice.state is not InvoiceState.ACCEPTED or not parts:
        return HeldInvoice(invoice=invoice)
    return HeldInvoice(
        invoice=invoice,
        held_msat=sum(part.amt_msat for part in parts),
        held_until_height=min(part.expiry_height for part in parts),
    )


def identity_of(info: Message) -> NodeIdentity:
    """Who lnrpc.GetInfoResponse says it is; a network of `` when it names no chain."""
    network = info.chains[0].network if info.chains else ""
    return NodeIdentity(pubkey=info.identity_pubkey, network=network, alias=info.alias)
