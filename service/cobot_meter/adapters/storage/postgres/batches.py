"""Transitions as the one document that PostgreSQL's `apply_transitions` takes, and its answer.

Sealed bodies travel beside the document, by their number from one. Must not know: connections.
"""

from __future__ import annotations

from typing import Any

import orjson

from cobot_meter.adapters.storage.ledger_rows import (
    JOURNAL_COLUMNS,
    TRANSFER_COLUMNS,
    dumped,
    journal_values,
    tally_of,
    transfer_values,
)
from cobot_meter.adapters.storage.moves import CounterStep, rolled, steps_of, unbookable
from cobot_meter.adapters.storage.row_spec import moved_by
from cobot_meter.adapters.storage.table_specs import NODE_SPEC, WrittenRow, rows_of
from cobot_meter.domain.callers import LAPSED_WEIGHT, SETTLED_SHARE
from cobot_meter.domain.errors import (
    AlreadyOpen,
    CobotMeterError,
    Conflict,
    LedgerContradicted,
    LedgerUnbalanced,
    MovedOn,
)
from cobot_meter.domain.ledger.transfers import Guard
from cobot_meter.domain.refusals import exposure_exceeded
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.transition import StoredBodies, Transition

Document = dict[str, Any]
_DELTAS = ("dp", "cp", "dn", "cn")
STALE, UNBALANCED, EXCEEDED = "CM001", "CM002", "CM003"


class Batch:
    """Transitions in an order in which no two batches wait for each other."""

    def __init__(self, retention: Retention) -> None:
        """Nothing is in it; `retention` decides when a written escrow is due."""
        self.blobs: list[bytes] = []
        self._retention = retention
        self._documents: list[tuple[tuple[str, str], bytes]] = []

    def add(self, transition: Transition) -> None:
        """One more. Raises TypeError for values that no row may hold, and adds nothing then."""
        blobs_before = len(self.blobs)
        try:
            text = dumped(self._document(transition))
        except (TypeError, LedgerUnbalanced):
            del self.blobs[blobs_before:]
            raise
        self._documents.append(((transition.subject_id, transition.key), text))

    def order(self) -> list[int]:
        """Which of those added stands at each place."""
        places = range(len(self._documents))
        return sorted(places, key=lambda place: self._documents[place][0])

    def text(self) -> str:
        """All of them as JSON, in order."""
        return f"[{','.join(self._documents[place][1].decode() for place in self.order())}]"

    def _document(self, transition: Transition) -> Document:
        steps, legs = steps_of(transition.transfers)
        opened = [
            {
                "code": account.code,
                "commodity": account.commodity.value,
                "nature": account.nature.value,
                "exact": int(account.exact),
            }
            for account in transition.accounts
        ]
        document: Document = {
            **dict(zip(JOURNAL_COLUMNS, journal_values(transition), strict=True)),
            "accounts": opened,
            "locks": [*(one["code"] for one in opened), *(step.account.code for step in steps)],
            "transfers": [
                {"line": line, **dict(zip(TRANSFER_COLUMNS, transfer_values(one), strict=True))}
                for line, one in enumerate(transition.transfers)
            ],
            "steps": [_step(step) for step in steps],
            "legs": [
                {
                    "code": account.code,
                    "commodity": account.commodity.value,
                    "nature": account.nature.value,
                    **dict(zip(_DELTAS, counters, strict=True)),
                }
                for account, counters in rolled(legs)
            ],
            "rows": [_row(row, self._retention) for row in rows_of(transition)],
            "shred": transition.shred,
            "tally": tally_of(transition),
        }
        self._add_the_rest(document, transition)
        return document

    def _add_the_rest(self, document: Document, transition: Transition) -> None:
        """What is not there has no key: JSON's null would be a value."""
        if transition.escrow is not None and transition.bodies is not None:
            document["bodies"] = self._bodies(transition.bodies)
        if transition.node is not None:
            columns, values = NODE_SPEC.opening
            adopted = values(transition.node, self._retention)
            document["node"] = dict(zip(columns, adopted, strict=True))
        if transition.cursor is not None:
            document["cursor"] = {
                "node_pubkey": transition.cursor.node_pubkey,
                "settle_index": transition.cursor.settle_index,
            }
        if transition.caller is not None and transition.caller_id is not None:
            document["caller"] = {
                "caller_id": transition.caller_id,
                "blocked": int(transition.caller.blocked),
                "cap_msat": transition.caller.cap_msat,
            }

    def _bodies(self, bodies: StoredBodies) -> Document:
        return {
            "wrapped_key": self._blob(bodies.wrapped_key),
            "request": self._blob(bodies.request),
            "completion": self._blob(bodies.completion),
            "drop_request": bodies.drop_request,
        }

    def _blob(self, content: bytes | None) -> int | None:
        if content is None:
            return None
        self.blobs.append(bytes(content))  # a text is refused here, alone, and not by the driver
        return len(self.blobs)


def _row(row: WrittenRow, retention: Retention) -> Document:
    """A new row as a whole, of any other what changed."""
    spec, value, changed = row
    subject_id, version = spec.identity(value)
    columns, values = spec.opening if version == 1 else moved_by(spec, changed)
    return {
        "table": spec.table,
        "key": subject_id,
        "version": version,
        "values": dict(zip(columns, values(value, retention), strict=True)),
    }


def _step(step: CounterStep) -> Document:
    document: Document = {
        "code": step.account.code,
        **dict(zip(_DELTAS, step.counters, strict=True)),
    }
    guarded = step.guarded
    if guarded is not None and guarded.guard is not None:
        guard = guarded.guard
        document |= {"guard": guard.name, "asked": guarded.amount, "limit": guard.limit}
        if guard.cap is not None:
            document["cap"] = _cap(guard)
    return document


def _cap(guard: Guard) -> Document:
    """The terms of `CapTerms.cap_msat`, with the accounts that it reads."""
    if guard.cap is None or guard.settled is None or guard.lapsed is None:
        raise LedgerUnbalanced(f"the guard {guard.name} does not say what its cap is made of")
    return {
        "max_msat": guard.cap.max_msat,
        "newcomer_msat": guard.cap.newcomer_msat,
        "share": SETTLED_SHARE,
        "weight": LAPSED_WEIGHT,
        "settled": guard.settled.code,
        "lapsed": guard.lapsed.code,
    }


def conflict(transition: Transition, subject_id: str) -> Conflict:
    """Why the row of `subject_id` was not written: it was to be opened, or it moved on."""
    if (subject_id, 1) in {row.spec.identity(row.value) for row in rows_of(transition)}:
        message = f"{subject_id} cannot open: it, or one for the same request, is open already"
        return AlreadyOpen(message)
    return MovedOn(f"{subject_id} has moved on, or was never opened")


def refused(transition: Transition, outcome: Document) -> CobotMeterError:
    """The error that an outcome with `refused` stands for."""
    says: str = outcome["says"]
    match outcome["refused"]:
        case code if code == STALE:
            return conflict(transition, says)
        case code if code == UNBALANCED:
            return LedgerContradicted(says)
        case code if code == EXCEEDED:
            found = orjson.loads(says)
            return exposure_exceeded(
                found["guard"],
                open_amount=found["open"],
                limit=found["limit"],
                asked=found["asked"],
            )
        case _:
            return unbookable(transition.key, says)
