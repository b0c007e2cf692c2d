"""An LND of which only the router is there: it says what a test wants it to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from cobot_meter.adapters.lightning.lnd.stubs import router_services
from cobot_pay.lnd_wallet import LndWallet
from tests.fakes.lnd.lnd_certificates import make_tls_pair

MACAROON = b"\x02a macaroon"


class Fault:
    """An answer that is none."""

    def __init__(self, code: grpc.StatusCode, text: str = "") -> None:
        self.code = code
        self.text = text


NEVER_HEARD = Fault(grpc.StatusCode.NOT_FOUND, "payment isn't initiated")
CUT = Fault(grpc.StatusCode.UNAVAILABLE, "Socket closed")
NOTHING = None
SILENCE = "silence"
Answer = Any


class FakeRouter(router_services.RouterServicer):  # type: ignore[misc]
    """Answers each call with the next of its kind, and the last one for ever."""

    def __init__(self, *, send: list[Answer], track: list[Answer]) -> None:
        self._send = send
        self._track = track
        self.sent: list[Any] = []
        self.tracked: list[Any] = []
        self.macaroons: set[str] = set()

    async def SendPaymentV2(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401, N802
        """As scripted."""
        self.sent.append(request)
        async for update in self._said(self._send, context):
            yield update

    async def TrackPaymentV2(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401, N802
        """As scripted."""
        self.tracked.append(request)
        async for update in self._said(self._track, context):
            yield update

    async def _said(self, script: list[Answer], context: Any) -> AsyncIterator[Any]:  # noqa: ANN401
        self.macaroons |= {value for name, value in context.invocation_metadata() if "mac" in name}
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Fault):
            await context.abort(answer.code, answer.text)
        elif answer == SILENCE:
            await asyncio.Event().wait()
        elif answer is not NOTHING:
            yield answer


@asynccontextmanager
async def wallet_of(
    router: FakeRouter, folder: Path, *, search_s: int = 30
) -> AsyncIterator[LndWallet]:
    """A wallet whose LND has this router."""
    async with serving_router(router, folder) as address:
        yield LndWallet(
            address=address,
            tls_cert_path=folder / "tls.cert",
            macaroon_path=folder / "pay.macaroon",
            search_s=search_s,
        )


@asynccontextmanager
async def serving_router(router: FakeRouter, folder: Path) -> AsyncIterator[str]:
    """Where an LND with this router listens; `tls.cert` and `pay.macaroon` are in the folder."""
    pair = make_tls_pair()
    (folder / "tls.cert").write_bytes(pair.certificate)
    (folder / "pay.macaroon").write_bytes(MACAROON)
    server = grpc.aio.server()
    router_services.add_RouterServicer_to_server(router, server)
    credentials = grpc.ssl_server_credentials([(pair.key, pair.certificate)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(grace=None)
