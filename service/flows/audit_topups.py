"""Audit: live every top-up again from its journal.

Must not know: accounts' balances or the node. Memory is bounded by the number of top-ups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.bookings import topup_credited
from service.domain.topups import Topup, TopupState
from service.domain.transitions import TOPUP_LIFTED, TOPUP_QUARANTINED, TOPUP_WRITTEN_OFF
from service.flows.audit_escrows import expected
from service.flows.audit_findings import Findings
from service.ports.ledger_reports import JournalEntry

CREDITED = "topup_credited"
TOPUP_STATES: Mapping[str, tuple[TopupState, frozenset[TopupState | None]]] = {
    "topup_opened": (TopupState.OPENED, frozenset({None})),
    "topup_invoice_lost": (TopupState.OPENED, frozenset({TopupState.OPENED})),
    "topup_invoiced": (TopupState.INVOICED, frozenset({TopupState.OPENED})),
    "topup_lapsed": (TopupState.LAPSED, frozenset({TopupState.OPENED, TopupState.INVOICED})),
    CREDITED: (
        TopupState.CREDITED,
        frozenset({TopupState.OPENED, TopupState.INVOICED, TopupState.LAPSED}),
    ),
}

# The operator's words: the state stays, but for what he writes off before it was credited.
_KEPT = frozenset({TOPUP_QUARANTINED, TOPUP_LIFTED})
_ANY = frozenset(TopupState)
TOPUP_KINDS = frozenset(TOPUP_STATES) | _KEPT | {TOPUP_WRITTEN_OFF}


@dataclass(slots=True)
class _Life:
    state: TopupState | None = None
    entries: int = 0
    paid_msat: int = 0
    quarantine: str | None = None


class TopupReplay:
    """Every top-up, from its journal. `rows` are the top-ups as they stand."""

    def __init__(self, findings: Findings) -> None:
        """No top-up yet."""
        self.rows: dict[str, Topup] = {}
        self._lives: dict[str, _Life] = {}
        self._findings = findings

    def expect(self, row: Topup) -> None:
        """A top-up row: its life should be in the journal."""
        self.rows[row.topup_id] = row

    def told(self, entry: JournalEntry) -> None:
        """Live one entry."""
        row = self.rows.get(entry.subject_id)
        if row is None:
            message = f"{entry.key} is of a top-up with no row"
            self._findings.add("journal_orphan", entry.subject_id, message)
            return
        life = self._lives.setdefault(entry.subject_id, _Life())
        state, before = _leads(entry.kind, life.state)
        self._findings.demand(
            "event_impossible",
            entry.subject_id,
            f"{entry.key}: {entry.kind} cannot follow {life.state}",
            sound=life.state in before,
        )
        life.state = state
        life.entries += 1
        life.quarantine = _quarantine(entry, life.quarantine)
        if state is TopupState.CREDITED and entry.kind in TOPUP_STATES:
            paid_msat = entry.facts.get("paid_msat")
            life.paid_msat = paid_msat if isinstance(paid_msat, int) else 0
        self._compare_postings(entry, row, life)

    def _compare_postings(self, entry: JournalEntry, row: Topup, life: _Life) -> None:
        wanted = topup_credited(
            caller_id=row.caller_id,
            node_alias=str(entry.facts.get("node_alias")),
            paid_msat=life.paid_msat if entry.kind == CREDITED else 0,
        )
        self._findings.demand(
            "postings_differ",
            entry.key,
            f"{entry.kind} books something else than what was paid to {row.caller_id}",
            sound=expected(wanted) == entry.transfers and entry.caller_id == row.caller_id,
        )

    def finish(self) -> None:
        """After the journal's end: every row against its life."""
        for topup_id, row in sorted(self.rows.items()):
            life = self._lives.get(topup_id)
            if life is None:
                self._findings.add("row_orphan", topup_id, "the row has no entry in the journal")
                continue
            stands = (row.state, row.version, row.paid_msat, row.quarantine)
            lived = (life.state, life.entries, life.paid_msat, life.quarantine)
            self._findings.demand(
                "state_differs" if row.state is not life.state else "row_differs",
                topup_id,
                f"the row says state, version, paid msat and quarantine {_shown(stands)}, its "
                f"journal {_shown(lived)}",
                sound=stands == lived,
            )


def _leads(
    kind: str, state: TopupState | None
) -> tuple[TopupState | None, frozenset[TopupState | None]]:
    if kind in TOPUP_STATES:
        return TOPUP_STATES[kind]
    if kind in _KEPT or state is TopupState.CREDITED:
        return state, _ANY
    return TopupState.LAPSED, _ANY


def _quarantine(entry: JournalEntry, before: str | None) -> str | None:
    if entry.kind == TOPUP_QUARANTINED:
        return str(entry.facts.get("reason"))
    return None if entry.kind in {TOPUP_LIFTED, TOPUP_WRITTEN_OFF} else before


def _shown(parts: tuple[object, ...]) -> str:
    return ", ".join(map(str, parts))
