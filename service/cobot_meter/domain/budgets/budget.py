"""A budget as its owner sets it: whose spending it bounds, to how much, in which period and zone.

A budget with its window is an account of the ledger, so a new window is another account that begins
at nothing, and nobody has to reset the one before. Two budgets that differ in their amounts alone
have the same accounts: whoever raises one at noon keeps the morning. Must not know: sales, or where
the rules of zones come from.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cobot_meter.domain.budgets.calendar import compact_utc, iso_text
from cobot_meter.domain.budgets.periods import Offsets, Period, Window, window_at
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import Account, Commodity
from cobot_meter.domain.money import AMOUNT_MAX, sat_text, usd_text

# Who owns the budgets of the whole service; ids of callers begin with c_.
OPERATOR = "operator"
# In a line a budget whose scope needs no subject has this in its place.
_NOBODY = "-"
_PARTS = 6


class Scope(enum.StrEnum):
    """Whose spending a budget bounds: one API key's, a caller's, a model's, or all there is.

    Of a task it bounds what is asked about that: `code`, and what else hints may say.
    """

    KEY = "key"
    CALLER = "caller"
    MODEL = "model"
    TASK = "task"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """At most `amount` (msat or pico-USD) in each `period` of `zone`, an IANA name.

    `subject` is the key's, caller's or model's id, or the task's word; empty for the operator's
    own, and in a caller's own budgets for that caller.
    """

    scope: Scope
    subject: str
    period: Period
    amount: int
    commodity: Commodity
    zone: str

    @property
    def name(self) -> str:
        """What tells it from other budgets of its owner, whatever its amount; part of its codes."""
        zone = self.zone.replace("/", ":")
        parts = (
            self.scope.value,
            self.period.value,
            zone,
            *([self.subject] if self.subject else ()),
        )
        return "/".join(parts)

    @property
    def line(self) -> str:
        """All of it in one line without blanks but those between its parts."""
        subject = self.subject or _NOBODY
        amount = f"{self.amount} {self.commodity.value}"
        return f"{self.scope.value} {subject} {self.period.value} {amount} {self.zone}"

    @property
    def identity(self) -> tuple[str, str]:
        """Two of one owner with the same one would be one budget with two amounts."""
        return self.commodity.value, self.name

    def text(self, amount: int) -> str:
        """An amount of it as callers read it: `20.5 sat` or `0.25 USD`."""
        return amount_text(self.commodity, amount)


def amount_text(commodity: Commodity, amount: int) -> str:
    """An amount with its unit, for a sentence."""
    return f"{sat_text(amount)} sat" if commodity is Commodity.MSAT else f"{usd_text(amount)} USD"


def budget_of(line: str) -> Budget:
    """The budget that a line says. Raises ValueError for what no budget is."""
    parts = line.split(" ")
    if len(parts) != _PARTS:
        message = f"no budget is written {line[:80]!r}"
        raise ValueError(message)
    scope, subject, period, amount, commodity, zone = parts
    budget = Budget(
        scope=Scope(scope),
        subject="" if subject == _NOBODY else subject,
        period=Period(period),
        amount=int(amount),
        commodity=Commodity(commodity),
        zone=zone,
    )
    if not 0 < budget.amount <= AMOUNT_MAX:
        message = f"no budget has the amount {amount}"
        raise ValueError(message)
    return budget


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetWindow:
    """A budget of `owner` in one window, as it was chosen when something was reserved of it.

    `resets_at` is when the next one begins, as clocks in the budget's zone show it.
    """

    owner: str
    budget: Budget
    window: Window
    resets_at: str

    @property
    def is_of_others(self) -> bool:
        """Whether it counts what others spend too, so that its figures are the operator's alone."""
        of_all = {Scope.OPERATOR, Scope.MODEL, Scope.TASK}
        return self.owner == OPERATOR and self.budget.scope in of_all

    @property
    def account(self) -> Account:
        """What is spent and reserved of it; its limit is a guard on this account."""
        budget = self.budget
        start = compact_utc(self.window.start_s)
        return chart.budget_window(budget.commodity, self.owner, budget.name, start)


def window_of(owner: str, budget: Budget, offset: Offsets, at_ms: int) -> BudgetWindow:
    """The budget in the window that this instant lies in; `offset` is that of its zone."""
    window = window_at(budget.period, offset, at_ms)
    resets_at = iso_text(window.end_s, offset(window.end_s))
    return BudgetWindow(owner=owner, budget=budget, window=window, resets_at=resets_at)
