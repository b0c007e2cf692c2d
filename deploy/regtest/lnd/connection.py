"""Calls to an lnd: one short connection per use, so that any event loop may make them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from cobot_pay.lnd_stubs import lnd_stubs

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
    """The services of one lnd over one connection, and the metadata that calls to them carry.

    Not call credentials: gRPC asks Python for those from threads of its own, and when the last
    connection closes meanwhile, both wait for each other for ever (grpc #42247).
    """

    lightning: Any
    router: Any
    invoices: Any
    state: Any
    unlocker: Any
    metadata: tuple[tuple[str, str], ...]


@asynccontextmanager
async def connected(
    address: str, *, tls_cert_path: Path, macaroon_path: Path | None = None
) -> AsyncIterator[Services]:
    """Connect; without a macaroon only the state and the unlocker answer.

    Raises OSError when a file is not there yet.
    """
    trust, metadata = _read(tls_cert_path, macaroon_path)
    async with grpc.aio.secure_channel(address, trust, OPTIONS) as channel:
        yield Services(
            lightning=lnd_stubs("lightning_pb2_grpc").LightningStub(channel),
            router=lnd_stubs("router_pb2_grpc").RouterStub(channel),
            invoices=lnd_stubs("invoices_pb2_grpc").InvoicesStub(channel),
            state=lnd_stubs("stateservice_pb2_grpc").StateStub(channel),
            unlocker=lnd_stubs("walletunlocker_pb2_grpc").WalletUnlockerStub(channel),
            metadata=metadata,
        )


def _read(
    tls_cert_path: Path, macaroon_path: Path | None
) -> tuple[grpc.ChannelCredentials, tuple[tuple[str, str], ...]]:
    trust = grpc.ssl_channel_credentials(tls_cert_path.read_bytes())
    return trust, (("macaroon", macaroon_path.read_bytes().hex()),) if macaroon_path else ()
