"""Audit the books: one walk over the journal, held against every row, the node and the upstream.

`walk.py` reads the books, and its parts live every subject again and count a second time;
`settlements.py` asks the node. Everything of the books is read from one snapshot, so an audit
may run beside the service. What is recomputed from what, column by column: docs/audit.md. Must not
know: how findings are shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from cobot_meter.domain.errors import DependencyFault, NodeUnavailable
from cobot_meter.domain.escrow.bookings import bookings
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.escrows import Book
from cobot_meter.flows.audit.findings import AuditFigures, AuditReport, Finding
from cobot_meter.flows.audit.node import CallerOfTag, check_listed
from cobot_meter.flows.audit.settlements import NodeWord, check_identity, check_settlements
from cobot_meter.flows.audit.upstream import UPSTREAM
from cobot_meter.flows.audit.walk import AuditWalk
from cobot_meter.ports.ledger_reports import LedgerReports
from cobot_meter.ports.lightning_node import ReadOnlyNode

UPSTREAM_TIMEOUT_S = 10.0


class UsageTeller(Protocol):
    """Whoever says what our key has used."""

    @property
    def name(self) -> str:
        """The name of the upstream whose usage is told; its models and runs bear it too."""

    async def usage_pusd(self) -> int:
        """All our key has ever spent at that upstream, in pico-USD. Raises DependencyFault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsage:
    """What the upstream says that our key has used; `key` marks it, None where nobody knows."""

    teller: UsageTeller
    key: str | None = None

    async def told(self) -> tuple[int | None, tuple[Finding, ...]]:
        """What the upstream has charged in all, or why that could not be looked at."""
        try:
            async with asyncio.timeout(UPSTREAM_TIMEOUT_S):
                return await self.teller.usage_pusd(), ()
        except DependencyFault as fault:
            why = fault.message
        except TimeoutError:
            why = f"it has not answered for {UPSTREAM_TIMEOUT_S:g} s"
        message = f"the costs were not held against the upstream's usage: {why}"
        return None, (Finding(code="upstream_unreachable", subject=UPSTREAM, message=message),)


class AuditLedger:
    """Reads only; whatever it finds, it mends nothing."""

    def __init__(
        self,
        *,
        reports: LedgerReports,
        node: Callable[[], ReadOnlyNode],
        upstream: KeyUsage | None,
        retention: Retention,
        book: Book = bookings,
        caller_of_tag: CallerOfTag | None = None,
    ) -> None:
        """`upstream` None leaves its usage unknown.

        `caller_of_tag` reads the tags in the memos of invoices, None where nobody can.

        `node` is called after the books were read: what looks at a copy of the node's state must
        not see an older one than theirs. It may raise NodeUnavailable. `book` is what the service
        books with: the second opinion is of another hand.
        """
        self._reports = reports
        self._node = node
        self._upstream = upstream
        self._retention = retention
        self._book = book
        self._caller_of_tag = caller_of_tag

    async def audit(self) -> AuditReport:
        """The whole audit. Raises nothing of its own: what fails outside is unchecked."""
        walk = AuditWalk(retention=self._retention, book=self._book)
        try:
            async with self._reports.snapshot() as reports:
                await walk.over(reports)
        except (ValueError, TypeError, KeyError) as fault:
            message = f"a row cannot be read, and what comes after it was not looked at: {fault!r}"
            walk.findings.add("row_unreadable", "books", message)
        word = await self._node_word(walk)
        usage_pusd, silent = await self._upstream.told() if self._upstream else (None, ())
        key = self._upstream.key if self._upstream else None
        walk.upstream.compare(key=key, usage_pusd=usage_pusd)
        return AuditReport(
            findings=tuple(walk.findings.kept),
            left_out=walk.findings.left_out,
            unchecked=(*word.unchecked, *silent),
            figures=_figures(walk, word, usage_pusd, upstream=self._compared),
        )

    @property
    def _compared(self) -> str | None:
        """Whose usage the costs are held against; None leaves them the sum over all upstreams."""
        return self._upstream.teller.name if self._upstream else None

    async def _node_word(self, walk: AuditWalk) -> NodeWord:
        try:
            node = self._node()
        except NodeUnavailable as fault:
            message = f"the settlements were not held against the node: {fault.message}"
            unchecked = Finding(code="node_unreachable", subject="node", message=message)
            return NodeWord(confirmed=0, unchecked=(unchecked,))
        differs = await check_identity(node, walk.operations.node_pubkey)
        if differs is not None:
            return NodeWord(confirmed=0, unchecked=(differs,))
        word = await check_settlements(walk.findings, node, walk.own_settlements())
        if word.unchecked:
            return word
        unread = await check_listed(
            walk.findings,
            node,
            walk.known_payments(),
            journal=self._reports,
            caller_of_tag=self._caller_of_tag,
        )
        return replace(word, unchecked=(*word.unchecked, *unread))


def _figures(
    walk: AuditWalk, word: NodeWord, usage_pusd: int | None, *, upstream: str | None
) -> AuditFigures:
    baseline = walk.upstream.baseline
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
        cost_pusd=walk.accounts.spent_pusd(upstream),
        baseline_pusd=baseline.usage_pusd if baseline else None,
        booked_at_baseline_pusd=baseline.booked_pusd if baseline else 0,
        usage_pusd=usage_pusd,
    )
