"""Events of an escrow or a top-up as facts of a journal entry, and back.

Every field of an event is a fact, those of its parts under `part.field`. Must not know: storage,
or why somebody reads the journal again.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from collections.abc import Mapping
from typing import Any

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.events import EscrowEvent
from cobot_meter.domain.escrow.record import IssuedInvoice
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Cost, CostStanding, Failure, Summary
from cobot_meter.domain.topup.events import TopupEvent

# What the journal has called a part since its first entry.
_PARTS = {"summary": "run"}
# Events whose kind is no longer their name: entries and keys are never written anew, and an error
# has the name today.
_KEPT_KINDS: Mapping[type[EscrowEvent | TopupEvent], str] = {
    ran.RunFailed: "upstream_failed",
    ran.RunOutcomeUnknown: "outcome_unknown",
    on.InvoiceMakingRefused: "invoice_refused",
    on.QuarantineBegun: "quarantined",
}
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def event_name(event: on.EscrowEvent | TopupEvent) -> str:
    """The kind of entry that an event is recorded as."""
    return event_kind(type(event))


def event_kind(event_type: type[on.EscrowEvent | TopupEvent]) -> str:
    """`InvoiceSettled` as `invoice_settled`, but for the few that the journal knows otherwise."""
    return _KEPT_KINDS.get(event_type) or _snake_case(event_type.__name__)


@functools.cache
def _snake_case(name: str) -> str:
    return _CAPITAL.sub("_", name).lower()


def facts_of(event: on.EscrowEvent | TopupEvent) -> dict[str, str | int | None]:
    """What the journal keeps of an event: its fields, those of its parts as `part.field`."""
    facts: dict[str, str | int | None] = {}
    for name in event.__dataclass_fields__:
        value = getattr(event, name)
        if dataclasses.is_dataclass(value):
            facts |= parts_of(_PARTS.get(name, name), value)
        else:
            facts[name] = value
    return facts


def parts_of(name: str, value: object) -> dict[str, str | int | None]:
    """The fields of a part as facts under its name; none of what is no part."""
    if not dataclasses.is_dataclass(value):
        return {}
    return {f"{name}.{part}": getattr(value, part) for part in value.__dataclass_fields__}


_KINDS: Mapping[str, type[EscrowEvent]] = {
    event_kind(event_type): event_type for event_type in typing.get_args(EscrowEvent)
}
_NESTED: Mapping[str, type[Cost | Failure | IssuedInvoice | ModelPrice | Summary]] = {
    "cost": Cost,
    "failure": Failure,
    "invoice": IssuedInvoice,
    "prices": ModelPrice,
    "summary": Summary,
}
# Facts that entries from before a version lack, and what was true then.
_SINCE_LATER: Mapping[str, object] = {
    "requested_by": None,
    "adoption": None,
    "continued_as": None,
    "cost.provider": "",
    "cost.model": "",
    "cost.record_sha256": "",
    "kept": True,
    "route": None,
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
        part.name: _fact(f"{_PARTS.get(name, name)}.{part.name}", facts)
        for part in dataclasses.fields(nested)
    }
    if nested is Cost:
        parts["standing"] = CostStanding(str(parts["standing"]))
    return nested(**parts)


def _fact(name: str, facts: Mapping[str, object]) -> object:
    return _SINCE_LATER[name] if name in _SINCE_LATER and name not in facts else facts[name]
