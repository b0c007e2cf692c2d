"""Audit: live every top-up again from its journal and hold its row against that life.

What it was opened with, and the text of its invoice, are taken from the row; digests in the entries
are of the whole row. Must not know: accounts' balances or the node. Memory is bounded by the number
of top-ups.
"""

from __future__ import annotations

import dataclasses

from cobot_meter.domain.errors import IllegalTransition, LedgerUnbalanced
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.row_digests import ROW, topup_digest
from cobot_meter.domain.transitions.topups import (
    TOPUP_OPENED,
    open_topup,
    topup_event_of,
    topup_transition,
)
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.flows.audit.findings import Findings
from cobot_meter.ports.ledger_reports import JournalEntry, JournalTransfer


class TopupReplay:
    """Every top-up, from its journal. `rows` are the top-ups as they stand."""

    def __init__(self, findings: Findings) -> None:
        """No top-up yet."""
        self.rows: dict[str, Topup] = {}
        self._lives: dict[str, Topup] = {}
        self._digests: dict[str, str] = {}
        self._broken: set[str] = set()
        self._findings = findings

    def expect(self, row: Topup) -> None:
        """A top-up row: its life should be in the journal."""
        self.rows[row.topup_id] = row

    def told(self, entry: JournalEntry) -> None:
        """Apply one entry of the journal to the life that it tells of; a finding if that fails."""
        topup_id = entry.subject_id
        row = self.rows.get(topup_id)
        if row is None:
            message = f"{entry.key} is of a top-up with no row"
            self._findings.add("journal_orphan", topup_id, message)
            return
        if topup_id in self._broken:
            return
        try:
            told = self._lived(entry, row)
        except (ValueError, TypeError, IllegalTransition, LedgerUnbalanced) as fault:
            # What follows in this journal has nothing to stand on.
            self._broken.add(topup_id)
            self._findings.add("event_impossible", topup_id, f"{entry.key}: {fault}")
            return
        if told.topup is not None:
            self._lives[topup_id] = told.topup
        # An entry of a version that kept no digest leaves none to compare the row with.
        self._digests.pop(topup_id, None)
        digest = entry.facts.get(ROW)
        if isinstance(digest, str):
            self._digests[topup_id] = digest
        self._compare_label(entry, told)
        self._compare_postings(entry, told)

    def _lived(self, entry: JournalEntry, row: Topup) -> Transition:
        life = self._lives.get(entry.subject_id)
        if life is not None:
            event = topup_event_of(entry.kind, entry.facts, row)
            return topup_transition(life, event, at_ms=entry.at_ms)
        if entry.kind != TOPUP_OPENED:
            message = f"the journal of {entry.subject_id} begins with {entry.kind!r}"
            raise ValueError(message)
        return open_topup(as_opened(row, str(entry.facts.get("payment_hash"))))

    def _compare_label(self, entry: JournalEntry, told: Transition) -> None:
        self._findings.demand(
            "entry_mislabelled",
            entry.key,
            f"it should be {told.key} of {told.caller_id}, at {told.at_ms}",
            sound=(entry.key, entry.caller_id, entry.at_ms)
            == (told.key, told.caller_id, told.at_ms),
        )

    def _compare_postings(self, entry: JournalEntry, told: Transition) -> None:
        """All that was paid is credit: said here without the booking that said so then."""
        wanted: tuple[JournalTransfer, ...] = ()
        life = told.topup
        if told.cursor is not None and life is not None and life.paid_msat:
            node_alias = str(entry.facts.get("node_alias"))
            wanted = (credit(life.caller_id, node_alias=node_alias, paid_msat=life.paid_msat),)
        self._findings.demand(
            "postings_differ",
            entry.key,
            f"{entry.kind} books something else than what was paid to {told.caller_id}",
            sound=wanted == entry.transfers,
        )

    def finish(self) -> None:
        """After the journal's end: every row against its life."""
        for topup_id, row in sorted(self.rows.items()):
            if topup_id in self._broken:
                continue
            life = self._lives.get(topup_id)
            if life is None:
                self._findings.add("row_orphan", topup_id, "the row has no entry in the journal")
                continue
            wrong = _differences(row, life)
            self._findings.demand(
                "state_differs" if row.state is not life.state else "row_differs",
                topup_id,
                f"the row says {', '.join(wrong)}, which is how its journal ends",
                sound=not wrong,
            )
            self._findings.demand(
                "row_differs",
                topup_id,
                "the row is not what its last entry left: the digest that the entry keeps differs",
                sound=self._digests.get(topup_id) in {None, topup_digest(row)},
            )


def as_opened(row: Topup, payment_hash: str) -> Topup:
    """The row as it was when it was opened, under the hash of its first attempt."""
    return Topup(
        topup_id=row.topup_id,
        caller_id=row.caller_id,
        address_key=row.address_key,
        amount_msat=row.amount_msat,
        opened_at_ms=row.opened_at_ms,
        state=TopupState.OPENED,
        version=1,
        attempt=0,
        payment_hash=payment_hash,
    )


def credit(caller_id: str, *, node_alias: str, paid_msat: int) -> JournalTransfer:
    """What the node received, as a caller's credit."""
    return JournalTransfer(
        kind="posted",
        debit=f"ln/node/{node_alias}",
        credit=f"caller/{caller_id}/available",
        commodity="msat",
        amount=paid_msat,
        hold_id=None,
        held=0,
    )


def _differences(row: Topup, life: Topup) -> list[str]:
    """The fields in which the row and the life that the journal tells differ, a text for each."""
    values = (
        (field.name, getattr(row, field.name), getattr(life, field.name))
        for field in dataclasses.fields(row)
    )
    return [
        f"{name} {found!r} instead of {wanted!r}"
        for name, found, wanted in values
        if found != wanted
    ]
