"""Audit the books: one walk over the journal, held against every row, the node and the upstream.

The parts: `audit_accounts` adds up, `audit_escrows`, `audit_topups` and `audit_operations` live
every subject again, `audit_totals` counts a second time, `audit_settlements` asks the node.
Everything of the books is read from one snapshot, so an audit may run beside the service. Must
not know: how findings are shown.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from service.domain.accounts import UPSTREAM_CREDITS
from service.domain.errors import DependencyFault, NodeUnavailable
from service.domain.retention import Retention
from service.domain.transitions import RELEASES
from service.flows.audit_accounts import AccountReplay
from service.flows.audit_escrows import EscrowReplay
from service.flows.audit_findings import (
    AuditFigures,
    AuditReport,
    CommodityTotals,
    Finding,
    Findings,
)
from service.flows.audit_operations import NODE, OPERATOR, UPSTREAM, OperationsReplay
from service.flows.audit_quarantine import ReleasesReplay, check_quarantine
from service.flows.audit_settlements import (
    NodeWord,
    Settlement,
    check_identity,
    check_settlements,
)
from service.flows.audit_topups import TOPUP_KINDS, TopupReplay
from service.flows.audit_totals import Totals, check_holds, count_all
from service.ports.ledger_reports import JournalEntry, LedgerReports
from service.ports.lightning_node import LightningNode
from service.ports.upstream import Upstream

CALLERS_PAGE = 500
UPSTREAM_TIMEOUT_S = 10.0


@dataclass(slots=True)
class _Walk:
    """Everything that one walk adds up."""

    findings: Findings
    accounts: AccountReplay
    escrows: EscrowReplay
    topups: TopupReplay
    operations: OperationsReplay
    releases: ReleasesReplay
    totals: tuple[CommodityTotals, ...] = ()
    account_rows: int = 0
    callers: int = 0
    settled_by: dict[str, str] = field(default_factory=dict)

    def told(self, entry: JournalEntry) -> None:
        """Each entry is added up, and is lived by whoever it is of."""
        self.accounts.told(entry)
        if entry.facts.get("node_pubkey"):
            pubkey = sys.intern(str(entry.facts["node_pubkey"]))
            self.settled_by[str(entry.facts.get("payment_hash"))] = pubkey
        if entry.facts.get("adoption") is not None:
            self.operations.closed(entry)
        if entry.kind in TOPUP_KINDS:
            self.topups.told(entry)
        elif entry.subject_id == RELEASES:
            self.releases.told(entry)
        elif entry.subject_id in {OPERATOR, UPSTREAM, NODE}:
            self.operations.told(entry)
        else:
            self.escrows.told(entry)

    def settlements(self) -> Iterator[Settlement]:
        """Whatever the journal says was paid over Lightning."""
        for escrow in self.escrows.lives.values():
            if escrow.paid_msat:
                yield self._settlement(escrow.escrow_id, escrow.payment_hash, escrow.paid_msat)
        for topup in self.topups.rows.values():
            if topup.paid_msat:
                yield self._settlement(topup.topup_id, topup.payment_hash, topup.paid_msat)

    def own_settlements(self) -> Iterator[Settlement]:
        """Those that the node of these books can be asked about: not those of one it left."""
        ours = self.operations.node_pubkey
        return (one for one in self.settlements() if ours is None or one.node_pubkey == ours)

    def _settlement(self, subject_id: str, payment_hash: str | None, paid_msat: int) -> Settlement:
        payment_hash = payment_hash or ""
        return Settlement(
            subject_id=subject_id,
            payment_hash=payment_hash,
            paid_msat=paid_msat,
            node_pubkey=self.settled_by.get(payment_hash),
        )


class AuditLedger:
    """Reads only; whatever it finds, it mends nothing."""

    def __init__(
        self,
        *,
        reports: LedgerReports,
        node: Callable[[], LightningNode],
        upstream: Upstream | None,
        retention: Retention,
    ) -> None:
        """`upstream` None leaves its usage unknown.

        `node` is called after the books were read: what looks at a copy of the node's state must
        not see an older one than theirs. It may raise NodeUnavailable.
        """
        self._reports = reports
        self._node = node
        self._upstream = upstream
        self._retention = retention

    async def audit(self) -> AuditReport:
        """The whole audit. Raises nothing of its own: what fails outside is unchecked."""
        findings = Findings()
        walk = _Walk(
            findings=findings,
            accounts=AccountReplay(findings),
            escrows=EscrowReplay(findings, retention=self._retention),
            topups=TopupReplay(findings),
            operations=OperationsReplay(findings),
            releases=ReleasesReplay(findings),
        )
        async with self._reports.snapshot() as reports:
            await self._walk(walk, reports)
        _second_opinion(walk)
        word = await self._node_word(walk)
        return AuditReport(
            findings=tuple(findings.kept),
            left_out=findings.left_out,
            unchecked=word.unchecked,
            figures=_figures(walk, word, await self._usage_pusd()),
        )

    async def _walk(self, walk: _Walk, reports: LedgerReports) -> None:
        async for escrow in reports.escrows():
            walk.escrows.expect(escrow)
            check_quarantine(walk.findings, escrow)
        async for topup in reports.topups():
            walk.topups.expect(topup)
            check_quarantine(walk.findings, topup)
        async for entry in reports.journal():
            walk.told(entry)
        rows = await reports.balances()
        walk.account_rows = len(rows)
        walk.totals = walk.accounts.compare(rows)
        async for escrow in reports.escrows():
            walk.escrows.compare(escrow)
        walk.escrows.finish()
        walk.topups.finish()
        walk.releases.finish()
        await self._callers(walk, reports)

    async def _callers(self, walk: _Walk, reports: LedgerReports) -> None:
        after = ""
        while page := await reports.callers(after=after, limit=CALLERS_PAGE):
            for standing in page:
                walk.operations.compare(standing)
            walk.callers += len(page)
            after = page[-1].caller_id
        walk.operations.finish()

    async def _node_word(self, walk: _Walk) -> NodeWord:
        try:
            node = self._node()
        except NodeUnavailable as fault:
            message = f"the settlements were not held against the node: {fault.message}"
            unchecked = Finding(code="node_unreachable", subject="node", message=message)
            return NodeWord(confirmed=0, unchecked=(unchecked,))
        differs = await check_identity(node, walk.operations.node_pubkey)
        if differs is not None:
            return NodeWord(confirmed=0, unchecked=(differs,))
        return await check_settlements(walk.findings, node, walk.own_settlements())

    async def _usage_pusd(self) -> int | None:
        """What the upstream has charged in all; never a finding, since runs may be in flight."""
        if self._upstream is None:
            return None
        try:
            async with asyncio.timeout(UPSTREAM_TIMEOUT_S):
                return await self._upstream.usage_pusd()
        except (DependencyFault, TimeoutError):
            return None


def _second_opinion(walk: _Walk) -> None:
    """Sums and open reservations, from the escrows' states alone."""
    totals = Totals(walk.findings)
    count_all(totals, walk.escrows.lives.values())
    totals.claims_lapsed(walk.escrows.kept_msat)
    totals.unattributed(walk.escrows.attributed_pusd + walk.operations.compared_pusd)
    for topup in walk.topups.rows.values():
        totals.received(topup.paid_msat)
    totals.compare(walk.accounts)
    check_holds(walk.findings, walk.accounts.holds, walk.escrows.lives)


def _figures(walk: _Walk, word: NodeWord, usage_pusd: int | None) -> AuditFigures:
    return AuditFigures(
        entries=walk.accounts.entries,
        transfers=walk.accounts.transfers,
        accounts=walk.account_rows,
        escrows=len(walk.escrows.lives),
        topups=len(walk.topups.rows),
        callers=walk.callers,
        open_holds=len(walk.accounts.holds),
        settlements=sum(1 for _ in walk.own_settlements()),
        settlements_elsewhere=sum(1 for _ in walk.settlements())
        - sum(1 for _ in walk.own_settlements()),
        settlements_confirmed=word.confirmed,
        totals=walk.totals,
        cost_pusd=-walk.accounts.net(UPSTREAM_CREDITS.code),
        baseline_pusd=walk.operations.baseline_pusd,
        usage_pusd=usage_pusd,
    )
