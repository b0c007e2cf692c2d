"""Calls to an lnd: one short connection per use, so that any event loop may make them.

Must not know: what is called.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from service.client.lnd_stubs import lnd_stubs

lnrpc = lnd_stubs("lightning_pb2")
invoicesrpc = lnd_stubs("invoices_pb2")
routerrpc = lnd_stubs("router_pb2")
staterpc = lnd_stubs("stateservice_pb2")
unlockrpc = lnd_stubs("walletunlocker_pb2")

CALL_TIMEOUT_S = 20.0
OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # a node that was away is not waited for
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of one lnd over one connection."""

    lightning: Any
    router: Any
    invoices: Any
    state: Any
    unlocker: Any


@asynccontextmanager
async def connected(
    address: str, *, tls_cert_path: Path, macaroon_path: Path | None = None
) -> AsyncIterator[Services]:
    """Connect; without a macaroon only the state and the unlocker answer."""
    credentials = _credentials(tls_cert_path, macaroon_path)
    async with grpc.aio.secure_channel(address, credentials, OPTIONS) as channel:
        yield Services(
            lightning=lnd_stubs("lightning_pb2_grpc").LightningStub(channel),
            router=lnd_stubs("router_pb2_grpc").RouterStub(channel),
            invoices=lnd_stubs("invoices_pb2_grpc").InvoicesStub(channel),
            state=lnd_stubs("stateservice_pb2_grpc").StateStub(channel),
            unlocker=lnd_stubs("walletunlocker_pb2_grpc").WalletUnlockerStub(channel),
        )


def _credentials(tls_cert_path: Path, macaroon_path: Path | None) -> grpc.ChannelCredentials:
    """Raises OSError when a file is not there yet."""
    encrypted = grpc.ssl_channel_credentials(tls_cert_path.read_bytes())
    if macaroon_path is None:
        return encrypted
    macaroon = macaroon_path.read_bytes().hex()

    def add(_context: object, callback: Any) -> None:  # noqa: ANN401 - gRPC's own
        callback((("macaroon", macaroon),), None)

    return grpc.composite_channel_credentials(encrypted, grpc.metadata_call_credentials(add))
