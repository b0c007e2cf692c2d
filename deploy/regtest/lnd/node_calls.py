"""What a running lnd can be asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc

from deploy.regtest.errors import NodeFault
from deploy.regtest.lnd.connection import CALL_TIMEOUT_S, Services, connected, lnrpc, routerrpc
from deploy.regtest.lnd.readings import Balances, Channel, Payment
from deploy.regtest.waiting import until

PAY_TIMEOUT_S = 60
PAY_FEE_LIMIT_SAT = 1_000
OPEN_FEE_SAT_PER_VBYTE = 2
WRITTEN_WITHIN_S = 0.3
HASH_BYTES, FINAL_CLTV_DELTA = 32, 80
UNKNOWN_THERE = "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS"


class NodeCalls:
    """One lnd with its full macaroon. Every call raises NodeFault when lnd refuses it."""

    def __init__(self, name: str, *, rpc_address: str, peer_address: str, folder: Path) -> None:
        """`folder` is its --lnddir."""
        self.name = name
        self.rpc_address = rpc_address
        self.peer_address = peer_address
        self.folder = folder

    @property
    def tls_cert_path(self) -> Path:
        """Its certificate, in PEM."""
        return self.folder / "tls.cert"

    @property
    def admin_macaroon_path(self) -> Path:
        """The macaroon that may do everything."""
        return self.folder / "data/chain/bitcoin/regtest/admin.macaroon"

    def services(self) -> AbstractAsyncContextManager[Services]:
        """A connection of one's own, for what has no method here."""
        return connected(
            self.rpc_address,
            tls_cert_path=self.tls_cert_path,
            macaroon_path=self.admin_macaroon_path,
        )

    async def identity(self) -> str:
        """Its public key, 66 hex digits."""
        return str((await self._ask("GetInfo", lnrpc.GetInfoRequest())).identity_pubkey)

    async def synced(self, height: int = 0) -> bool:
        """Whether it has seen the whole chain, `height` blocks at least."""
        said = await self._ask("GetInfo", lnrpc.GetInfoRequest())
        return bool(said.synced_to_chain and said.block_height >= height)

    async def until_synced(self, height: int = 0) -> None:
        """Wait for that."""
        await until(f"{self.name} has {height} blocks", lambda: self.synced(height))

    async def quiet(self) -> bool:
        """Whether no payment is under way in any of its channels."""
        return not any(channel.htlcs for channel in await self.channels())

    async def new_address(self) -> str:
        """A bcrt1 address of its wallet."""
        return str((await self._ask("NewAddress", lnrpc.NewAddressRequest(type=0))).address)

    async def send_coins(self, address: str, amount_sat: int) -> None:
        """Pay on the chain; mine a block to confirm it."""
        request = lnrpc.SendCoinsRequest(
            addr=address, amount=amount_sat, sat_per_vbyte=OPEN_FEE_SAT_PER_VBYTE
        )
        await self._ask("SendCoins", request)

    async def connect_to(self, other: NodeCalls) -> None:
        """Make them peers; they may be already."""
        address = lnrpc.LightningAddress(pubkey=await other.identity(), host=other.peer_address)
        try:
            await self._ask("ConnectPeer", lnrpc.ConnectPeerRequest(addr=address, timeout=5))
        except NodeFault as fault:
            if "already connected" not in str(fault):
                raise

    async def open_channel(self, other: NodeCalls, *, local_sat: int, push_sat: int) -> None:
        """Open a channel of `local_sat`, of which the other side gets `push_sat`."""
        request = lnrpc.OpenChannelRequest(
            node_pubkey=bytes.fromhex(await other.identity()),
            local_funding_amount=local_sat,
            push_sat=push_sat,
            sat_per_vbyte=OPEN_FEE_SAT_PER_VBYTE,
        )
        await self._ask("OpenChannelSync", request)

    async def channels(self) -> list[Channel]:
        """Its open channels; those that wait for a block are not among them."""
        listed = (await self._ask("ListChannels", lnrpc.ListChannelsRequest())).channels
        return [
            Channel(
                channel_point=one.channel_point,
                peer=one.remote_pubkey,
                active=one.active,
                opened_by_us=one.initiator,
                capacity_sat=one.capacity,
                fee_sat_per_kw=one.fee_per_kw,
                htlcs=len(one.pending_htlcs),
            )
            for one in listed
        ]

    async def balances(self) -> Balances:
        """What it holds, on the chain and off it."""
        off = await self._ask("ChannelBalance", lnrpc.ChannelBalanceRequest())
        on = await self._ask("WalletBalance", lnrpc.WalletBalanceRequest())
        ours = [one.set_aside_msat for one in await self.channels() if one.opened_by_us]
        return Balances(
            local_msat=off.local_balance.msat,
            remote_msat=off.remote_balance.msat,
            unsettled_local_msat=off.unsettled_local_balance.msat,
            unsettled_remote_msat=off.unsettled_remote_balance.msat,
            set_aside_msat=sum(ours),
            wallet_sat=on.confirmed_balance,
        )

    async def forwarding_fees_msat(self) -> int:
        """What it has earned by routing, in all.

        Asked until two answers agree: what lnd is just writing down is in neither of its lists.
        """
        request = lnrpc.ForwardingHistoryRequest(start_time=1, num_max_events=50_000)
        said_msat = -1
        while True:
            events = (await self._ask("ForwardingHistory", request)).forwarding_events
            before_msat, said_msat = said_msat, sum(event.fee_msat for event in events)
            if said_msat == before_msat:
                return said_msat
            await asyncio.sleep(WRITTEN_WITHIN_S)

    async def add_invoice(self, amount_msat: int, *, expiry_s: int = 3_600) -> str:
        """A BOLT11 invoice; 0 leaves the amount to the payer."""
        invoice = lnrpc.Invoice(value_msat=amount_msat, expiry=expiry_s)
        return str((await self._ask("AddInvoice", invoice)).payment_request)

    async def bake_macaroon(self, permissions: Sequence[str]) -> bytes:
        """A macaroon for `entity:action`s, or for full method names as `uri:/lnrpc.…`."""
        pairs = (permission.split(":", 1) for permission in permissions)
        asked = [lnrpc.MacaroonPermission(entity=entity, action=what) for entity, what in pairs]
        request = lnrpc.BakeMacaroonRequest(permissions=asked)
        return bytes.fromhex((await self._ask("BakeMacaroon", request)).macaroon)

    async def pay(
        self,
        payment_request: str,
        *,
        amount_msat: int | None = None,
        fee_limit_sat: int = PAY_FEE_LIMIT_SAT,
        max_parts: int | None = None,
        part_msat_max: int | None = None,
    ) -> Payment:
        """Pay and wait for the end; `amount_msat` is for invoices that leave it open.

        `part_msat_max` makes parts no larger than that, so that several are needed.
        """
        request = routerrpc.SendPaymentRequest(
            payment_request=payment_request,
            amt_msat=amount_msat or 0,
            fee_limit_sat=fee_limit_sat,
            timeout_seconds=PAY_TIMEOUT_S,
            no_inflight_updates=True,
            max_parts=max_parts or 1,
            max_shard_size_msat=part_msat_max or 0,
        )
        return await self._sent(request)

    async def reaches_with_htlc(self, destination: str, amount_msat: int) -> bool:
        """Whether an HTLC that nobody awaits gets to this node (its public key), and is refused."""
        request = routerrpc.SendPaymentRequest(
            dest=bytes.fromhex(destination),
            amt_msat=amount_msat,
            payment_hash=os.urandom(HASH_BYTES),
            payment_addr=os.urandom(HASH_BYTES),
            final_cltv_delta=FINAL_CLTV_DELTA,
            fee_limit_sat=PAY_FEE_LIMIT_SAT,
            timeout_seconds=PAY_TIMEOUT_S,
            no_inflight_updates=True,
        )
        return (await self._sent(request)).failure == UNKNOWN_THERE

    async def forget_failures(self) -> None:
        """Let it try channels again that it avoids for minutes after a failure."""
        with contextlib.suppress(grpc.aio.AioRpcError):  # busy; whoever asks asks again
            async with self.services() as services:
                await services.router.ResetMissionControl(
                    routerrpc.ResetMissionControlRequest(), timeout=5, metadata=services.metadata
                )

    async def _sent(self, request: object) -> Payment:
        try:
            async with self.services() as services, asyncio.timeout(PAY_TIMEOUT_S + 10):
                return await _end_of(
                    services.router.SendPaymentV2(request, metadata=services.metadata)
                )
        except grpc.aio.AioRpcError as fault:
            return Payment(succeeded=False, failure=str(fault.details()))

    async def _ask(self, method: str, request: object) -> Any:  # noqa: ANN401 - protobuf's
        try:
            async with self.services() as services:
                call = getattr(services.lightning, method)
                return await call(
                    request,
                    timeout=CALL_TIMEOUT_S,
                    wait_for_ready=True,
                    metadata=services.metadata,
                )
        except (grpc.aio.AioRpcError, OSError) as fault:
            said = fault.details() if isinstance(fault, grpc.aio.AioRpcError) else fault
            raise NodeFault(f"{self.name} refused {method}: {said}") from fault


async def _end_of(updates: AsyncIterator[Any]) -> Payment:
    async for update in updates:
        return _payment(update)
    return Payment(succeeded=False, failure="lnd ended its answer early")


def _payment(said: Any) -> Payment:  # noqa: ANN401 - protobuf's
    succeeded = lnrpc.Payment.SUCCEEDED
    reason = lnrpc.PaymentFailureReason.Name(said.failure_reason)
    parts = [htlc for htlc in said.htlcs if htlc.status == lnrpc.HTLCAttempt.SUCCEEDED]
    return Payment(
        succeeded=said.status == succeeded,
        payment_hash=said.payment_hash,
        preimage=said.payment_preimage,
        amount_msat=said.value_msat,
        fee_msat=said.fee_msat,
        parts=len(parts),
        failure="" if said.status == succeeded else reason,
    )
