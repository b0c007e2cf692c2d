"""The operator's commands as JSON objects in and out: the same over the socket and without it.

Must not know: sockets, terminals, or who else writes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from cobot_meter.domain import outside
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.errors import Quarantined, RequestInvalid
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.money import AMOUNT_MAX
from cobot_meter.domain.topup.record import Topup
from cobot_meter.flows.operate.adopt_node import AdoptNode
from cobot_meter.flows.operate.cancel_invoice import CancelInvoice
from cobot_meter.flows.operate.quarantine import Quarantine
from cobot_meter.flows.operate.set_caller import SetCaller
from cobot_meter.flows.release_gate import KeepReleases

Document = Mapping[str, object]
Command = Callable[[Document], Awaitable[Document]]


def operator_commands(
    *,
    cancel_invoice: CancelInvoice,
    set_caller: SetCaller,
    adopt_node: AdoptNode,
    quarantine: Quarantine,
    keep_releases: KeepReleases,
) -> Mapping[str, Command]:
    """Every command by name: `cancel_invoice`, `set_caller`, `adopt_node` and `ping`.

    Those of quarantine are `quarantine_list`, `_show`, `_retry` and `_write_off`; `releases_show`
    and `releases_open` are about all sales. Each takes the request's JSON object, answers one, and
    raises CobotMeterError.
    """

    async def cancel(request: Document) -> Document:
        outcome = await cancel_invoice.cancel(identifier_of(request, "name"))
        return {
            "subject_id": outcome.subject_id,
            "payment_hash": outcome.payment_hash,
            "invoice_state": outcome.invoice_state.value,
            "subject_state": outcome.subject_state,
        }

    async def change(request: Document) -> Document:
        caller_id = identifier_of(request, "caller_id")
        if "blocked" in request:
            return _standing(await set_caller.block(caller_id, blocked=_flag(request, "blocked")))
        return _standing(await set_caller.cap(caller_id, _cap_msat(request)))

    async def adopt(_request: Document) -> Document:
        adopted = await adopt_node.adopt()
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
        "cancel_invoice": cancel,
        "set_caller": change,
        "adopt_node": adopt,
        "ping": ping,
        **_quarantine_commands(quarantine),
        **_releases_commands(keep_releases),
    }


def _quarantine_commands(quarantine: Quarantine) -> Mapping[str, Command]:
    async def listed(_request: Document) -> Document:
        return {"waiting": [_subject(one) for one in await quarantine.listed()]}

    async def show(request: Document) -> Document:
        return _subject(await quarantine.show(identifier_of(request, "name")))

    async def retry(request: Document) -> Document:
        retried = await quarantine.retry(identifier_of(request, "name"))
        return {**_subject(retried.subject), "quarantine": retried.again}

    async def write_off(request: Document) -> Document:
        name, reason = identifier_of(request, "name"), sentence_of(request, "reason")
        try:
            return _subject(await quarantine.write_off(name, reason))
        except Quarantined as fault:
            message = f"{name} cannot be written off either: {fault.why}"
            raise RequestInvalid(message) from fault

    return {
        "quarantine_list": listed,
        "quarantine_show": show,
        "quarantine_retry": retry,
        "quarantine_write_off": write_off,
    }


def _releases_commands(keep_releases: KeepReleases) -> Mapping[str, Command]:
    async def show(_request: Document) -> Document:
        standing = await keep_releases.show()
        return {"stopped": standing.stopped, "reason": standing.reason, "words": standing.words}

    async def open_again(request: Document) -> Document:
        standing = await keep_releases.open(sentence_of(request, "reason"))
        return {"stopped": standing.stopped, "reason": standing.reason, "words": standing.words}

    return {"releases_show": show, "releases_open": open_again}


def _subject(subject: Escrow | Topup) -> Document:
    if isinstance(subject, Escrow):
        own = {
            "id": subject.escrow_id,
            "kind": "escrow",
            "changed_at_ms": subject.changed_at_ms,
            "price_msat": subject.price_msat,
            "cost_pusd": subject.cost_pusd,
        }
    else:
        own = {
            "id": subject.topup_id,
            "kind": "topup",
            "changed_at_ms": None,
            "price_msat": subject.amount_msat,
            "cost_pusd": 0,
        }
    return {
        **own,
        "state": subject.progress.value,
        "caller_id": subject.caller_id,
        "opened_at_ms": subject.opened_at_ms,
        "quarantine": subject.quarantine,
        "payment_hash": subject.payment_hash,
        "paid_msat": subject.paid_msat,
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


def identifier_of(request: Document, name: str) -> str:
    """An id: whatever else is written there names nothing, and the books could not look for it."""
    value = outside.identifier(request.get(name))
    if value is None:
        message = f"{name} must be an id: 1 to {outside.NAME_MAX} visible ASCII characters"
        raise RequestInvalid(message, param=name)
    return value


def sentence_of(request: Document, name: str) -> str:
    """What the operator says, as the books can hold it."""
    value = request.get(name)
    said = outside.text(value, most=outside.SENTENCE_MAX).strip() if isinstance(value, str) else ""
    if not said:
        message = f"{name} must be a text that says something"
        raise RequestInvalid(message, param=name)
    return said


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
