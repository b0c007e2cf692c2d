"""Audit: add the journal up, account by account, and hold the account rows against the sum.

Must not know: escrows, or what an entry is about. Memory is bounded by accounts and open holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.ledger.accounts import account_of, upstream_credits, upstream_of
from cobot_meter.domain.ledger.transfers import Transfer, TransferKind
from cobot_meter.flows.audit.findings import CommodityTotals, Findings
from cobot_meter.ports.ledger_reports import Balance, JournalEntry, JournalTransfer

RESOLVING = frozenset({TransferKind.POST, TransferKind.VOID})
COUNTERS = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")


@dataclass(slots=True)
class Counters:
    """The four counters of one account, as the journal adds them up."""

    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0

    @property
    def net(self) -> int:
        """Debits less credits, posted."""
        return self.debits_posted - self.credits_posted


@dataclass(frozen=True, slots=True)
class OpenReservation:
    """A reservation that nothing has resolved yet."""

    debit: str
    credit: str
    amount: int


class AccountReplay:
    """Walks entries in order; `counters` and `holds` are what they have come to so far."""

    def __init__(self, findings: Findings) -> None:
        """Start from nothing, as the books did."""
        self.counters: dict[str, Counters] = {}
        self.holds: dict[str, OpenReservation] = {}
        self.entries = 0
        self.transfers = 0
        self._findings = findings
        self._last_sequence = 0
        self._reported: set[tuple[str, str]] = set()

    def net(self, code: str) -> int:
        """Debits less credits, posted, of one account; 0 for one that nothing moved."""
        counters = self.counters.get(code)
        return counters.net if counters else 0

    def spent_pusd(self, upstream: str | None) -> int:
        """What was booked at this upstream so far; at all of them together for None."""
        if upstream is not None:
            return -self.net(upstream_credits(upstream).code)
        return -sum(one.net for code, one in self.counters.items() if upstream_of(code))

    def told(self, entry: JournalEntry) -> None:
        """Add one entry up."""
        self._findings.demand(
            "journal_order",
            entry.key,
            f"entry {entry.sequence} follows entry {self._last_sequence}",
            sound=entry.sequence > self._last_sequence,
        )
        self._last_sequence = entry.sequence
        self.entries += 1
        for transfer in entry.transfers:
            self.transfers += 1
            if self._sound(entry, transfer):
                self._book(entry, transfer)
        for transfer in entry.transfers:
            self._guard(entry, transfer.debit)
            self._guard(entry, transfer.credit)

    def _sound(self, entry: JournalEntry, transfer: JournalTransfer) -> bool:
        problem = _unsound(transfer)
        if problem:
            self._findings.add("transfer_unsound", entry.key, problem)
        return not problem

    def _book(self, entry: JournalEntry, transfer: JournalTransfer) -> None:
        kind = TransferKind(transfer.kind)
        if kind is TransferKind.PENDING:
            self._reserve(entry, transfer)
        elif kind in RESOLVING:
            self._resolve(entry, transfer)
        pending = transfer.amount if kind is TransferKind.PENDING else -transfer.held
        posted = 0 if kind is TransferKind.PENDING else transfer.amount
        debit = self.counters.setdefault(transfer.debit, Counters())
        debit.debits_posted += posted
        debit.debits_pending += pending
        credit = self.counters.setdefault(transfer.credit, Counters())
        credit.credits_posted += posted
        credit.credits_pending += pending

    def _reserve(self, entry: JournalEntry, transfer: JournalTransfer) -> None:
        hold_id = str(transfer.hold_id)
        self._findings.demand(
            "hold_taken_twice",
            entry.key,
            f"{hold_id} is reserved while it is still open",
            sound=hold_id not in self.holds,
        )
        self.holds[hold_id] = OpenReservation(transfer.debit, transfer.credit, transfer.amount)

    def _resolve(self, entry: JournalEntry, transfer: JournalTransfer) -> None:
        hold_id = str(transfer.hold_id)
        hold = self.holds.pop(hold_id, None)
        if hold is None:
            self._findings.add(
                "hold_not_open",
                entry.key,
                f"{hold_id} is resolved, but was never reserved or was resolved before",
            )
            return
        resolved = OpenReservation(transfer.debit, transfer.credit, transfer.held)
        self._findings.demand(
            "hold_differs",
            entry.key,
            f"{hold_id} was reserved as {_shown(hold)} and resolved as {_shown(resolved)}",
            sound=hold == resolved,
        )

    def _guard(self, entry: JournalEntry, code: str) -> None:
        counters = self.counters.get(code)
        if counters is None:
            return
        if min(counters.debits_pending, counters.credits_pending) < 0:
            self._once("pending_negative", code, f"more is released than reserved at {entry.key}")
        owed = -counters.net - counters.debits_pending
        if code.endswith("/available") and owed < 0:
            self._once("credit_overdrawn", code, f"{-owed} msat too much are spent at {entry.key}")

    def _once(self, code: str, account: str, message: str) -> None:
        """What goes wrong once stays wrong: later entries of the account are not new findings."""
        if (code, account) not in self._reported:
            self._reported.add((code, account))
            self._findings.add(code, account, message)

    def compare(self, rows: Iterable[Balance]) -> tuple[CommodityTotals, ...]:
        """Hold the account rows against the journal; both sides of each commodity."""
        seen: set[str] = set()
        totals: dict[str, Counters] = {}
        for row in rows:
            seen.add(row.account)
            total = totals.setdefault(row.commodity, Counters())
            for name in COUNTERS:
                setattr(total, name, getattr(total, name) + getattr(row, name))
            self._compare_row(row)
        for code in sorted(self.counters.keys() - seen):
            self._findings.add("account_missing", code, "the journal moves it, but it has no row")
        return tuple(
            self._balanced(commodity, total) for commodity, total in sorted(totals.items())
        )

    def _compare_row(self, row: Balance) -> None:
        account = account_of(row.account)
        labels = (account.commodity, account.nature, account.exact) if account else None
        exact = account.exact if account and row.exact is None else row.exact
        self._findings.demand(
            "account_unknown",
            row.account,
            f"the chart of accounts has no such account in {row.commodity} as {row.nature}, "
            f"{'guarded' if exact else 'rolled up'}",
            sound=labels == (row.commodity, row.nature, exact),
        )
        counted = self.counters.get(row.account, Counters())
        wrong = [
            f"{name} {getattr(row, name)} instead of {getattr(counted, name)}"
            for name in COUNTERS
            if getattr(row, name) != getattr(counted, name)
        ]
        self._findings.demand(
            "account_differs",
            row.account,
            f"the row says {', '.join(wrong)}, which is what the journal adds up to",
            sound=not wrong,
        )

    def _balanced(self, commodity: str, total: Counters) -> CommodityTotals:
        sums = CommodityTotals(
            commodity=commodity,
            debits_posted=total.debits_posted,
            credits_posted=total.credits_posted,
            debits_pending=total.debits_pending,
            credits_pending=total.credits_pending,
        )
        self._findings.demand(
            "out_of_balance",
            commodity,
            f"the account rows debit {sums.debits_posted} and credit {sums.credits_posted} posted, "
            f"{sums.debits_pending} and {sums.credits_pending} pending",
            sound=sums.balanced,
        )
        return sums


def _unsound(transfer: JournalTransfer) -> str:
    """Why this row is no transfer; empty when it is one."""
    debit, credit = account_of(transfer.debit), account_of(transfer.credit)
    if debit is None or credit is None:
        unknown = transfer.debit if debit is None else transfer.credit
        return f"{unknown} is in no chart of accounts"
    if transfer.commodity != debit.commodity:
        return f"{transfer.debit} does not hold {transfer.commodity}"
    try:
        Transfer(
            kind=TransferKind(transfer.kind),
            debit=debit,
            credit=credit,
            amount=transfer.amount,
            hold_id=transfer.hold_id,
            held=transfer.held,
        )
    except ValueError:
        return f"no transfer is of the kind {transfer.kind!r}"
    except LedgerUnbalanced:
        return (
            f"{transfer.kind} of {transfer.amount} {transfer.commodity} from {transfer.debit} "
            f"to {transfer.credit} (held {transfer.held}) cannot be booked"
        )
    return ""


def _shown(hold: OpenReservation) -> str:
    return f"{hold.amount} from {hold.debit} to {hold.credit}"
