"""What an audit says: findings against the books, what could not be checked, and the figures.

A finding means that the books are wrong; what could not be checked is told apart, because *unknown*
is never *wrong*.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FINDINGS_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing held against the books: a stable snake_case code, where, and one sentence."""

    code: str
    subject: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommodityTotals:
    """Both sides of every account row of one commodity, added up."""

    commodity: str
    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int

    @property
    def balanced(self) -> bool:
        """Whether debits equal credits, posted and pending."""
        posted = self.debits_posted == self.credits_posted
        return posted and self.debits_pending == self.credits_pending


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFigures:
    """What was looked at. `cost_pusd` is all that the books say was spent upstream.

    `settlements_elsewhere` were made on nodes adopted before, which cannot be asked any more.
    `baseline_pusd` is the upstream's usage when the books were opened, or when the operator set
    another baseline, at which `booked_at_baseline_pusd` had been booked; `usage_pusd` is its usage
    now; each None when it was never recorded or could not be asked.
    """

    entries: int
    transfers: int
    accounts: int
    escrows: int
    topups: int
    callers: int
    open_holds: int
    settlements: int
    settlements_elsewhere: int
    settlements_confirmed: int
    totals: tuple[CommodityTotals, ...]
    cost_pusd: int
    baseline_pusd: int | None
    usage_pusd: int | None
    booked_at_baseline_pusd: int = 0

    @property
    def unexplained_pusd(self) -> int | None:
        """What the upstream charged beyond our books; None when it is not known.

        While runs are in flight this is no finding: a cost is booked some seconds after the run.
        """
        if self.usage_pusd is None or self.baseline_pusd is None:
            return None
        booked_pusd = self.cost_pusd - self.booked_at_baseline_pusd
        return self.usage_pusd - self.baseline_pusd - booked_pusd


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """`findings` are wrong, `unchecked` is unknown; `left_out` findings were one too many."""

    findings: tuple[Finding, ...]
    left_out: int
    unchecked: tuple[Finding, ...]
    figures: AuditFigures

    @property
    def sound(self) -> bool:
        """Whether nothing is held against the books."""
        return not self.findings


@dataclass(slots=True)
class Findings:
    """Collects a bounded number of findings and counts the rest."""

    kept: list[Finding] = field(default_factory=list)
    left_out: int = 0

    def add(self, code: str, subject: str, message: str) -> None:
        """Hold one more thing against the books."""
        if len(self.kept) < FINDINGS_MAX:
            self.kept.append(Finding(code=code, subject=subject, message=message))
        else:
            self.left_out += 1

    def demand(self, code: str, subject: str, message: str, *, sound: bool) -> None:
        """Hold it against the books unless it is `sound`."""
        if not sound:
            self.add(code, subject, message)
