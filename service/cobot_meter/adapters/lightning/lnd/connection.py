"""Two long-lived gRPC channels to one node: one for calls, one for streams.

A stream that is stuck cannot starve the calls. The files are read again when calls fail, and when
they have changed the channels are opened anew. Must not know: invoices.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from cobot_meter.adapters.lightning.lnd.access import (
    LndAccess,
    LndSecrets,
    LndTimeouts,
    read_secrets,
)
from cobot_meter.adapters.lightning.lnd.errors import LndFault, LndVerdict
from cobot_meter.adapters.lightning.lnd.stubs import (
    invoices_services,
    lightning_services,
    router_services,
    signer_services,
    state_services,
)
from cobot_meter.domain.errors import SettingInvalid

MAX_MESSAGE_OCTETS = 64 * 1024 * 1024  # gRPC's own limit of 4 MB breaks on invoices with many parts
SERVICES = {
    "Lightning": lightning_services.LightningStub,
    "Invoices": invoices_services.InvoicesStub,
    "State": state_services.StateStub,
    "Router": router_services.RouterStub,
    "Signer": signer_services.SignerStub,
}
CURABLE = frozenset({LndVerdict.UNREACHABLE, LndVerdict.MACAROON_INVALID, LndVerdict.DENIED})
Message = Any  # protobuf's messages ship no types


class LndLink:
    """Both connections of one reading of the files, and the metadata that every call carries."""

    def __init__(self, address: str, secrets: LndSecrets, timeouts: LndTimeouts) -> None:
        """Nothing is sent before the first call."""
        # Metadata rather than call credentials: those cross to another thread, 0.35 ms a call.
        trust = grpc.ssl_channel_credentials(secrets.certificate)
        options = channel_options(timeouts)
        self.secrets = secrets
        self.metadata = (("macaroon", secrets.macaroon.hex()),)
        self._channels = [grpc.aio.secure_channel(address, trust, options) for _ in range(2)]
        self.calls, self.streams = (
            {name: stub(channel) for name, stub in SERVICES.items()} for channel in self._channels
        )

    async def close(self) -> None:
        """End every call on it at once."""
        for channel in self._channels:
            await channel.close()


class LndConnection:
    """Calls and streams by name (`Lightning.GetInfo`), whose errors are LndFault."""

    def __init__(self, access: LndAccess, timeouts: LndTimeouts) -> None:
        """Reads the files, inside a running event loop. Raises SettingInvalid."""
        self.access = access
        self.timeouts = timeouts
        self._link = LndLink(access.address, read_secrets(access), timeouts)
        self.generation = 1  # grows whenever other files are in use

    @property
    def secrets(self) -> LndSecrets:
        """The files in use."""
        return self._link.secrets

    async def call(self, name: str, request: Message, *, timeout_s: float | None = None) -> Message:
        """One answer, within the deadline. Repeated once when the files have changed meanwhile."""
        link, timeout_s = self._link, timeout_s or self.timeouts.call_s
        try:
            return await _ask(link, name, request, timeout_s)
        except LndFault as fault:
            if fault.verdict not in CURABLE or not await self._renewed(link):
                raise
        return await _ask(self._link, name, request, timeout_s)

    def stream(self, name: str, request: Message, *, timeout_s: float | None = None) -> LndStream:
        """Begin to listen now."""
        link = self._link
        service, _, method = name.partition(".")
        begin = getattr(link.streams[service], method)
        return LndStream(name, begin(request, timeout=timeout_s, metadata=link.metadata))

    async def close(self) -> None:
        """Let go of both connections."""
        await self._link.close()

    async def _renewed(self, failed: LndLink) -> bool:
        """Whether there is a link other than the failed one: the files are read again."""
        if self._link is not failed:
            return True
        try:
            secrets = read_secrets(self.access)
        except SettingInvalid:  # being written just now: the next call looks again
            return False
        if secrets == failed.secrets:
            return False
        self._link = LndLink(self.access.address, secrets, self.timeouts)
        self.generation += 1
        await failed.close()
        return True


class LndStream:
    """The messages of one streaming call."""

    def __init__(self, name: str, call: Any) -> None:  # noqa: ANN401 - grpc ships no types
        """`call` is grpc.aio's, already begun."""
        self._name = name
        self._call = call

    async def read(self) -> Message:
        """The next message. Raises LndFault when there is none, and CancelledError only for us."""
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as fault:
            raise _fault_of(self._name, fault) from None
        except asyncio.CancelledError:
            if _is_being_cancelled():
                raise
            raise LndFault(self._name, code="CANCELLED", details="the stream was cut") from None
        if message is grpc.aio.EOF:
            raise LndFault(self._name, code="OK", details="the stream has ended")
        return message

    def cut(self) -> None:
        """End it; a `read` under way raises LndFault."""
        self._call.cancel()


async def _ask(link: LndLink, name: str, request: Message, timeout_s: float) -> Message:
    service, _, method = name.partition(".")
    ask = getattr(link.calls[service], method)
    try:
        return await ask(request, timeout=timeout_s, metadata=link.metadata)
    except grpc.aio.AioRpcError as fault:
        raise _fault_of(name, fault) from None
    except grpc.aio.UsageError as fault:  # closed between two awaits
        raise LndFault(name, code="CANCELLED", details=str(fault)) from None
    except asyncio.CancelledError:
        if _is_being_cancelled():
            raise
        raise LndFault(name, code="CANCELLED", details="the channel was closed") from None


def _fault_of(name: str, fault: grpc.aio.AioRpcError) -> LndFault:
    return LndFault(name, code=fault.code().name, details=fault.details() or "")


def _is_being_cancelled() -> bool:
    """Whether somebody cancels this task; a call cancelled with its channel looks the same."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def channel_options(timeouts: LndTimeouts) -> list[tuple[str, int]]:
    """Pings find a half-open connection; a node that is back is found within two seconds."""
    return [
        ("grpc.keepalive_time_ms", int(timeouts.keepalive_s * 1_000)),
        ("grpc.keepalive_timeout_ms", int(timeouts.keepalive_timeout_s * 1_000)),
        ("grpc.keepalive_permit_without_calls", 0),  # lnd drops clients that ping without a stream
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_receive_message_length", MAX_MESSAGE_OCTETS),
        ("grpc.use_local_subchannel_pool", 1),  # else equal channels share one connection
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
