"""The calls of the fake LND. Must not know: TLS, ports, macaroons."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import coincurve
import grpc

from cobot_meter.adapters.lightning.lnd.stubs import (
    invoices_services,
    invoicesrpc,
    lightning_services,
    lnrpc,
    router_services,
    signer_services,
    state_services,
    staterpc,
)
from tests.fakes.lnd.lnd_memory import HEIGHT, Kept, LndMemory, Message, SaidNo, Untyped

Context = Any


@dataclass
class LndFaults:
    """What a real node cannot be made to do on demand."""

    lost_add_replies: int = 0  # made, and the answer never comes
    wrong: str = ""  # of the next invoices: amount, hash, payee, network, expiry, text
    add_error: tuple[str, str] | None = None  # code and text instead of an invoice
    silent_streams: bool = False
    doubled_events: bool = False
    version: str = "0.21.2-beta commit=v0.21.2-beta"
    state: int = staterpc.SERVER_ACTIVE
    synced: bool = True
    network: str = "regtest"
    active_channels: int = 1
    inbound_msat: int = 8_000_000_000


async def abort(context: Context, no: SaidNo) -> None:
    """End the call as lnd does."""
    await context.abort(grpc.StatusCode[no.code], no.text)


def answering(method: Untyped) -> Untyped:
    """Turns SaidNo into lnd's error."""

    async def answer(self: Untyped, request: Message, context: Context) -> Message:
        try:
            return await method(self, request, context)
        except SaidNo as no:
            await abort(context, no)

    return answer


class LightningCalls(lightning_services.LightningServicer):  # type: ignore[misc]
    def __init__(self, memory: LndMemory, faults: LndFaults) -> None:
        self.memory = memory
        self.faults = faults

    @answering
    async def GetInfo(self, request: Message, context: Context) -> Message:  # noqa: N802
        return lnrpc.GetInfoResponse(
            identity_pubkey=self.memory.pubkey,
            alias="fake",
            version=self.faults.version,
            synced_to_chain=self.faults.synced,
            block_height=HEIGHT,
            num_active_channels=self.faults.active_channels,
            chains=[lnrpc.Chain(chain="bitcoin", network=self.faults.network)],
        )

    @answering
    async def ChannelBalance(self, request: Message, context: Context) -> Message:  # noqa: N802
        inbound = lnrpc.Amount(msat=self.faults.inbound_msat)
        return lnrpc.ChannelBalanceResponse(remote_balance=inbound)

    @answering
    async def AddInvoice(self, request: Message, context: Context) -> Message:  # noqa: N802
        if self.faults.add_error:
            code, text = self.faults.add_error
            raise SaidNo(text, code=code)
        kept = self.memory.add(request, preimage=request.r_preimage)
        if self.faults.lost_add_replies:
            self.faults.lost_add_replies -= 1
            await asyncio.Event().wait()
        return lnrpc.AddInvoiceResponse(
            r_hash=kept.payment_hash,
            payment_request=spoiled(self.memory, kept, self.faults.wrong),
            add_index=kept.add_index,
        )

    @answering
    async def ListInvoices(self, request: Message, context: Context) -> Message:  # noqa: N802
        kept = [
            one
            for one in self.memory.invoices.values()
            if one.add_index > request.index_offset
            and one.created_at_s >= request.creation_date_start
        ]
        page = kept[: request.num_max_invoices or 100]
        for one in page:
            self.memory.find(one.payment_hash)
        return lnrpc.ListInvoiceResponse(
            invoices=[one.told() for one in page],
            last_index_offset=page[-1].add_index if page else 0,
        )

    async def SubscribeInvoices(  # noqa: N802
        self, request: Message, context: Context
    ) -> AsyncIterator[Message]:
        listener: asyncio.Queue[Message] = asyncio.Queue()
        self.memory.listeners.add(listener)
        try:
            if request.settle_index:
                for kept in self.memory.settled_above(request.settle_index):
                    yield kept.told()
                    if self.faults.doubled_events:
                        yield kept.told()
            while True:
                event = await listener.get()
                stale = event.settle_index and event.settle_index <= request.settle_index
                if self.faults.silent_streams or stale:
                    continue
                if event.state in {lnrpc.Invoice.OPEN, lnrpc.Invoice.SETTLED}:
                    yield event
        finally:
            self.memory.listeners.discard(listener)

    @answering
    async def SendCoins(self, request: Message, context: Context) -> Message:  # noqa: N802
        raise SaidNo("decoded address is of unknown format")

    @answering
    async def OpenChannelSync(self, request: Message, context: Context) -> Message:  # noqa: N802
        raise SaidNo("NodePubkey is not set")

    @answering
    async def BakeMacaroon(self, request: Message, context: Context) -> Message:  # noqa: N802
        raise SaidNo("permission list cannot be empty. specify at least one action/entity pair.")


class InvoiceCalls(invoices_services.InvoicesServicer):  # type: ignore[misc]
    def __init__(self, memory: LndMemory, faults: LndFaults) -> None:
        self.memory = memory
        self.faults = faults

    @answering
    async def LookupInvoiceV2(self, request: Message, context: Context) -> Message:  # noqa: N802
        return self.memory.find(request.payment_hash).told()

    @answering
    async def CancelInvoice(self, request: Message, context: Context) -> Message:  # noqa: N802
        if len(request.payment_hash) != 32:
            raise SaidNo(f"invalid hash length of {len(request.payment_hash)}, want 32")
        try:
            kept = self.memory.find(request.payment_hash)
        except SaidNo as no:
            raise SaidNo(no.text) from no  # here lnd gives no code of its own
        self.memory.cancel(kept)
        return invoicesrpc.CancelInvoiceResp()

    @answering
    async def AddHoldInvoice(self, request: Message, context: Context) -> Message:  # noqa: N802
        kept = self.memory.add(request, preimage=b"", is_hold=True)
        return invoicesrpc.AddHoldInvoiceResp(
            payment_request=spoiled(self.memory, kept, self.faults.wrong)
        )

    @answering
    async def SettleInvoice(self, request: Message, context: Context) -> Message:  # noqa: N802
        self.memory.show_preimage(request.preimage)
        return invoicesrpc.SettleInvoiceResp()

    async def SubscribeSingleInvoice(  # noqa: N802
        self, request: Message, context: Context
    ) -> AsyncIterator[Message]:
        if len(request.r_hash) != 32:
            await abort(context, SaidNo("invalid hash length of 0, want 32"))
        listener: asyncio.Queue[Message] = asyncio.Queue()
        self.memory.listeners.add(listener)
        try:
            if request.r_hash in self.memory.invoices:
                yield self.memory.find(request.r_hash).told()
            while True:
                event = await listener.get()
                if event.r_hash == request.r_hash and not self.faults.silent_streams:
                    yield event
        finally:
            self.memory.listeners.discard(listener)


class StateCalls(state_services.StateServicer):  # type: ignore[misc]
    def __init__(self, faults: LndFaults) -> None:
        self.faults = faults

    @answering
    async def GetState(self, request: Message, context: Context) -> Message:  # noqa: N802
        return staterpc.GetStateResponse(state=self.faults.state)


class RouterCalls(router_services.RouterServicer):  # type: ignore[misc]
    async def SendPaymentV2(  # noqa: N802
        self, request: Message, context: Context
    ) -> AsyncIterator[Message]:
        await abort(context, SaidNo("time preference out of range"))
        yield

    @answering
    async def SendToRouteV2(self, request: Message, context: Context) -> Message:  # noqa: N802
        raise SaidNo("unable to send, no routes provided")


class SignerCalls(signer_services.SignerServicer):  # type: ignore[misc]
    @answering
    async def SignOutputRaw(self, request: Message, context: Context) -> Message:  # noqa: N802
        raise SaidNo("a transaction to sign MUST be passed in")


def spoiled(memory: LndMemory, kept: Kept, wrong: str) -> str:
    """The invoice's text, signed by the node, and wrong in one respect."""
    if wrong == "text":
        last = "p" if kept.payment_request.endswith("q") else "q"
        return kept.payment_request[:-1] + last
    others: dict[str, dict[str, Any]] = {
        "amount": {"amount_msat": kept.value_msat + 1000},
        "hash": {"payment_hash": secrets.token_hex(32)},
        "payee": {"key": coincurve.PrivateKey()},
        "network": {"prefix": "bc"},
        "expiry": {"expiry_s": kept.expiry_s + 1},
    }
    return memory.sign(kept, **others[wrong]) if wrong else kept.payment_request
