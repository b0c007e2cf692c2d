"""The LightningNode over lnd's gRPC, with its stream of settled invoices.

The first identity that the node gives binds this adapter: a node with another one behind the same
address answers nothing here any more, since what it has never heard of proves nothing. Must not
know: escrows, callers or the ledger.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from cobot_meter.adapters.lightning.invoice_check import (
    check_invoice,
    check_order,
    read_new_invoice,
)
from cobot_meter.adapters.lightning.lnd.access import LndAccess, LndTimeouts
from cobot_meter.adapters.lightning.lnd.connection import LndConnection
from cobot_meter.adapters.lightning.lnd.errors import LndFault, LndVerdict
from cobot_meter.adapters.lightning.lnd.messages import Message, identity_of, invoice_of
from cobot_meter.adapters.lightning.lnd.stubs import invoicesrpc, lnrpc, staterpc
from cobot_meter.adapters.lightning.lnd.watched_stream import WatchedNode, WatchedStream
from cobot_meter.domain.errors import InvoiceRefused, NodeUnavailable
from cobot_meter.domain.invoices import (
    HoldOrder,
    Invoice,
    InvoiceOrder,
    InvoiceState,
    ListedInvoice,
    NodeIdentity,
)


class LndSettleStream:
    """Listening begins now. Ends only by raising NodeUnavailable; then open another."""

    def __init__(self, node: WatchedNode, *, since_settle_index: int) -> None:
        """`add_index` stays 0: no old invoices are told again, only settlements."""
        request = lnrpc.InvoiceSubscription(settle_index=since_settle_index, add_index=0)
        self._events = WatchedStream(
            node, "Lightning.SubscribeInvoices", request, tells_of_made=True
        )

    @property
    def heard(self) -> int:
        """How many events came, those that are no settlements among them."""
        return self._events.heard

    def __aiter__(self) -> LndSettleStream:
        return self

    async def __anext__(self) -> Invoice:
        """The next settled invoice; waits for one. Raises NodeUnavailable."""
        while True:
            invoice = invoice_of(await self._events.next_event())
            if invoice.state is InvoiceState.SETTLED:
                return invoice


DEFAULT_TIMEOUTS = LndTimeouts()
# After these an invoice may have been made although we were not told.
MAYBE_MADE = frozenset({LndVerdict.UNKNOWN, LndVerdict.UNREACHABLE, LndVerdict.EXISTS})
LISTED_MAX = 500  # well under the largest message: a page is a few hundred KB
ENDED = frozenset({LndVerdict.SETTLED, LndVerdict.CANCELED})


class LndNode:
    """A LightningNode (service/cobot_meter/ports/lightning_node.py)."""

    def __init__(self, connection: LndConnection, *, listed_max: int = LISTED_MAX) -> None:
        """`open_lnd_node` makes one; it lists `listed_max` invoices at a time."""
        self.connection = connection
        self._listed_max = listed_max
        self._bound: NodeIdentity | None = None
        self._verified_generation = 0
        self._made = 0

    # --- who it is ---

    async def identity(self) -> NodeIdentity:
        """Who the node says it is now; the first answer binds every other method."""
        said = identity_of(await self._get_info())
        if self._bound is None:
            self._bound = said
        return said

    def bind(self, identity: NodeIdentity) -> None:
        """Work with the node of this public key from now on.

        Whoever is there is asked for its identity again before anything else.
        """
        self._bound = identity
        self._verified_generation = 0

    async def verified_identity(self) -> NodeIdentity:
        """The bound identity, which the node behind these files has. Raises NodeUnavailable."""
        if self._bound is None or self._verified_generation != self.connection.generation:
            return await self.verify_identity()
        return self._bound

    async def verify_identity(self) -> NodeIdentity:
        """Ask the node who it is. Raises NodeUnavailable when it is not the one of before."""
        generation = self.connection.generation
        said = await self.identity()
        bound = self._bound or said
        if said.pubkey != bound.pubkey:
            raise NodeUnavailable(
                f"the node at {self.connection.access.address} is now {said.pubkey}, and this"
                f" service works with {bound.pubkey}: bring that one back, or adopt the new one"
            )
        if said.network != self.connection.access.network:
            raise NodeUnavailable(
                f"the node at {self.connection.access.address} is on {said.network}, and this"
                f" service is set to {self.connection.access.network}"
            )
        self._verified_generation = generation
        return bound

    async def ping(self) -> None:
        """Return when lnd serves, follows its chain and is the node of before."""
        state = await self.connection.call("State.GetState", staterpc.GetStateRequest())
        if state.state != staterpc.SERVER_ACTIVE:
            name = staterpc.WalletState.Name(state.state)
            raise NodeUnavailable(f"lnd is not ready, it says {name}")
        await self.verify_identity()
        if not (await self._get_info()).synced_to_chain:
            raise NodeUnavailable("lnd has not caught up with its chain")

    async def receivable_msat(self) -> int | None:
        """Of all channels together; None where the macaroon may not ask."""
        await self.verified_identity()
        try:
            said = await self.connection.call(
                "Lightning.ChannelBalance", lnrpc.ChannelBalanceRequest()
            )
        except LndFault:
            return None
        return int(said.remote_balance.msat)

    # --- invoices ---

    async def add_invoice(self, order: InvoiceOrder) -> Invoice:
        """`Lightning.AddInvoice`: the checked invoice, or the one that this hash has already.

        One call when nothing goes wrong. Raises InvoiceRefused for good, and NodeUnavailable while
        nobody knows whether it was made.
        """
        check_order(order)
        request = lnrpc.Invoice(
            r_preimage=order.preimage,
            value_msat=order.amount_msat,
            memo=order.memo,
            expiry=order.expiry_s,
        )
        return await self.make("Lightning.AddInvoice", request, order)

    async def make(self, name: str, request: Message, order: InvoiceOrder | HoldOrder) -> Invoice:
        """The checked invoice that this call makes, or made when it was made before."""
        identity = await self.verified_identity()
        try:
            answer = await self.connection.call(
                name, request, timeout_s=self.connection.timeouts.add_s
            )
        except LndFault as fault:
            if fault.verdict is LndVerdict.REFUSED:
                raise fault.refused() from fault
            if fault.verdict not in MAYBE_MADE:
                raise
            return await self._adopt(order, identity, fault)
        self._made += 1
        try:
            return read_new_invoice(order, answer.payment_request, identity)
        except InvoiceRefused:
            await self.verify_identity()  # another node's invoice is no refusal of ours
            raise

    async def look_up(self, payment_hash: str) -> Invoice | None:
        """`Invoices.LookupInvoiceV2`: the invoice as it stands; None for a hash never heard of.

        Raises NodeUnavailable, also when another node than the bound one has never heard of it.
        """
        said = await self.find(payment_hash)
        return None if said is None else invoice_of(said)

    async def find(self, payment_hash: str) -> Message | None:
        """The lnrpc.Invoice of the hash. Raises NodeUnavailable."""
        await self.verified_identity()
        request = invoicesrpc.LookupInvoiceMsg(payment_hash=bytes.fromhex(payment_hash))
        try:
            said = await self.connection.call("Invoices.LookupInvoiceV2", request)
        except LndFault as fault:
            if fault.verdict is not LndVerdict.NOT_FOUND:
                raise
            await self.verify_identity()  # only our own node's "never heard of it" counts
            return None
        if said.r_hash.hex() != payment_hash:
            raise NodeUnavailable(f"lnd answered {said.r_hash.hex()} when asked for {payment_hash}")
        return said

    async def cancel_invoice(self, payment_hash: str) -> Invoice:
        """`Invoices.CancelInvoice`, then a look-up of what holds: a payer may have been faster.

        CANCELED or SETTLED. Raises InvoiceRefused when lnd does not know the invoice.
        """
        await self.verified_identity()
        request = invoicesrpc.CancelInvoiceMsg(payment_hash=bytes.fromhex(payment_hash))
        try:
            await self.connection.call("Invoices.CancelInvoice", request)
        except LndFault as fault:
            if fault.verdict not in ENDED | {LndVerdict.NOT_FOUND}:
                raise
        return await self.known(payment_hash)

    async def known(self, payment_hash: str) -> Invoice:
        """The invoice, which must be there. Raises InvoiceRefused when it is not."""
        invoice = await self.look_up(payment_hash)
        if invoice is None:
            raise InvoiceRefused(f"lnd knows no invoice {payment_hash}")
        return invoice

    def settled_invoices(self, since_settle_index: int) -> LndSettleStream:
        """`Lightning.SubscribeInvoices`: SETTLED invoices from now on, after those above the index.

        Listening begins now. A stream that breaks or falls silent ends with NodeUnavailable.
        """
        return LndSettleStream(self, since_settle_index=since_settle_index)

    async def listed_invoices(self, since_s: int) -> AsyncIterator[ListedInvoice]:
        """`Lightning.ListInvoices`: every invoice made at this Unix second or later, with its memo.

        Pages by lnd's own add index, so that none is skipped between two. Raises NodeUnavailable.
        """
        await self.verified_identity()
        offset = 0
        while True:
            request = lnrpc.ListInvoiceRequest(
                index_offset=offset, num_max_invoices=self._listed_max, creation_date_start=since_s
            )
            page = await self.connection.call(
                "Lightning.ListInvoices", request, timeout_s=self.connection.timeouts.add_s
            )
            for said in page.invoices:
                if said.creation_date >= since_s:
                    yield ListedInvoice(invoice=invoice_of(said), memo=said.memo)
            if not page.invoices or page.last_index_offset <= offset:
                return
            offset = page.last_index_offset

    @property
    def made(self) -> int:
        """How many invoices this adapter made: each is an event that every stream should hear."""
        return self._made

    # --- inside ---

    async def _get_info(self) -> Message:
        return await self.connection.call("Lightning.GetInfo", lnrpc.GetInfoRequest())

    async def _adopt(
        self, order: InvoiceOrder | HoldOrder, identity: NodeIdentity, fault: LndFault
    ) -> Invoice:
        found = await self.find(order.payment_hash)
        if found is None:
            raise fault
        if (found.value_msat, found.memo) != (order.amount_msat, order.memo):
            raise InvoiceRefused("an invoice of this hash exists with another amount or memo")
        invoice = invoice_of(found)
        check_invoice(order, invoice, identity)
        return invoice


@contextlib.asynccontextmanager
async def open_lnd_node(
    access: LndAccess, *, timeouts: LndTimeouts = DEFAULT_TIMEOUTS
) -> AsyncIterator[LndNode]:
    """The node, not yet asked anything; its channels are closed at the end.

    Raises SettingInvalid when the certificate or the macaroon cannot be read.
    """
    connection = LndConnection(access, timeouts)
    try:
        yield LndNode(connection)
    finally:
        await connection.close()
