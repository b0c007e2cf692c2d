"""The way back: from a journal entry's kind and facts to the event that it records.

`transitions.py` writes the facts; whoever checks the journal reads them here. Must not know:
storage, or why somebody reads the journal again.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from service.domain.escrow_events import EscrowEvent
from service.domain.escrow_record import Cost, CostStanding, Failure, IssuedInvoice, Run
from service.domain.transitions import event_kind

_KINDS: Mapping[str, type[EscrowEvent]] = {
    event_kind(event_type): event_type for event_type in typing.get_args(EscrowEvent)
}
_NESTED: Mapping[str, type[Cost | Failure | IssuedInvoice | Run]] = {
    "cost": Cost,
    "failure": Failure,
    "invoice": IssuedInvoice,
    "run": Run,
}
# Facts that entries from before a version lack, and what was true then.
_SINCE_LATER: Mapping[str, object] = {
    "requested_by": None,
    "adoption": None,
    "continued_as": None,
    "cost.provider": "",
    "cost.model": "",
    "cost.record_sha256": "",
}


def event_kinds() -> frozenset[str]:
    """The kinds of entries that record an event of an escrow."""
    return frozenset(_KINDS)


def event_of(kind: str, facts: Mapping[str, object]) -> EscrowEvent:
    """The event as it was told. Raises ValueError for a kind or facts that no event has."""
    event_type = _KINDS.get(kind)
    if event_type is None:
        message = f"no event is called {kind!r}"
        raise ValueError(message)
    try:
        told: dict[str, Any] = {
            field.name: _told(field.name, facts) for field in dataclasses.fields(event_type)
        }
    except KeyError as missing:
        message = f"{kind} lacks the fact {missing}"
        raise ValueError(message) from None
    return event_type(**told)


def _told(name: str, facts: Mapping[str, object]) -> object:
    nested = _NESTED.get(name)
    if name in facts:
        return facts[name]
    if nested is None:
        return _fact(name, facts)
    parts: dict[str, Any] = {
        part.name: _fact(f"{name}.{part.name}", facts) for part in dataclasses.fields(nested)
    }
    if nested is Cost:
        parts["standing"] = CostStanding(str(parts["standing"]))
    return nested(**parts)


def _fact(name: str, facts: Mapping[str, object]) -> object:
    return _SINCE_LATER[name] if name in _SINCE_LATER and name not in facts else facts[name]
