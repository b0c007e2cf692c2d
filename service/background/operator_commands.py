"""The operator's commands as JSON objects in and out: the same over the socket and without it.

Must not know: sockets, terminals, or who else writes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from service.domain.callers import CallerStanding
from service.domain.errors import RequestInvalid
from service.domain.money import AMOUNT_MAX
from service.flows.adopt_node import AdoptNode
from service.flows.operate import CancelInvoice, SetCaller

Document = Mapping[str, object]
Command = Callable[[Document], Awaitable[Document]]


def operator_commands(
    *, cancellations: CancelInvoice, callers: SetCaller, adoption: AdoptNode
) -> Mapping[str, Command]:
    """Every command by name: `cancel_invoice`, `set_caller`, `adopt_node` and `ping`.

    Each takes the request's JSON object, answers one, and raises CobotMeterError.
    """

    async def cancel_invoice(request: Document) -> Document:
        outcome = await cancellations.cancel(_text(request, "name"))
        return {
            "subject_id": outcome.subject_id,
            "payment_hash": outcome.payment_hash,
            "invoice_state": outcome.invoice_state.value,
            "subject_state": outcome.subject_state,
        }

    async def set_caller(request: Document) -> Document:
        caller_id = _text(request, "caller_id")
        if "blocked" in request:
            return _standing(await callers.block(caller_id, blocked=_flag(request, "blocked")))
        return _standing(await callers.cap(caller_id, _cap_msat(request)))

    async def adopt_node(_request: Document) -> Document:
        adopted = await adoption.adopt()
        return {
            "pubkey": adopted.node.pubkey,
            "network": adopted.node.network,
            "alias": adopted.node.alias,
            "number": adopted.node.number,
            "left_pubkey": adopted.left.pubkey if adopted.left else None,
            "escrows_closed": adopted.escrows_closed,
            "topups_closed": adopted.topups_closed,
            "invoices_anew": adopted.invoices_anew,
        }

    async def ping(_request: Document) -> Document:
        return {"pong": True}

    return {
        "cancel_invoice": cancel_invoice,
        "set_caller": set_caller,
        "adopt_node": adopt_node,
        "ping": ping,
    }


def _standing(standing: CallerStanding) -> Document:
    return {
        "caller_id": standing.caller_id,
        "blocked": standing.blocked,
        "cap_msat": standing.cap_override_msat,
        "available_msat": standing.available_msat,
        "open_msat": standing.open_msat,
        "settled_msat": standing.settled_msat,
        "lapsed_msat": standing.lapsed_msat,
    }


def _text(request: Document, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        message = f"{name} must be a text"
        raise RequestInvalid(message, param=name)
    return value


def _flag(request: Document, name: str) -> bool:
    value = request.get(name)
    if not isinstance(value, bool):
        message = f"{name} must be true or false"
        raise RequestInvalid(message, param=name)
    return value


def _cap_msat(request: Document) -> int | None:
    value = request.get("cap_msat", False)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= AMOUNT_MAX:
        message = "say blocked, or cap_msat as a whole number of msat (null: by the formula)"
        raise RequestInvalid(message, param="cap_msat")
    return value
