"""Audit: what every account must come to, counted from escrows, top-ups and events alone.

The bookings are not consulted here: this is the second opinion on them. Must not know: rows, the
journal or the node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import OF_DAYS, STATES, EscrowState, Stage
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.run.record import Run
from cobot_meter.flows.audit.accounts import AccountReplay
from cobot_meter.flows.audit.findings import Findings

S = EscrowState
NODES = "ln/node/"


class Totals:
    """Sums by account code, debits less credits; the nodes' balances are one sum."""

    def __init__(self, findings: Findings) -> None:
        """All at zero."""
        self._findings = findings
        self._wanted: Counter[str] = Counter()

    def count(self, escrow: Escrow) -> None:
        """What one escrow, in the state it is in, leaves in the accounts (debits less credits)."""
        state, wanted, at_risk_id = escrow.state, self._wanted, escrow.at_risk_id
        facts = STATES[state]
        self._count_credit(escrow)
        if state in {S.INVOICED, S.SETTLED}:
            wanted[chart.UNEARNED.code] -= escrow.price_msat
        if state is S.INVOICED:
            wanted[chart.receivable(at_risk_id).code] += escrow.due_msat
        if state is S.RELEASED:
            wanted[chart.REVENUE.code] -= escrow.price_msat - escrow.fee_msat
            # The fee of a task is its seller's; of any other sale it is 0.
            wanted[chart.available(at_risk_id).code] -= escrow.fee_msat
        if facts.had_payment:
            wanted[chart.settled(at_risk_id).code] += escrow.due_msat
        for run in escrow.runs:
            wanted[run.cost_account.value] += run.cost_pusd
            wanted[chart.upstream_credits(run.upstream).code] -= run.cost_pusd

    def _count_credit(self, escrow: Escrow) -> None:
        """All that was paid is the caller's, less what was bought with it."""
        credit_msat = escrow.paid_msat
        if STATES[escrow.state].stage is Stage.PAID:
            credit_msat -= escrow.price_msat
        elif escrow.state is S.INVOICED:
            credit_msat -= escrow.credit_used_msat
        self._wanted[chart.available(escrow.caller_id).code] -= credit_msat

    def claims_lapsed(self, kept_msat: Mapping[str, int]) -> None:
        """What stayed ours, by caller, of completions that were paid for and never claimed."""
        for caller_id, amount_msat in kept_msat.items():
            self._wanted[chart.REVENUE.code] -= amount_msat
            self._wanted[chart.available(caller_id).code] += amount_msat

    def editions(self, paid_msat: Mapping[str, int]) -> None:
        """What was paid from credit for editions of the benchmarks, by caller."""
        for caller_id, amount_msat in paid_msat.items():
            self._wanted[chart.REVENUE_EDITIONS.code] -= amount_msat
            self._wanted[chart.available(caller_id).code] += amount_msat

    def unattributed(self, cost_pusd: Mapping[str, int]) -> None:
        """What upstreams charged and no generation explains, by the upstream's name."""
        for upstream, amount_pusd in cost_pusd.items():
            self._wanted[chart.COST_UNATTRIBUTED.code] += amount_pusd
            self._wanted[chart.upstream_credits(upstream).code] -= amount_pusd

    def received(self, paid_msat: int) -> None:
        """What the books say that the node received."""
        self._wanted[NODES] += paid_msat

    def credited(self, caller_id: str, paid_msat: int) -> None:
        """What was received and bought nothing yet: a top-up, or a payment found at the node."""
        self.received(paid_msat)
        self._wanted[chart.available(caller_id).code] -= paid_msat

    def exposed(self, counted: Mapping[str, int]) -> None:
        """What counts on the days, and what callers let lapse."""
        for code, amount in counted.items():
            self._wanted[code] += amount

    def compare(self, found: AccountReplay) -> None:
        """Hold every account that either side knows against the sums."""
        wanted = self._wanted
        for contra in (chart.EXPOSURE_MSAT, chart.EXPOSURE_PUSD):
            wanted[contra.code] = -sum(
                amount
                for code, amount in wanted.items()
                if code != contra.code and _is_memo(code, contra.commodity)
            )
        nodes = sum(found.net(code) for code in found.counters if code.startswith(NODES))
        self._demand(NODES.removesuffix("/"), nodes, wanted.pop(NODES, 0), chart.Commodity.MSAT)
        for code in sorted(wanted.keys() | found.counters.keys()):
            if not code.startswith(NODES):
                account = chart.account_of(code)
                commodity = account.commodity.value if account else ""
                self._demand(code, found.net(code), wanted[code], commodity)

    def _demand(self, code: str, found: int, wanted: int, commodity: str) -> None:
        self._findings.demand(
            "total_differs",
            code,
            f"it stands at {found} {commodity}, but the escrows and top-ups add up to {wanted}",
            sound=found == wanted,
        )


def _is_memo(code: str, commodity: str) -> bool:
    account = chart.account_of(code)
    labels = (account.nature, account.commodity) if account else None
    return labels == (chart.Nature.MEMO, commodity)


def check_reservations(
    findings: Findings, hold_ids: Collection[str], escrows: Mapping[str, Escrow]
) -> None:
    """Reservations that an escrow's end should have resolved."""
    runs = {run.run_id: run for escrow in escrows.values() for run in escrow.runs}
    for hold_id in sorted(hold_ids):
        owner_id, _, rest = hold_id.partition("/")
        run = runs.get(owner_id)
        escrow = escrows.get(run.escrow_id) if run else None
        findings.demand(
            "hold_left_over",
            hold_id,
            f"it is still reserved, though its escrow is {escrow.state if escrow else 'unknown'}",
            sound=escrow is not None and _may_stand(escrow, run, rest),
        )


def _may_stand(escrow: Escrow, run: Run | None, rest: str) -> bool:
    """Whether what the rest of a reservation's name says may still be reserved.

    What counts on days is of a run; a sale that lives by another run says nothing of it.
    """
    name = rest.partition("/")[0]
    of_run = run is not None and (escrow.sells_several or run.run_id != escrow.run_id)
    if name in OF_DAYS and run is not None and of_run:
        return run.budget_held_pusd > 0
    return name in STATES[escrow.state].reserved


def count_all(totals: Totals, escrows: Iterable[Escrow]) -> None:
    """Every escrow, and what was received for it."""
    for escrow in escrows:
        totals.count(escrow)
        totals.received(escrow.paid_msat)
