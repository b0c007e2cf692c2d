"""The faults that a development node shows on demand. Must not know: how it shows them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace


class BadInvoice(enum.StrEnum):
    """What is wrong with the invoices it answers; what it remembers stays sound."""

    NO = "no"
    AMOUNT = "amount"
    HASH = "hash"
    NETWORK = "network"
    PAYEE = "payee"
    EXPIRY = "expiry"
    CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFaults:
    """Switches stay until reset; counters are used up one by one.

    `down`: nothing answers, streams break. `refuses_adds`: no new invoices, for good.
    `lost_add_replies`, `lost_cancel_replies`: the effect happens, the answer does not come.
    `bad_invoice`: what is wrong with the invoices answered.
    `holds_expiry`: expired invoices stay OPEN, so that a late payment settles.
    `silent_streams`: streams stay open and say nothing. `lost_settle_events`: not sent to anybody.
    `doubled_events`: each is sent twice. `shuffled_replays`: in order of creation, as lnd does on
    SQL. `settle_index_gap`: how many indexes the next settlement skips.
    """

    down: bool = False
    refuses_adds: bool = False
    lost_add_replies: int = 0
    lost_cancel_replies: int = 0
    bad_invoice: BadInvoice = BadInvoice.NO
    holds_expiry: bool = False
    silent_streams: bool = False
    lost_settle_events: int = 0
    doubled_events: bool = False
    shuffled_replays: bool = False
    settle_index_gap: int = 0


NO_FAULTS = NodeFaults()


def change_faults(faults: NodeFaults, changes: Mapping[str, object]) -> NodeFaults:
    """The faults with the named ones changed, as JSON gives them. Raises ValueError naming one."""
    changed: dict[str, object] = {}
    defaults = {field.name: field.default for field in fields(NodeFaults)}
    for name, value in changes.items():
        default = defaults.get(name)
        if default is None:
            raise ValueError(f"there is no fault {name!r}; there are {sorted(defaults)}")
        if isinstance(default, BadInvoice):
            changed[name] = BadInvoice(str(value))
        elif type(value) is not type(default) or (isinstance(value, int) and value < 0):
            raise ValueError(f"the fault {name!r} takes a value such as {default!r}")
        else:
            changed[name] = value
    return replace(faults, **changed)  # type: ignore[arg-type] # checked above, one by one
