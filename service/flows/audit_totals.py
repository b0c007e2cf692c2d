"""Audit: what the accounts must come to, counted from the escrows and not from any posting.

The bookings are not consulted here: this is the second opinion on them. Must not know: rows, the
journal or the node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from service.domain import accounts as chart
from service.domain.escrow_record import Escrow, EscrowState
from service.flows.audit_accounts import AccountReplay
from service.flows.audit_findings import Findings

S = EscrowState
PAID = frozenset({S.SETTLED, S.RELEASED, S.REFUNDED})
CLAIMS = frozenset({"caller", "address", "credit", "budget"})
OPEN_HOLDS: Mapping[EscrowState, frozenset[str]] = {
    S.OPENED: CLAIMS,
    S.REQUESTED: CLAIMS,
    S.GENERATED: CLAIMS,
    S.COSTED: CLAIMS,
    S.INVOICED: frozenset({"address", "budget"}),
    S.FAILED: frozenset({"address", "budget"}),
}


class Totals:
    """Sums over escrows by account code; `caller/...` codes are counted caller by caller."""

    def __init__(self, findings: Findings) -> None:
        """All at zero."""
        self._findings = findings
        self._wanted: Counter[str] = Counter()
        self._callers: set[str] = set()

    def count(self, escrow: Escrow) -> None:
        """What one escrow, in the state it is in, leaves in the accounts (debits less credits)."""
        state, wanted = escrow.state, self._wanted
        self._callers.add(escrow.caller_id)
        if state in {S.INVOICED, S.SETTLED}:
            wanted[chart.UNEARNED.code] -= escrow.price_msat
        if state is S.INVOICED:
            wanted[chart.receivable(escrow.caller_id).code] += escrow.due_msat
        if state is S.RELEASED:
            wanted[chart.REVENUE.code] -= escrow.price_msat
        if state is S.EXPIRED:
            wanted[chart.lapsed(escrow.caller_id).code] += escrow.due_msat
        if state in PAID:
            wanted[chart.settled(escrow.caller_id).code] += escrow.due_msat
        cost = {S.EXPIRED: chart.COST_UNPAID, S.FAILED: chart.COST_FAILED}
        wanted[cost.get(state, chart.COST_UPSTREAM).code] += escrow.cost_pusd

    def claims_lapsed(self, kept_msat: int) -> None:
        """What stayed ours of completions that were paid for and never claimed."""
        self._wanted[chart.REVENUE.code] -= kept_msat

    def unattributed(self, cost_pusd: int) -> None:
        """What the upstream charged and no generation explains."""
        self._wanted[chart.COST_UNATTRIBUTED.code] += cost_pusd

    def received(self, paid_msat: int) -> None:
        """What the books say that the node received, for escrows and top-ups."""
        self._wanted["ln/node"] += paid_msat

    def compare(self, found: AccountReplay) -> None:
        """Hold the accounts against the sums."""
        fixed = (chart.UNEARNED, chart.REVENUE, *chart.COST_ACCOUNTS)
        for account in fixed:
            self._demand(account.code, found.net(account.code), account.commodity)
        for caller_id in sorted(self._callers):
            for account in (
                chart.receivable(caller_id),
                chart.settled(caller_id),
                chart.lapsed(caller_id),
            ):
                self._demand(account.code, found.net(account.code), account.commodity)
        nodes = sum(found.net(code) for code in found.counters if code.startswith("ln/node/"))
        self._demand("ln/node", nodes, chart.Commodity.MSAT)

    def _demand(self, code: str, found: int, commodity: str) -> None:
        self._findings.demand(
            "total_differs",
            code,
            f"it stands at {found} {commodity}, but the escrows add up to {self._wanted[code]}",
            sound=found == self._wanted[code],
        )


def check_holds(
    findings: Findings, hold_ids: Collection[str], escrows: Mapping[str, Escrow]
) -> None:
    """Reservations that an escrow's end should have resolved."""
    for hold_id in sorted(hold_ids):
        escrow_id, _, rest = hold_id.partition("/")
        escrow = escrows.get(escrow_id)
        allowed = OPEN_HOLDS.get(escrow.state, frozenset()) if escrow else frozenset()
        findings.demand(
            "hold_left_over",
            hold_id,
            f"it is still reserved, though its escrow is {escrow.state if escrow else 'unknown'}",
            sound=rest.partition("/")[0] in allowed,
        )


def count_all(totals: Totals, escrows: Iterable[Escrow]) -> None:
    """Every escrow, and what was received for it."""
    for escrow in escrows:
        totals.count(escrow)
        totals.received(escrow.paid_msat)
