"""Audit: what is of no sale: operators' words, owners' on budgets, finds at the node, editions.

Must not know: escrows, balances or the node itself. Memory is bounded by the callers spoken of and
the payments found.
"""

from __future__ import annotations

from collections import Counter
from datetime import date

from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import Transfer
from cobot_meter.domain.money import AMOUNT_MAX
from cobot_meter.domain.pricing.prices import charged_pusd
from cobot_meter.domain.transitions.budgets import budgets_as_told, budgets_transition
from cobot_meter.domain.transitions.editions import EditionSale, edition_as_told, edition_sold
from cobot_meter.domain.transitions.kinds import (
    NODE_ADOPTED,
    NODE_SWEPT,
    PAYMENT_FOUND,
    PAYMENT_SET_ASIDE,
)
from cobot_meter.flows.audit.findings import Findings
from cobot_meter.flows.audit.settlements import Settlement
from cobot_meter.flows.audit.topups import credit
from cobot_meter.ports.ledger_reports import CallerWord, JournalEntry, JournalTransfer

DAY_MS = 86_400_000
OPERATOR = "operator"
NODE = "node"


class OperationsReplay:
    """Operators' words on callers and nodes, and what sweeps of the node booked.

    `node_pubkey` is whose books these are; None in books from before they knew. `adopted` are all
    whose books they ever were. `found` are payments that a sweep credited, `set_aside` the hashes
    of those that the operator said are nobody's. `swept_from_s` is where the first sweep began.
    """

    def __init__(self, findings: Findings) -> None:
        """Nothing said."""
        self.node_pubkey: str | None = None
        self.adopted: set[str] = set()
        self.found: dict[str, tuple[str, Settlement]] = {}
        self.set_aside: set[str] = set()
        self.swept_from_s: int | None = None
        self._sweeps = 0
        self._adoptions = 0
        self._words: dict[str, tuple[bool, str | int | None]] = {}
        self._numbers: Counter[str] = Counter()
        self._findings = findings

    def told(self, entry: JournalEntry) -> None:
        """Take one entry in."""
        match entry.subject_id, entry.kind:
            case "operator", "caller_changed":
                self._caller_changed(entry)
            case "node", kind if kind == NODE_ADOPTED:
                self._adopted(entry)
            case "node", kind if kind == NODE_SWEPT:
                self._swept(entry)
            case "node", kind if kind == PAYMENT_FOUND:
                self._found(entry)
            case "node", kind if kind == PAYMENT_SET_ASIDE:
                payment_hash = str(entry.facts.get("payment_hash"))
                self.set_aside.add(payment_hash)
                self._demand_label(entry, f"node/{PAYMENT_SET_ASIDE}/{payment_hash}")
                self._demand_no_postings(entry)
            case _:
                message = f"no entry of {entry.subject_id} is called {entry.kind}"
                self._findings.add("entry_unknown", entry.key, message)

    def _caller_changed(self, entry: JournalEntry) -> None:
        caller_id = str(entry.caller_id)
        word = (bool(entry.facts.get("blocked")), entry.facts.get("cap_msat"))
        self._words[caller_id] = word
        self._demand_label(entry, f"{caller_id}/caller_changed/{self._numbers[caller_id]}")
        self._numbers[caller_id] += 1
        self._demand_no_postings(entry)

    def _adopted(self, entry: JournalEntry) -> None:
        self._adoptions += 1
        self.node_pubkey = str(entry.facts.get("pubkey"))
        self.adopted.add(self.node_pubkey)
        self._demand_label(entry, f"{NODE}/{NODE_ADOPTED}/{self._adoptions}")
        self._demand_no_postings(entry)

    def _swept(self, entry: JournalEntry) -> None:
        through_s = entry.facts.get("through_s")
        if self.swept_from_s is None and isinstance(through_s, int):
            self.swept_from_s = through_s
        self._demand_label(entry, f"{NODE}/{NODE_SWEPT}/{self._sweeps}")
        self._sweeps += 1
        self._demand_no_postings(entry)

    def _found(self, entry: JournalEntry) -> None:
        payment_hash, paid_msat = str(entry.facts.get("payment_hash")), entry.facts.get("paid_msat")
        paid_msat = paid_msat if isinstance(paid_msat, int) else 0
        caller_id = str(entry.caller_id)
        settlement = Settlement(
            subject_id=entry.key,
            caller_id=caller_id,
            payment_hash=payment_hash,
            paid_msat=paid_msat,
            node_pubkey=str(entry.facts.get("node_pubkey")),
        )
        self.found[payment_hash] = (caller_id, settlement)
        self._demand_label(entry, f"ln/{payment_hash}")
        wanted = credit(
            caller_id, node_alias=str(entry.facts.get("node_alias")), paid_msat=paid_msat
        )
        message = f"{entry.kind} books something else than what was paid by {caller_id}"
        sound = entry.transfers == (wanted,)
        self._findings.demand("postings_differ", entry.key, message, sound=sound)

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

    def _demand_label(self, entry: JournalEntry, wanted: str) -> None:
        message = f"it should be {wanted}"
        self._findings.demand("entry_mislabelled", entry.key, message, sound=entry.key == wanted)

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

    def finish(self, words: tuple[CallerWord, ...]) -> None:
        """After the last caller: words on callers that are not there, rows that nobody said."""
        for caller_id in sorted(self._words):
            message = "the operator spoke of it, but it is not in the books"
            self._findings.add("caller_missing", caller_id, message)
        for word in words:
            message = "the operator never spoke of it, but a word of his is in the books"
            sound = word.caller_id in self._numbers
            self._findings.demand("caller_differs", word.caller_id, message, sound=sound)


class BudgetsReplay:
    """Owners' words on budgets: each numbered, one that can be read, and nothing moved.

    No row repeats them, so there is none to be held against them. What counts in each window is in
    `exposure.py`. Memory is bounded by the owners.
    """

    def __init__(self, findings: Findings) -> None:
        """None yet."""
        self._findings = findings
        self._words: Counter[str] = Counter()

    def told(self, entry: JournalEntry) -> None:
        """Hold one entry against the one that its own facts would make."""
        owner = str(entry.facts.get("owner"))
        self._words[owner] += 1
        try:
            sheet = budgets_as_told(entry.facts, number=self._words[owner])
        except (KeyError, ValueError) as fault:
            self._findings.add("event_impossible", entry.key, f"it says no budgets: {fault}")
            return
        told = budgets_transition(sheet, at_ms=entry.at_ms)
        self._findings.demand(
            "entry_mislabelled",
            entry.key,
            f"it should be {told.key} of {told.caller_id}, move nothing and say {told.facts}",
            sound=(entry.key, entry.kind, entry.caller_id, dict(entry.facts), entry.transfers)
            == (told.key, told.kind, told.caller_id, dict(told.facts), ()),
        )


class EditionsReplay:
    """Editions of the benchmarks that were sold: `paid_msat` by caller, `counted` by account.

    There is no row beside an entry. What it books is made anew from its facts, and what it leaves
    with buyers, keys and budgets is counted a second time without those bookings.
    """

    def __init__(self, findings: Findings) -> None:
        """None sold yet."""
        self.paid_msat: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        self._findings = findings

    def told(self, entry: JournalEntry) -> None:
        """Hold one entry against the one that its own facts would make."""
        try:
            sale = edition_as_told(entry.caller_id, entry.facts)
            told = edition_sold(sale, at_ms=entry.at_ms)
            began_ms = (date.fromisoformat(sale.edition) - date(1970, 1, 1)).days * DAY_MS
        except (KeyError, ValueError, TypeError, LedgerUnbalanced) as fault:
            self._findings.add("event_impossible", entry.key, f"it sells no edition: {fault}")
            return
        self._findings.demand(
            "entry_mislabelled",
            entry.key,
            f"it should be {told.key}, sold once that day had begun",
            sound=(entry.key, entry.kind) == (told.key, told.kind) and entry.at_ms >= began_ms,
        )
        self._findings.demand(
            "postings_differ",
            entry.key,
            f"{entry.kind} books something else than {sale.price_msat} msat of {sale.caller_id}",
            sound=entry.transfers == tuple(map(_as_stored, told.transfers)),
        )
        self._count(sale)

    def _count(self, sale: EditionSale) -> None:
        self.paid_msat[sale.caller_id] += sale.price_msat
        if sale.key_id is not None:
            self.counted[chart.key_spent(sale.key_id).code] += sale.price_msat
            self.counted[chart.key_day(sale.key_id, sale.day).code] += sale.price_msat
        for code in sale.budgets.split():
            in_usd = code.startswith("budget/pusd/")
            amount = charged_pusd(sale.price_msat, sale.rate) if in_usd else sale.price_msat
            self.counted[code] += min(amount, AMOUNT_MAX)


def _as_stored(transfer: Transfer) -> JournalTransfer:
    return JournalTransfer(
        kind=transfer.kind.value,
        debit=transfer.debit.code,
        credit=transfer.credit.code,
        commodity=transfer.debit.commodity.value,
        amount=transfer.amount,
        hold_id=None,
        held=0,
    )
