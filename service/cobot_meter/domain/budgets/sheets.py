"""All budgets of one owner, and which of them a request is bounded by.

An owner's budgets are one word, said as a whole: what is set later takes the place of what was
before. Must not know: where words are kept, or who may say them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from cobot_meter.domain.budgets.budget import (
    OPERATOR,
    Budget,
    BudgetWindow,
    Scope,
    budget_of,
    window_of,
)
from cobot_meter.domain.budgets.calendar import utc_of_compact
from cobot_meter.domain.budgets.depletion import (
    PLAN_WORD,
    USUAL_PLAN,
    DepletionPlan,
    plan_line,
    plan_of,
)
from cobot_meter.domain.budgets.periods import Offsets
from cobot_meter.domain.ledger.accounts import budget_stem
from cobot_meter.domain.routing.table import Tier

# Each that applies is an account more to be moved with a request, so there is an end to them.
CALLERS_MAX = 16
OPERATORS_MAX = 32
# The rules of a zone by its name.
Zones = Callable[[str], Offsets]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSheet:
    """What an owner has said: `number` counts his words, 0 while he has said nothing.

    `plan` says how dear a model may be with what is left of his budgets; None: whatever is left.
    """

    owner: str
    number: int = 0
    budgets: tuple[Budget, ...] = ()
    plan: DepletionPlan | None = USUAL_PLAN

    @property
    def text(self) -> str:
        """Every budget on a line of its own, and before them the plan where it is another one."""
        plan = plan_line(self.plan)
        return "\n".join([*([plan] if plan else ()), *(budget.line for budget in self.budgets)])

    @classmethod
    def of_text(cls, owner: str, number: int, text: str) -> BudgetSheet:
        """The sheet that a text says. Raises ValueError for what no sheet is."""
        lines = text.split("\n") if text else []
        planned = bool(lines) and lines[0].startswith(f"{PLAN_WORD} ")
        plan = plan_of(lines.pop(0)) if planned else USUAL_PLAN
        budgets = tuple(budget_of(line) for line in lines)
        return cls(owner=owner, number=number, budgets=budgets, plan=plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetsAsked:
    """The budgets that bound what one caller asks at one instant, in Unix ms.

    `sheets` are the caller's own and the operator's, `key_id` is the API key that asks, and `task`
    the word for what it is about, None where nobody says so. `most` is the tier of models that what
    is left of them allows, where one is still to be chosen.
    """

    sheets: tuple[BudgetSheet, ...]
    caller_id: str
    key_id: str | None
    at_ms: int
    zones: Zones
    task: str | None = None
    most: Tier = Tier.PREMIUM

    @property
    def by_task(self) -> bool:
        """Whether any of them depends on what is asked."""
        return any(one.scope is Scope.TASK for sheet in self.sheets for one in sheet.budgets)

    def windows(self, models: Collection[str]) -> tuple[BudgetWindow, ...]:
        """One for each budget that applies where any of these models may answer.

        The caller's own come first and the operator's last, so that rows which many move are held
        for the shortest time.
        """
        return tuple(
            window_of(sheet.owner, budget, self.zones(budget.zone), self.at_ms)
            for sheet in self.sheets
            for budget in sheet.budgets
            if self._applies(sheet.owner, budget, models)
        )

    def _applies(self, owner: str, budget: Budget, models: Collection[str]) -> bool:
        match budget.scope:
            case Scope.KEY:
                return budget.subject == self.key_id
            case Scope.CALLER:
                return owner != OPERATOR or budget.subject == self.caller_id
            case Scope.MODEL:
                return budget.subject in models
            case Scope.TASK:
                return budget.subject == self.task
            case Scope.OPERATOR:
                return owner == OPERATOR


def windows_named(
    codes: Iterable[str], sheets: Iterable[BudgetSheet], zones: Zones
) -> tuple[BudgetWindow, ...]:
    """The windows whose accounts these are, of budgets that there still are."""
    named = {
        budget_stem(budget.commodity, sheet.owner, budget.name): (sheet.owner, budget)
        for sheet in sheets
        for budget in sheet.budgets
    }
    parts = ((named.get(stem), start) for stem, _, start in (c.rpartition("/") for c in codes))
    return tuple(
        window_of(*found, zones(found[1].zone), utc_of_compact(start) * 1_000)
        for found, start in parts
        if found is not None
    )


# Limits by the code of the account that they bound.
BudgetLimits = Mapping[str, int]
NO_BUDGETS: BudgetLimits = {}


def codes_of(windows: Iterable[BudgetWindow]) -> str:
    """The windows as a sale's row names them: the codes of their accounts, one blank between."""
    return " ".join(one.account.code for one in windows)


def limits_of(windows: Iterable[BudgetWindow]) -> BudgetLimits:
    """What may be spent in each window."""
    return {one.account.code: one.budget.amount for one in windows}


def limits_now(codes: Iterable[str], sheets: Iterable[BudgetSheet]) -> BudgetLimits:
    """The limits of accounts that were chosen earlier, as their owners have set them by now.

    An account whose budget was taken away has none any more.
    """
    amounts = {
        budget_stem(budget.commodity, sheet.owner, budget.name): budget.amount
        for sheet in sheets
        for budget in sheet.budgets
    }
    named = ((code, code.rpartition("/")[0]) for code in codes)
    return {code: amounts[name] for code, name in named if name in amounts}
