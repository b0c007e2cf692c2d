"""The one value that is ever written: a journal entry with everything it makes true at once.

Its key is deterministic, so applying it again finds the first and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.escrow.moves import MovedRun
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.ledger.transfers import Transfer
from cobot_meter.domain.topup.record import Topup


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBodies:
    """Sealed bodies of one escrow; None leaves what is stored as it is."""

    wrapped_key: bytes | None = None
    request: bytes | None = None
    completion: bytes | None = None
    drop_request: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleCursor:
    """How far the settle stream of one node has been booked."""

    node_pubkey: str
    settle_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """Everything one event makes true, applied as a whole or not at all.

    `key` is unique for ever. `subject_id` is the escrow or top-up (`upstream`, `operator`, `node`).
    `escrow` is the sale with a run of it after the event, and new in the books while `opens`. Else
    `changed` names the fields of the sale's row that may differ from before; without any it is not
    touched. `runs` are the runs whose rows are written. The stored version of a row that is not new
    must be the version before. `topup` and `topup_changed` are the same of a top-up, `api_key` and
    `api_key_changed` of a key; version 1 opens either. `accounts` are opened if missing before any
    transfer runs. `shred` drops the body key.
    `facts` goes into the journal row as JSON: no prompt, answer, preimage.
    """

    key: str
    kind: str
    subject_id: str
    caller_id: str | None
    at_ms: int
    escrow: Escrow | None = None
    opens: bool = False
    changed: tuple[str, ...] = ()
    runs: tuple[MovedRun, ...] = ()
    topup: Topup | None = None
    topup_changed: tuple[str, ...] = ()
    api_key: ApiKey | None = None
    api_key_changed: tuple[str, ...] = ()
    accounts: tuple[Account, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    bodies: StoredBodies | None = None
    shred: bool = False
    cursor: SettleCursor | None = None
    caller: CallerChange | None = None
    node: AdoptedNode | None = None
    facts: Mapping[str, str | int | None] = field(default_factory=dict)

    @property
    def seller_id(self) -> str | None:
        """In whose statement this is beside its caller's: the seller of a task's sale."""
        task = self.escrow.task if self.escrow else None
        return task.seller_id if task else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerChange:
    """What an operator sets for a caller: `cap_msat` None returns to the formula."""

    blocked: bool
    cap_msat: int | None


Facts = Mapping[str, str | int | None]
