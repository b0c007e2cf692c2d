"""The development node's own HTTP face: the payer's wallet, and the switchboard of faults.

Must not know: the service, its callers or its books. It is a wallet's side of the payment, so it
hands out a preimage only of what was paid, as often as it is asked. For this machine only, unless
told otherwise.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import asdict

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.lightning.dev_node.payments import Payment, PaymentFault, PaymentRefused
from cobot_meter.adapters.lightning.dev_node.signing import NO_FAULTS, change_faults
from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import Invoice

MAX_BODY_OCTETS = 65_536

_STATUS = {
    PaymentFault.INVOICE_INVALID: 400,
    PaymentFault.AMOUNT_INVALID: 400,
    PaymentFault.INVOICE_UNKNOWN: 404,
    PaymentFault.INVOICE_ALREADY_PAID: 409,
    PaymentFault.INVOICE_CANCELED: 410,
    PaymentFault.AMOUNT_TOO_LOW: 422,
    PaymentFault.NODE_UNREACHABLE: 503,
}


class _BodyInvalid(ValueError):
    """A body that the route cannot use; the message says why."""


def dev_node_face(node: DevNode, *, loopback_only: bool = True) -> Starlette:
    """The ASGI application; `loopback_only` answers 403 to everybody not on this machine."""
    face = _Face(node)
    routes = (
        ("/pay", "POST", face.pay),
        ("/payments/{payment_hash}", "GET", face.payment),
        ("/info", "GET", face.info),
        ("/invoices/{payment_hash}", "GET", face.invoice),
        ("/control/faults", "GET", face.faults),
        ("/control/faults", "POST", face.change_faults),
        ("/control/faults", "DELETE", face.reset_faults),
        ("/control/break-streams", "POST", face.break_streams),
        ("/control/hold-payment", "POST", face.hold_payment),
        ("/control/give-back-payment", "POST", face.give_back_payment),
    )
    return Starlette(
        routes=[
            Route(path, _guarded(answer, loopback_only=loopback_only), methods=[method])
            for path, method, answer in routes
        ],
        exception_handlers={HTTPException: _no_route},
    )


class _Face:
    """One method per route."""

    def __init__(self, node: DevNode) -> None:
        self._node = node

    async def pay(self, request: Request) -> Response:
        body = await _body(request)
        payment = await self._node.pay(
            _text(body, "payment_request"), amount_msat=_amount(body, "amount_msat")
        )
        return _payment(payment)

    async def payment(self, request: Request) -> Response:
        payment = await self._node.payment(request.path_params["payment_hash"])
        if payment is None:
            return _error(404, "payment_unknown", "nothing was paid for this hash")
        return _payment(payment)

    async def info(self, _request: Request) -> Response:
        return _json(asdict(await self._node.identity()))

    async def invoice(self, request: Request) -> Response:
        invoice = await self._node.look_up(request.path_params["payment_hash"])
        if invoice is None:
            return _error(404, PaymentFault.INVOICE_UNKNOWN, "there is no invoice of this hash")
        return _invoice(invoice)

    async def faults(self, _request: Request) -> Response:
        return _json(asdict(self._node.faults))

    async def change_faults(self, request: Request) -> Response:
        try:
            changed = change_faults(self._node.faults, await _body(request))
        except ValueError as fault:
            raise _BodyInvalid(str(fault)) from fault
        self._node.set_faults(changed)
        return _json(asdict(changed))

    async def reset_faults(self, _request: Request) -> Response:
        self._node.set_faults(NO_FAULTS)
        return _json(asdict(NO_FAULTS))

    async def break_streams(self, _request: Request) -> Response:
        self._node.break_streams()
        return _json({})

    async def hold_payment(self, request: Request) -> Response:
        body = await _body(request)
        return _invoice(await self._node.hold_payment(_text(body, "payment_request")))

    async def give_back_payment(self, request: Request) -> Response:
        body = await _body(request)
        return _invoice(await self._node.give_back_payment(_text(body, "payment_hash")))


def _payment(payment: Payment) -> Response:
    return _json(
        {
            "payment_preimage": payment.preimage,
            "payment_hash": payment.payment_hash,
            "amount_msat": payment.amount_msat,
            "fee_msat": payment.fee_msat,
        }
    )


_Answer = Callable[[Request], Awaitable[Response]]


def _guarded(answer: _Answer, *, loopback_only: bool) -> _Answer:
    """The route with its faults turned into JSON errors."""

    async def guarded(request: Request) -> Response:
        if loopback_only and not _is_loopback(request):
            return _error(403, "not_local", "the development node answers this machine only")
        try:
            return await answer(request)
        except _BodyInvalid as fault:
            return _error(400, "invalid_request", str(fault))
        except PaymentRefused as fault:
            return _error(_STATUS[fault.fault], fault.fault, fault.message)
        except NodeUnavailable as fault:
            return _error(503, fault.code, fault.message)

    return guarded


async def _no_route(_request: Request, fault: Exception) -> Response:
    """What Starlette itself refuses: an unknown path (404) or method (405)."""
    status = fault.status_code if isinstance(fault, HTTPException) else 500
    return _error(status, "no_such_route", "the development node has no such route")


def _is_loopback(request: Request) -> bool:
    """Whether the peer is this machine; a socket without an address is."""
    if request.client is None:
        return True
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


async def _body(request: Request) -> dict[str, object]:
    """The JSON object of the body. Raises _BodyInvalid."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY_OCTETS:
            raise _BodyInvalid(f"the body has more than {MAX_BODY_OCTETS} octets")
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as fault:
        raise _BodyInvalid(f"the body is not JSON: {fault}") from fault
    if not isinstance(body, dict):
        raise _BodyInvalid("the body must be a JSON object")
    return body


def _text(body: dict[str, object], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise _BodyInvalid(f"`{name}` must be text")
    return value


def _amount(body: dict[str, object], name: str) -> int | None:
    value = body.get(name)
    if value is None or type(value) is int:
        return value
    raise _BodyInvalid(f"`{name}` must be a whole number of msat, or left out")


def _invoice(invoice: Invoice) -> Response:
    return _json(asdict(invoice))


def _json(content: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")


def _error(status: int, code: str, message: str) -> Response:
    return _json({"error": {"code": str(code), "message": message}}, status)
