"""A wallet over one's own LND: real payments, through gRPC. Import it by name: it needs grpcio.

LND pays a payment hash at most once, so what is doubtful is asked after, and sent again when LND
has never heard of it. An outcome that cannot be learnt in time is unknown, and never failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from cobot_pay.errors import ChallengeRefused, PaymentFailed, PaymentUnknown
from cobot_pay.invoice_terms import plain_invoice, read_invoice
from cobot_pay.lnd_stubs import lnd_stubs
from cobot_pay.wallet import Payment

lnrpc = lnd_stubs("lightning_pb2")
routerrpc = lnd_stubs("router_pb2")
router_services = lnd_stubs("router_pb2_grpc")

_OPTIONS = [
    ("grpc.keepalive_time_ms", 10_000),  # a payment is a stream: a dead connection must be noticed
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a connection of our own, gone when the payment is
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]
# The connection broke: whether LND has got what was sent is not known.
_LOST = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.OK,  # a stream that ended without a last word
    }
)
_ASK_AGAIN_S = 0.25
_MARGIN_S = 10.0
_REACH_S = 10.0


class _NoWord(Exception):
    """LND, or the way to it, gave no outcome; the text says why."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class _FilesMissing(Exception):
    """The certificate or the macaroon cannot be read, so nothing was sent."""


class LndWallet:
    """Pays over one LND; its macaroon needs `offchain:read` and `offchain:write`, no more.

    Nothing is kept between two payments, so that it may be used from any event loop.
    """

    def __init__(
        self,
        *,
        address: str,
        tls_cert_path: str | Path,
        macaroon_path: str | Path,
        search_s: int = 30,
        max_parts: int = 16,
    ) -> None:
        """LND looks for routes for `search_s` at most; the outcome is waited for 10 s longer.

        `address` is host and port of its gRPC.
        """
        self._address = address
        self._tls_cert_path = Path(tls_cert_path)
        self._macaroon_path = Path(macaroon_path)
        self._search_s = search_s
        self._max_parts = max_parts

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:
        """Pay once; what was paid before is answered with its preimage, and not paid again.

        Raises PaymentFailed when LND says so, or was never reached; PaymentUnknown when LND does
        not say in time what became of it.
        """
        payment_request = plain_invoice(payment_request)
        try:
            terms = read_invoice(payment_request)
        except ChallengeRefused as fault:
            raise PaymentFailed(str(fault)) from fault
        request = routerrpc.SendPaymentRequest(
            payment_request=payment_request,
            fee_limit_msat=max_fee_msat,
            timeout_seconds=self._search_s,
            max_parts=self._max_parts,
            no_inflight_updates=True,
        )
        try:
            async with asyncio.timeout(self._search_s + _MARGIN_S), self._router() as router:
                if await self._known_before(router, terms.payment_hash):
                    found = await self._tracked_in_the_end(router, terms.payment_hash)
                    if found is not None:
                        return found
                return await self._paid(router, request, terms.payment_hash)
        except _FilesMissing as fault:
            raise PaymentFailed(str(fault)) from fault
        except TimeoutError as fault:
            message = f"LND does not say what became of {terms.payment_hash}"
            raise PaymentUnknown(message, payment_hash=terms.payment_hash) from fault

    async def outcome(self, payment_hash: str) -> Payment | None:
        """What became of a payment, once it has ended: None when nothing was paid.

        For `L402Auth.resolve`. Raises PaymentUnknown while LND cannot say.
        """
        try:
            async with asyncio.timeout(self._search_s + _MARGIN_S), self._router() as router:
                return await self._tracked_in_the_end(router, payment_hash)
        except PaymentFailed:
            return None
        except (_FilesMissing, TimeoutError) as fault:
            message = f"LND does not say what became of {payment_hash}"
            raise PaymentUnknown(message, payment_hash=payment_hash) from fault

    async def _known_before(self, router: _Router, payment_hash: str) -> bool:
        """Whether LND has paid it, or is about to. Raises PaymentFailed: nothing was sent yet."""
        request = routerrpc.TrackPaymentRequest(payment_hash=bytes.fromhex(payment_hash))
        try:
            async with asyncio.timeout(_REACH_S):
                said = await _first_word(router.track(request))
        except TimeoutError as fault:
            raise PaymentFailed(f"LND at {self._address} does not answer") from fault
        except _NoWord as fault:
            if fault.code is grpc.StatusCode.NOT_FOUND:
                return False
            raise PaymentFailed(f"LND at {self._address} refuses: {fault}") from fault
        return bool(said.status != lnrpc.Payment.FAILED)

    async def _paid(self, router: _Router, request: Any, payment_hash: str) -> Payment:  # noqa: ANN401
        """Send it, and ask after it for as long as it takes. Raises PaymentFailed."""
        while True:
            try:
                return _payment(await _first_word(router.send(request)))
            except _NoWord as fault:
                refusal = "" if fault.code in _LOST else str(fault)
            found = await self._tracked_in_the_end(router, payment_hash)
            if found is not None:
                return found
            if refusal:
                raise PaymentFailed(f"LND refuses to pay: {refusal}")
            await asyncio.sleep(_ASK_AGAIN_S)

    async def _tracked_in_the_end(self, router: _Router, payment_hash: str) -> Payment | None:
        """The payment once it has ended, None when LND has never heard of it.

        Asks through restarts of LND; the caller bounds the time. Raises PaymentFailed.
        """
        request = routerrpc.TrackPaymentRequest(
            payment_hash=bytes.fromhex(payment_hash), no_inflight_updates=True
        )
        while True:
            try:
                return _payment(await _first_word(router.track(request)))
            except _NoWord as fault:
                if fault.code is grpc.StatusCode.NOT_FOUND:
                    return None
            await asyncio.sleep(_ASK_AGAIN_S)

    @asynccontextmanager
    async def _router(self) -> AsyncIterator[_Router]:
        """A connection for one payment. Raises _FilesMissing."""
        certificate, macaroon = await asyncio.to_thread(self._read_files)
        trust = grpc.ssl_channel_credentials(certificate)
        async with grpc.aio.secure_channel(self._address, trust, _OPTIONS) as channel:
            yield _Router(router_services.RouterStub(channel), macaroon)

    def _read_files(self) -> tuple[bytes, bytes]:
        try:
            return self._tls_cert_path.read_bytes(), self._macaroon_path.read_bytes()
        except OSError as fault:
            raise _FilesMissing(f"cannot read {fault.filename}: {fault.strerror}") from fault


class _Router:
    """LND's payments over one connection, with the macaroon in the metadata of every call.

    Not in call credentials: gRPC asks Python for those from threads of its own, and when the last
    connection closes meanwhile, both wait for each other for ever (grpc #42247).
    """

    def __init__(self, stub: Any, macaroon: bytes) -> None:  # noqa: ANN401 - gRPC ships no types
        self._stub = stub
        self._metadata = (("macaroon", macaroon.hex()),)

    def send(self, request: Any) -> Any:  # noqa: ANN401
        """Begin to pay, and listen."""
        return self._stub.SendPaymentV2(request, metadata=self._metadata)

    def track(self, request: Any) -> Any:  # noqa: ANN401
        """Listen to what becomes of a payment."""
        return self._stub.TrackPaymentV2(request, metadata=self._metadata)


async def _first_word(updates: Any) -> Any:  # noqa: ANN401 - gRPC ships no types
    """The first message of a stream, the only one where none is sent in between."""
    try:
        async for update in updates:
            return update
    except grpc.aio.AioRpcError as fault:
        raise _NoWord(fault.code(), fault.details() or fault.code().name) from fault
    finally:
        updates.cancel()
    raise _NoWord(grpc.StatusCode.OK, "LND ended its answer early")


def _payment(said: Any) -> Payment:  # noqa: ANN401 - protobuf ships no types
    """What LND says of a payment that has ended. Raises PaymentFailed, or _NoWord if it has not."""
    if said.status == lnrpc.Payment.FAILED:
        reason = lnrpc.PaymentFailureReason.Name(said.failure_reason)
        raise PaymentFailed(f"LND could not pay: {reason.removeprefix('FAILURE_REASON_').lower()}")
    if said.status != lnrpc.Payment.SUCCEEDED:
        raise _NoWord(grpc.StatusCode.OK, "LND ended its answer early")
    return Payment(
        preimage=said.payment_preimage, amount_msat=said.value_msat, fee_msat=said.fee_msat
    )
