"""A fake LND: lnd's gRPC over TLS with macaroons, served from the same stubs.

For what a real node cannot be made to do on demand. The contract suite runs on both, so that it
cannot lie.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc

from cobot_meter.adapters.lightning.lnd.access import LndAccess
from cobot_meter.adapters.lightning.lnd.macaroon import BAKE_URIS
from cobot_meter.adapters.lightning.lnd.stubs import (
    invoices_services,
    lightning_services,
    router_services,
    signer_services,
    state_services,
    staterpc,
)
from tests.fakes.lnd.lnd_certificates import TlsPair, make_tls_pair
from tests.fakes.lnd.lnd_macaroons import Bakery, by_name
from tests.fakes.lnd.lnd_memory import LndMemory, Message, SaidNo, Untyped
from tests.fakes.lnd.lnd_services import (
    InvoiceCalls,
    LightningCalls,
    LndFaults,
    RouterCalls,
    SignerCalls,
    StateCalls,
    abort,
)

# rpcperms/interceptor.go
NOT_READY = {
    staterpc.NON_EXISTING: "wallet not created, create one to enable full RPC access",
    staterpc.LOCKED: "wallet locked, unlock it to enable full RPC access",
    staterpc.UNLOCKED: "the RPC server is in the process of starting up, but not yet ready to"
    " accept calls",
    staterpc.RPC_ACTIVE: "",
    staterpc.SERVER_ACTIVE: "",
    staterpc.WAITING_TO_START: "waiting to start, RPC services not available",
}
OPTIONS = [("grpc.http2.min_ping_interval_without_data_ms", 100), ("grpc.so_reuseport", 0)]


class FakeLnd:
    """One node: its memory and macaroons outlive the server that `start` and `stop` switch."""

    def __init__(self, folder: Path) -> None:
        self.memory = LndMemory()
        self.faults = LndFaults()
        self.bakery = Bakery()
        self.calls: list[str] = []  # every RPC that was asked for
        self.port = 0
        self.pair = make_tls_pair()
        self.certificate_path = folder / "tls.cert"
        self.macaroon_path = folder / "service.macaroon"
        self._server: Untyped = None
        self.show_certificate()
        self.give_macaroon(self.bakery.bake(by_name(BAKE_URIS)))

    def access(self, *, port: int | None = None) -> LndAccess:
        """As the service reaches it."""
        return LndAccess(
            address=f"127.0.0.1:{port or self.port}",
            tls_cert_path=self.certificate_path,
            macaroon_path=self.macaroon_path,
            network="regtest",
        )

    def show_certificate(self, pair: TlsPair | None = None) -> None:
        """Write the certificate where the service reads it."""
        self.certificate_path.write_bytes((pair or self.pair).certificate)

    def give_macaroon(self, macaroon: bytes) -> None:
        """Write the macaroon where the service reads it."""
        self.macaroon_path.write_bytes(macaroon)

    async def start(self) -> None:
        """Serve, on the same port as before."""
        server = grpc.aio.server(interceptors=[_Door(self)], options=OPTIONS)
        lightning_services.add_LightningServicer_to_server(
            LightningCalls(self.memory, self.faults), server
        )
        invoices_services.add_InvoicesServicer_to_server(
            InvoiceCalls(self.memory, self.faults), server
        )
        state_services.add_StateServicer_to_server(StateCalls(self.faults), server)
        router_services.add_RouterServicer_to_server(RouterCalls(), server)
        signer_services.add_SignerServicer_to_server(SignerCalls(), server)
        secrets = grpc.ssl_server_credentials([(self.pair.key, self.pair.certificate)])
        self.port = server.add_secure_port(f"127.0.0.1:{self.port}", secrets)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """End every call and stream at once."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def listened(self, count: int) -> None:
        """Return when so many streams listen."""
        for _ in range(1_000):
            if len(self.memory.listeners) >= count:
                return
            await asyncio.sleep(0.005)
        raise TimeoutError(f"{len(self.memory.listeners)} streams listen, not {count}")


class _Door(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """lnd's interceptor: the state of the wallet first, then the macaroon."""

    def __init__(self, lnd: FakeLnd) -> None:
        self._lnd = lnd

    async def intercept_service(self, continuation: Untyped, details: Untyped) -> Untyped:
        handler = await continuation(details)
        self._lnd.calls.append(details.method.rpartition("/")[2])
        if details.method == "/lnrpc.State/GetState":
            return handler
        refusal = self._refusal(details)
        if not refusal:
            return handler
        no = SaidNo(refusal)

        async def refuse(request: Message, context: Untyped) -> None:
            await abort(context, no)

        async def refuse_stream(request: Message, context: Untyped) -> Untyped:
            await abort(context, no)
            yield

        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                refuse_stream, handler.request_deserializer, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            refuse, handler.request_deserializer, handler.response_serializer
        )

    def _refusal(self, details: Untyped) -> str | None:
        not_ready = NOT_READY[self._lnd.faults.state]
        if not_ready:
            return not_ready
        given = dict(details.invocation_metadata).get("macaroon", "")
        return self._lnd.bakery.refusal(bytes.fromhex(given), details.method)
