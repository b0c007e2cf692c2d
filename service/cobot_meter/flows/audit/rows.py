"""Audit: what stands in the tables beside escrows, top-ups and accounts, against the journal.

Sealed bodies, settle cursors, operators' words, adopted nodes, tallies, and what rows keep so that
indexes can stand on it. Must not know: amounts, or the node. Memory is bounded by the number of
escrows and top-ups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cobot_meter.domain.escrow.events import TaskRunBegun
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.timers import due_at_ms
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.run.events import (
    Abandoned,
    CostNotFound,
    FellBack,
    RunFailed,
    RunOutcomeUnknown,
)
from cobot_meter.domain.run.record import Run, due_of_run, run_id_of
from cobot_meter.domain.transitions.api_keys import API_KEY_MADE
from cobot_meter.domain.transitions.escrows import MEMBERS, SHREDDING
from cobot_meter.domain.transitions.event_facts import event_kind
from cobot_meter.domain.transitions.kinds import NODE_ADOPTED, NUMBERED_KINDS
from cobot_meter.domain.transitions.row_digests import (
    DROPPED,
    SEALED_COMPLETION,
    SEALED_KEY,
    SEALED_REQUEST,
)
from cobot_meter.domain.transitions.topups import TOPUP_OPENED
from cobot_meter.flows.audit.findings import Findings
from cobot_meter.ports.ledger_reports import BodyDigests, JournalEntry, RowMark, SmallRows

OPENING_KINDS = frozenset({"opened", TOPUP_OPENED, API_KEY_MADE})
NEXT_RUN_KINDS = frozenset({event_kind(FellBack), event_kind(TaskRunBegun)})
# What ends a sale with its run, and none of several runs: what is sealed of that stays.
ENDS_OF_A_RUN = frozenset(map(event_kind, (Abandoned, RunFailed, RunOutcomeUnknown, CostNotFound)))
SHREDDING_KINDS = frozenset(map(event_kind, SHREDDING))
SEALED = (SEALED_KEY, SEALED_REQUEST, SEALED_COMPLETION)


class RowsReplay:
    """Takes every entry in; afterwards each table is held against what was taken in."""

    def __init__(self, findings: Findings, *, retention: Retention) -> None:
        """Nothing told."""
        self.entries = 0
        self._last = 0
        self._findings = findings
        self._retention = retention
        self._opened: dict[str, int] = {}
        self._sealed: dict[str, dict[str, str]] = {}
        self._shredded: set[str] = set()
        self._of_several: set[str] = set()
        self._cursors: dict[str, int] = {}
        self._tallies: Counter[str] = Counter()
        self._adoptions: list[AdoptedNode] = []

    def told(self, entry: JournalEntry) -> None:
        """Take one entry in."""
        self.entries += 1
        self._last = entry.sequence
        if entry.kind in OPENING_KINDS:
            self._opened[entry.subject_id] = entry.sequence
            members = entry.facts.get(MEMBERS)
            for number in range(2, members + 1 if isinstance(members, int) else 0):
                self._opened[run_id_of(entry.subject_id, number)] = entry.sequence
            if members or entry.facts.get("seller_id") is not None:
                self._of_several.add(entry.subject_id)
        elif entry.kind in NEXT_RUN_KINDS:
            self._opened[str(entry.facts.get("run_id"))] = entry.sequence
        if entry.kind in NUMBERED_KINDS:
            self._tallies[entry.key.rpartition("/")[0]] += 1
        pubkey, index = entry.facts.get("node_pubkey"), entry.facts.get("settle_index")
        if pubkey and isinstance(pubkey, str) and isinstance(index, int):  # else nothing was paid
            self._cursors[pubkey] = max(self._cursors.get(pubkey, 0), index)
        if entry.kind == NODE_ADOPTED:
            self._adoptions.append(_adopted(len(self._adoptions) + 1, entry.facts))
        self._seal(entry)

    def _seal(self, entry: JournalEntry) -> None:
        of_one_alone = entry.subject_id in self._of_several and entry.kind in ENDS_OF_A_RUN
        if entry.kind in SHREDDING_KINDS and not of_one_alone:
            self._sealed.pop(entry.subject_id, None)
            self._shredded.add(entry.subject_id)
            return
        told = {name: str(entry.facts[name]) for name in SEALED if name in entry.facts}
        if told:
            kept = self._sealed.setdefault(entry.subject_id, {})
            kept |= told
            if kept.get(SEALED_REQUEST) == DROPPED:
                del kept[SEALED_REQUEST]

    def compare_mark(self, mark: RowMark, life: Escrow | None = None) -> None:
        """Hold what a row keeps for its indexes against its life; None for a top-up or a key."""
        opened = self._opened.get(mark.subject_id)
        occupies = life.occupies_ask if life else False
        wanted = (opened, occupies, due_at_ms(life) if life else None)
        self._compare_mark(mark, wanted)

    def compare_run_mark(self, mark: RowMark, life: Run | None) -> None:
        """Hold what a run's row keeps for its indexes against its life, None for one without.

        A run occupies no ask: only its sale does.
        """
        due_ms = due_of_run(life, self._retention) if life else None
        self._compare_mark(mark, (self._opened.get(mark.subject_id), False, due_ms))

    def _compare_mark(self, mark: RowMark, wanted: tuple[int | None, bool, int | None]) -> None:
        found = (mark.opened_sequence, mark.occupies_ask, mark.due_at_ms)
        self._findings.demand(
            "index_differs",
            mark.subject_id,
            f"opened_sequence, occupies_ask and due_at_ms stand at {found}, its journal makes them "
            f"{wanted}",
            sound=wanted[0] is None or found == wanted,
        )

    def compare_body(self, stored: BodyDigests) -> None:
        """Hold what is sealed against what was stored; it is looked at without its key."""
        escrow_id = stored.escrow_id
        if escrow_id in self._shredded or escrow_id not in self._opened:
            message = "a sealed body is kept of an escrow that is gone, or whose key was dropped"
            self._findings.add("body_left_over", escrow_id, message)
            return
        kept = self._sealed.pop(escrow_id, None)
        if kept is None:
            return  # stored by a version that told nothing of it
        found = (stored.wrapped_key, stored.request, stored.completion)
        wrong = [
            name
            for name, digest in zip(SEALED, found, strict=True)
            if digest != kept.get(name) and (SEALED_KEY in kept or name in kept)
        ]
        self._findings.demand(
            "body_differs",
            escrow_id,
            f"{', '.join(wrong)} is not what was stored when it was sealed",
            sound=not wrong,
        )

    def compare_small(self, rows: SmallRows) -> None:
        """Hold the small tables against the journal; the operator's words are not among them."""
        for escrow_id in sorted(self._sealed):
            if SEALED_KEY in self._sealed[escrow_id]:
                message = "what was sealed is gone, though its key was not dropped"
                self._findings.add("body_missing", escrow_id, message)
        found = {one.node_pubkey: one.settle_index for one in rows.cursors}
        self._compare("cursor_differs", found, self._cursors)
        tallies = {name: count for name, count in rows.tallies.items() if name != "journal"}
        self._compare("tally_differs", tallies, self._tallies)
        self._findings.demand(
            "adoption_differs",
            "node_adoption",
            f"its rows say {_shown(rows.adoptions)}, the journal {_shown(self._adoptions)}",
            sound=rows.adoptions == tuple(self._adoptions),
        )
        for sequence in rows.strays:
            message = "its transfers are not lines 0, 1, 2... of an entry that is there"
            self._findings.add("transfer_lines", f"entry {sequence}", message)
        # Without a count beside them the numbers themselves have no gaps.
        counted = self._last if rows.entries is None else rows.entries
        self._findings.demand(
            "journal_gap",
            "journal",
            f"{self.entries} entries are there, and {counted} were counted when they were written",
            sound=counted == self.entries,
        )

    def _compare(self, code: str, found: Mapping[str, int], wanted: Mapping[str, int]) -> None:
        for name in sorted(found.keys() | wanted.keys()):
            message = f"it stands at {found.get(name)}, the journal makes it {wanted.get(name)}"
            sound = found.get(name) == wanted.get(name)
            self._findings.demand(code, name, message, sound=sound)


def _adopted(number: int, facts: Mapping[str, str | int | None]) -> AdoptedNode:
    return AdoptedNode(
        number=number,
        pubkey=str(facts.get("pubkey")),
        network=str(facts.get("network")),
        alias=str(facts.get("alias")),
    )


def _shown(nodes: tuple[AdoptedNode, ...] | list[AdoptedNode]) -> str:
    return ", ".join(f"{node.number} {node.pubkey} {node.network} {node.alias}" for node in nodes)
