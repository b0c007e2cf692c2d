"""Audit: editions of the benchmarks that were sold, each lived again from what its entry says.

There is no row beside the entry. What it books is made anew from its facts, and what it leaves in
the accounts is counted a second time without those bookings. Memory is bounded by the buyers and by
what counts their keys and budgets.
"""

from __future__ import annotations

from collections import Counter
from datetime import date

from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import Transfer
from cobot_meter.domain.money import AMOUNT_MAX
from cobot_meter.domain.pricing.prices import charged_pusd
from cobot_meter.domain.transitions.editions import EditionSale, edition_as_told, edition_sold
from cobot_meter.flows.audit.findings import Findings
from cobot_meter.ports.ledger_reports import JournalEntry, JournalTransfer

DAY_MS = 86_400_000


class EditionsReplay:
    """`paid_msat` by caller, and `counted` by account of a key or of a budget."""

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
