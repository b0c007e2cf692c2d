"""Audit: everything that one walk over the books adds up, entry by entry, then table by table.

Must not know: the node, the upstream, or how findings are shown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

from cobot_meter.domain.escrow.states import STATES
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.api_keys import API_KEY_KINDS
from cobot_meter.domain.transitions.escrows import Book
from cobot_meter.domain.transitions.kinds import BUDGETS, EDITIONS, RELEASES
from cobot_meter.domain.transitions.topups import TOPUP_KINDS
from cobot_meter.flows.audit.accounts import AccountReplay
from cobot_meter.flows.audit.api_keys import ApiKeyReplay
from cobot_meter.flows.audit.escrows import EscrowReplay
from cobot_meter.flows.audit.findings import CommodityTotals, Findings
from cobot_meter.flows.audit.node import KnownPayments
from cobot_meter.flows.audit.operations import (
    NODE,
    OPERATOR,
    BudgetsReplay,
    EditionsReplay,
    OperationsReplay,
)
from cobot_meter.flows.audit.quarantine import ReleasesReplay, check_quarantine
from cobot_meter.flows.audit.rows import RowsReplay
from cobot_meter.flows.audit.settlements import Settlement
from cobot_meter.flows.audit.topups import TopupReplay
from cobot_meter.flows.audit.totals import Totals, check_reservations, count_all
from cobot_meter.flows.audit.upstream import UPSTREAM, UpstreamReplay
from cobot_meter.ports.ledger_reports import JournalEntry, LedgerReports

CALLERS_PAGE = 500
# Where a settlement is booked as soon as somebody hears of it.


class AuditWalk:
    """The parts, and one pass of them over a snapshot."""

    def __init__(self, *, retention: Retention, book: Book) -> None:
        """`book` is what the service books with."""
        self.findings = findings = Findings()
        self.accounts = AccountReplay(findings)
        self.escrows = EscrowReplay(findings, retention=retention, book=book)
        self.topups = TopupReplay(findings)
        self.api_keys = ApiKeyReplay(findings)
        self.budgets = BudgetsReplay(findings)
        self.editions = EditionsReplay(findings)
        self.operations = OperationsReplay(findings)
        self.upstream = UpstreamReplay(findings)
        self.releases = ReleasesReplay(findings)
        self.rows = RowsReplay(findings, retention=retention)
        self._of_no_sale: dict[str, Callable[[JournalEntry], None]] = {
            BUDGETS: self.budgets.told,
            EDITIONS: self.editions.told,
            RELEASES: self.releases.told,
            UPSTREAM: partial(self.upstream.told, booked_pusd=self.accounts.spent_pusd),
            OPERATOR: self.operations.told,
            NODE: self.operations.told,
        }
        self.totals: tuple[CommodityTotals, ...] = ()
        self.account_rows = 0
        self.callers = 0
        self._settled_by: dict[str, str] = {}
        self._settle_indexes: dict[str, int] = {}

    async def over(self, reports: LedgerReports) -> None:
        """All of it: journal and tables, then the second opinion."""
        async for escrow in reports.escrows():
            self.escrows.expect(escrow)
            check_quarantine(self.findings, escrow)
        async for run in reports.runs():
            self.escrows.expect_run(run)
        async for topup in reports.topups():
            self.topups.expect(topup)
            check_quarantine(self.findings, topup)
        async for entry in reports.journal():
            self._told(entry)
        balances = await reports.balances()
        self.account_rows = len(balances)
        self.totals = self.accounts.compare(balances)
        async for escrow in reports.escrows():
            self.escrows.compare(escrow)
        async for run in reports.runs():
            self.escrows.compare_run(run)
        self.escrows.finish()
        self.topups.finish()
        async for key in reports.api_keys():
            self.api_keys.compare(key)
        self.api_keys.finish()
        self.releases.finish()
        await self._beside(reports)
        self._second_opinion()
        self._check_nodes()

    def _told(self, entry: JournalEntry) -> None:
        """Each entry is added up, and is lived by whoever it is of."""
        self.accounts.told(entry)
        self.rows.told(entry)
        pubkey, index = entry.facts.get("node_pubkey"), entry.facts.get("settle_index")
        if pubkey and isinstance(index, int):
            payment_hash = str(entry.facts.get("payment_hash"))
            self._settled_by[payment_hash] = sys.intern(str(pubkey))
            self._settle_indexes[payment_hash] = index
        if entry.facts.get("adoption") is not None:
            self.operations.closed(entry)
        self._lived(entry)
        if entry.subject_id in {NODE, UPSTREAM}:
            self.findings.demand(
                "entry_mislabelled",
                entry.key,
                "only what was found at the node has a caller",
                sound=(entry.caller_id is None) == (entry.key.partition("/")[0] != "ln"),
            )

    def _lived(self, entry: JournalEntry) -> None:
        """The entry to the part that lives its subject: a sale, where it is of nothing else."""
        told = self._told_elsewhere(entry)
        if told is None:
            self.escrows.told(entry)
            return
        self.findings.demand(
            "entry_mislabelled",
            entry.key,
            "only what is of a task has a seller",
            sound=entry.seller_id is None,
        )
        told(entry)

    def _told_elsewhere(self, entry: JournalEntry) -> Callable[[JournalEntry], None] | None:
        if entry.kind in TOPUP_KINDS:
            return self.topups.told
        if entry.kind in API_KEY_KINDS:
            return self.api_keys.told
        return self._of_no_sale.get(entry.subject_id)

    async def _beside(self, reports: LedgerReports) -> None:
        """What the tables hold beside the rows' own values."""
        small = await reports.small_rows()
        async for mark in reports.escrow_marks():
            self.rows.compare_mark(mark, self.escrows.lives.get(mark.subject_id))
        runs = {run.run_id: run for life in self.escrows.lives.values() for run in life.runs}
        async for mark in reports.run_marks():
            self.rows.compare_run_mark(mark, runs.get(mark.subject_id))
        async for mark in reports.topup_marks():
            self.rows.compare_mark(mark)
        async for mark in reports.api_key_marks():
            self.rows.compare_mark(mark)
        async for stored in reports.body_digests():
            self.rows.compare_body(stored)
        self.rows.compare_small(small)
        after = ""
        while page := await reports.callers(after=after, limit=CALLERS_PAGE):
            for standing in page:
                self.operations.compare(standing)
            self.callers += len(page)
            after = page[-1].caller_id
        self.operations.finish(small.words)

    def _second_opinion(self) -> None:
        """Sums and open reservations, from states and events alone."""
        totals = Totals(self.findings)
        count_all(totals, self.escrows.lives.values())
        totals.claims_lapsed(self.escrows.kept_msat)
        totals.unattributed(self.escrows.attributed_pusd)
        totals.unattributed(self.upstream.compared_pusd)
        totals.exposed(self.escrows.exposure.counted)
        totals.editions(self.editions.paid_msat)
        totals.exposed(self.editions.counted)
        for topup in self.topups.rows.values():
            totals.credited(topup.caller_id, topup.paid_msat)
        for caller_id, settlement in self.operations.found.values():
            totals.credited(caller_id, settlement.paid_msat)
        totals.compare(self.accounts)
        check_reservations(self.findings, self.accounts.holds, self.escrows.lives)

    def _check_nodes(self) -> None:
        """Payments can only have come to a node that these books belonged to."""
        adopted = self.operations.adopted
        for settlement in self.settlements():
            self.findings.demand(
                "settlement_elsewhere",
                settlement.subject_id,
                f"it was paid to {settlement.node_pubkey}, a node that was never adopted",
                sound=not adopted or settlement.node_pubkey in adopted,
            )

    def settlements(self) -> Iterator[Settlement]:
        """Whatever the journal says was paid over Lightning."""
        for escrow in self.escrows.lives.values():
            if escrow.paid_msat:
                yield self._settlement(
                    escrow.escrow_id, escrow.caller_id, escrow.payment_hash, escrow.paid_msat
                )
        for topup in self.topups.rows.values():
            if topup.paid_msat:
                yield self._settlement(
                    topup.topup_id, topup.caller_id, topup.payment_hash, topup.paid_msat
                )
        for caller_id, found in self.operations.found.values():
            yield self._settlement(found.subject_id, caller_id, found.payment_hash, found.paid_msat)

    def own_settlements(self) -> Iterator[Settlement]:
        """Those that the node of these books can be asked about: not those of one it left."""
        ours = self.operations.node_pubkey
        return (one for one in self.settlements() if ours is None or one.node_pubkey == ours)

    def known_payments(self) -> KnownPayments:
        """What the node's own list is held against."""
        escrows = (
            escrow.payment_hash
            for escrow in self.escrows.lives.values()
            if escrow.payment_hash
            and not escrow.paid_msat
            and STATES[escrow.state].may_have_invoice
        )
        topups = (row.payment_hash for row in self.topups.rows.values() if not row.paid_msat)
        return KnownPayments(
            settled={one.payment_hash: one for one in self.settlements()},
            awaited=frozenset(escrows) | frozenset(topups),
            set_aside=frozenset(self.operations.set_aside),
            since_s=self.operations.swept_from_s or 0,
        )

    def _settlement(
        self, subject_id: str, caller_id: str, payment_hash: str | None, paid_msat: int
    ) -> Settlement:
        payment_hash = payment_hash or ""
        return Settlement(
            subject_id=subject_id,
            caller_id=caller_id,
            payment_hash=payment_hash,
            paid_msat=paid_msat,
            node_pubkey=self._settled_by.get(payment_hash),
            settle_index=self._settle_indexes.get(payment_hash, 0),
        )
