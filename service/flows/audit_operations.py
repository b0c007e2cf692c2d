"""Audit: operators' words on callers and nodes, and what was compared with the upstream's usage.

Must not know: escrows, balances or the node. Memory is bounded by the callers spoken of.
"""

from __future__ import annotations

from service.domain.accounts import COST_UNATTRIBUTED
from service.domain.bookings import unattributed
from service.domain.callers import CallerStanding
from service.domain.money import usd_text
from service.domain.transitions import BASELINE_KEY, NODE_ADOPTED
from service.flows.audit_escrows import expected
from service.flows.audit_findings import Findings
from service.ports.ledger_reports import JournalEntry

UPSTREAM = "upstream"
OPERATOR = "operator"
NODE = "node"


class OperationsReplay:
    """Operators' words on callers and nodes, and what was compared with the upstream.

    `node_pubkey` is whose books these are; None in books from before they knew.
    """

    def __init__(self, findings: Findings) -> None:
        """Nothing said."""
        self.baseline_pusd: int | None = None
        self.compared_pusd = 0
        self.node_pubkey: str | None = None
        self._adoptions = 0
        self._words: dict[str, tuple[bool, str | int | None]] = {}
        self._findings = findings

    def told(self, entry: JournalEntry) -> None:
        """Take one entry in."""
        if entry.subject_id == OPERATOR and entry.kind == "caller_changed":
            word = (bool(entry.facts.get("blocked")), entry.facts.get("cap_msat"))
            self._words[str(entry.caller_id)] = word
            self._demand_no_postings(entry)
        elif entry.key == BASELINE_KEY:
            usage_pusd = entry.facts.get("usage_pusd")
            self.baseline_pusd = usage_pusd if isinstance(usage_pusd, int) else None
            self._demand_no_postings(entry)
        elif entry.subject_id == NODE and entry.kind == NODE_ADOPTED:
            self._adopted(entry)
        elif entry.subject_id == UPSTREAM and entry.kind == "usage_compared":
            self._compared(entry)
        else:
            message = f"no entry of {entry.subject_id} is called {entry.kind}"
            self._findings.add("entry_unknown", entry.key, message)

    def _adopted(self, entry: JournalEntry) -> None:
        self._adoptions += 1
        self.node_pubkey = str(entry.facts.get("pubkey"))
        wanted = f"{NODE}/{NODE_ADOPTED}/{self._adoptions}"
        message = f"it should be {wanted}"
        self._findings.demand("entry_mislabelled", entry.key, message, sound=entry.key == wanted)
        self._demand_no_postings(entry)

    def closed(self, entry: JournalEntry) -> None:
        """An entry that the operator's word on a node made: it belongs to an adoption."""
        number = entry.facts.get("adoption")
        self._findings.demand(
            "adoption_differs",
            entry.key,
            f"it was closed for adoption {number}, and {self._adoptions} were booked before it",
            # Another process may still be closing when one has finished.
            sound=number in {self._adoptions, self._adoptions + 1} and self._adoptions > 0,
        )

    def _compared(self, entry: JournalEntry) -> None:
        found_pusd = sum(
            one.amount if one.debit == COST_UNATTRIBUTED.code else -one.amount
            for one in entry.transfers
        )
        self.compared_pusd += found_pusd
        self._findings.demand(
            "postings_differ",
            entry.key,
            f"it books {found_pusd} pusd, but {entry.facts.get('unattributed_usd')} USD were found",
            sound=expected(unattributed(found_pusd)) == entry.transfers
            and usd_text(found_pusd) == entry.facts.get("unattributed_usd"),
        )

    def _demand_no_postings(self, entry: JournalEntry) -> None:
        message = f"{entry.kind} moves no money, but this entry does"
        self._findings.demand("postings_differ", entry.key, message, sound=not entry.transfers)

    def compare(self, standing: CallerStanding) -> None:
        """Hold what stands for a caller against the operator's last word."""
        word = self._words.pop(standing.caller_id, (False, None))
        self._findings.demand(
            "caller_differs",
            standing.caller_id,
            f"blocked and cap stand at {standing.blocked} and {standing.cap_override_msat}, the "
            f"operator's last word was {word[0]} and {word[1]}",
            sound=(standing.blocked, standing.cap_override_msat) == word,
        )

    def finish(self) -> None:
        """After the last caller: words on callers that are not there."""
        for caller_id in sorted(self._words):
            message = "the operator spoke of it, but it is not in the books"
            self._findings.add("caller_missing", caller_id, message)
