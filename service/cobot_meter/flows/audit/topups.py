"""Audit: live every top-up again from its journal.

Must not know: accounts' balances or the node. Memory is bounded by the number of top-ups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cobot_meter.domain.topups import Topup, TopupState
from cobot_meter.domain.transitions.kinds import TOPUP_LIFTED, TOPUP_QUARANTINED, TOPUP_WRITTEN_OFF
from cobot_meter.domain.transitions.row_digests import ROW, topup_digest
from cobot_meter.flows.audit.findings import Findings
from cobot_meter.ports.ledger_reports import JournalEntry, JournalTransfer

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
    settle_index: int = 0
    digest: str | None = None
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
        digest = entry.facts.get(ROW)
        life.digest = digest if isinstance(digest, str) else None
        life.quarantine = _quarantine(entry, life.quarantine)
        if state is TopupState.CREDITED and entry.kind in TOPUP_STATES:
            life.paid_msat = _number(entry, "paid_msat")
            life.settle_index = _number(entry, "settle_index")
        self._compare_label(entry, row)
        self._compare_postings(entry, row, life)

    def _compare_label(self, entry: JournalEntry, row: Topup) -> None:
        credited = entry.kind == "topup_credited"
        wanted = f"ln/{row.payment_hash}" if credited else f"{row.topup_id}/{entry.kind}/"
        sound = entry.key == wanted if credited else entry.key.startswith(wanted)
        if credited:
            sound = sound and entry.facts.get("payment_hash") == row.payment_hash
        if entry.kind == "topup_opened":
            sound = sound and entry.at_ms == row.opened_at_ms
        message = f"it should be {wanted}, of this hash and, when it opens, at {row.opened_at_ms}"
        self._findings.demand("entry_mislabelled", entry.key, message, sound=sound)

    def _compare_postings(self, entry: JournalEntry, row: Topup, life: _Life) -> None:
        """All that was paid is credit: said here without the booking that said so then."""
        wanted: tuple[JournalTransfer, ...] = ()
        if entry.kind == CREDITED and life.paid_msat:
            node_alias = str(entry.facts.get("node_alias"))
            wanted = (credit(row.caller_id, node_alias=node_alias, paid_msat=life.paid_msat),)
        self._findings.demand(
            "postings_differ",
            entry.key,
            f"{entry.kind} books something else than what was paid to {row.caller_id}",
            sound=wanted == entry.transfers and entry.caller_id == row.caller_id,
        )

    def finish(self) -> None:
        """After the journal's end: every row against its life."""
        for topup_id, row in sorted(self.rows.items()):
            life = self._lives.get(topup_id)
            if life is None:
                self._findings.add("row_orphan", topup_id, "the row has no entry in the journal")
                continue
            stands = (row.state, row.version, row.paid_msat, row.settle_index, row.quarantine)
            lived = (
                life.state,
                life.entries,
                life.paid_msat,
                life.settle_index,
                life.quarantine,
            )
            self._findings.demand(
                "state_differs" if row.state is not life.state else "row_differs",
                topup_id,
                "the row says state, version, paid msat, settle index and quarantine "
                f"{_shown(stands)}, its "
                f"journal {_shown(lived)}",
                sound=stands == lived,
            )
            self._findings.demand(
                "row_differs",
                topup_id,
                "the row is not what its last entry left: the digest that the entry keeps differs",
                sound=life.digest in {None, topup_digest(row)},
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


def _number(entry: JournalEntry, name: str) -> int:
    value = entry.facts.get(name)
    return value if isinstance(value, int) else 0


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
