"""What budgets are as text and by name, which apply, and how they stand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.budgets.budget import OPERATOR, Budget, Scope, budget_of
from cobot_meter.domain.budgets.depletion import DepletionPlan
from cobot_meter.domain.budgets.periods import Period
from cobot_meter.domain.budgets.sheets import (
    BudgetsAsked,
    BudgetSheet,
    limits_now,
    limits_of,
    windows_named,
)
from cobot_meter.domain.ledger.accounts import Commodity, account_of, budget_model
from cobot_meter.domain.money import AMOUNT_MAX
from cobot_meter.flows.budget.zones import is_zone, offsets_of
from tests.domain.budgets.zones import ZONES

SUBJECTS = st.text("abcXYZ019_/.:-", min_size=1, max_size=40).filter(
    lambda text: text != "-" and not text.startswith("/") and not text.endswith("/")
)
BUDGETS = st.builds(
    Budget,
    scope=st.sampled_from([Scope.KEY, Scope.CALLER, Scope.MODEL, Scope.TASK]),
    subject=SUBJECTS,
    period=st.sampled_from(Period),
    amount=st.integers(1, AMOUNT_MAX),
    commodity=st.sampled_from(Commodity),
    zone=st.sampled_from(ZONES),
)


PLANS = st.one_of(
    st.none(),
    st.tuples(st.integers(0, 100), st.integers(0, 100)).map(
        lambda two: DepletionPlan(premium_above=max(two), middle_above=min(two))
    ),
)


def asked(*sheets: BudgetSheet, key_id: str | None = None, at_ms: int = 0) -> BudgetsAsked:
    """What bounds an ask of the caller c_one."""
    return BudgetsAsked(
        sheets=sheets, caller_id="c_one", key_id=key_id, at_ms=at_ms, zones=offsets_of
    )


@given(st.lists(BUDGETS, max_size=8), PLANS)
def test_a_sheet_is_read_as_it_was_written(
    budgets: list[Budget], plan: DepletionPlan | None
) -> None:
    """All of each budget, in the same order, and the plan; the usual one is as in older books."""
    sheet = BudgetSheet(owner="c_one", number=3, budgets=tuple(budgets), plan=plan)
    assert BudgetSheet.of_text("c_one", 3, sheet.text) == sheet
    assert sheet.text.startswith("plan ") is (plan != DepletionPlan())


@pytest.mark.parametrize(
    "line", ["plan", "plan 1", "plan 1 2", "plan on", "plan 101 0", "plan a b"]
)
def test_what_no_plan_is_is_refused(line: str) -> None:
    """A word in the journal that nobody can have said is no silence."""
    with pytest.raises(ValueError, match=r"."):
        BudgetSheet.of_text("c_one", 1, line)


def test_a_budget_of_a_task_bounds_what_is_asked_about_it_alone() -> None:
    """Whoever says nothing of a task is bounded by no such budget."""
    sheet = BudgetSheet(owner="c_one", budgets=(budget_of("task code day 5000 msat UTC"),))
    ask = asked(sheet)
    assert ask.by_task
    assert ask.windows(()) == replace(ask, task="maths").windows(()) == ()
    (window,) = replace(ask, task="code").windows(())
    assert account_of(window.account.code) == window.account
    assert not window.is_of_others
    (of_all,) = replace(asked(replace(sheet, owner=OPERATOR)), task="code").windows(())
    assert of_all.is_of_others


@given(st.lists(BUDGETS, min_size=1, max_size=8), st.integers(0, 2**42))
def test_a_window_is_found_again_by_the_code_of_its_account(
    budgets: list[Budget], at_ms: int
) -> None:
    """By the sale that counts in it, with the budget's limit, whatever is in a name."""
    own = {one.identity: one for one in budgets}
    sheet = BudgetSheet(owner=OPERATOR, number=1, budgets=tuple(own.values()))
    one = budgets[0]
    scoped = asked(sheet, key_id=one.subject, at_ms=at_ms)
    windows = scoped.windows([one.subject])
    codes = [window.account.code for window in windows]
    assert [account_of(code) for code in codes] == [window.account for window in windows]
    assert windows_named(codes, [sheet], offsets_of) == windows
    assert limits_now(codes, [sheet]) == limits_of(windows)
    assert limits_now(codes, []) == {}
    models = [one.budget.subject for one in windows if one.budget.scope is Scope.MODEL]
    assert [model for model in map(budget_model, codes) if model] == models


def test_each_scope_bounds_what_it_names() -> None:
    """A caller's own name no caller, and the operator's come last."""
    own = BudgetSheet(
        owner="c_one",
        budgets=tuple(
            map(
                budget_of,
                (
                    "caller - day 1 msat UTC",
                    "key key_a day 2 msat UTC",
                    "model m/a day 3 msat UTC",
                ),
            )
        ),
    )
    operators = BudgetSheet(
        owner=OPERATOR,
        budgets=tuple(
            map(
                budget_of,
                (
                    "operator - day 4 msat UTC",
                    "caller c_one day 5 msat UTC",
                    "caller c_two day 6 msat UTC",
                    "key key_a day 7 msat UTC",
                    "model m/b day 8 msat UTC",
                ),
            )
        ),
    )

    def amounts(key_id: str | None, *models: str) -> list[int]:
        windows = asked(own, operators, key_id=key_id).windows(models)
        return [window.budget.amount for window in windows]

    assert amounts(None) == [1, 4, 5]
    assert amounts("key_a", "m/a") == [1, 2, 3, 4, 5, 7]
    assert amounts("key_b", "m/b", "m/c") == [1, 4, 5, 8]


@pytest.mark.parametrize(
    "line",
    [
        "caller - day 0 msat UTC",
        "caller - day -1 msat UTC",
        f"caller - day {AMOUNT_MAX + 1} msat UTC",
        "caller - year 1 msat UTC",
        "caller - day 1 eur UTC",
        "nobody - day 1 msat UTC",
        "caller day 1 msat UTC",
        "",
    ],
)
def test_what_is_no_budget_is_refused(line: str) -> None:
    """Also where it comes out of the books."""
    with pytest.raises(ValueError, match=r".+"):
        budget_of(line)


@pytest.mark.parametrize(
    "name",
    ["", "Europe", "Europe/Atlantis", "../UTC", "/etc/localtime", "localtime", "a" * 65, "UTC\n"],
)
def test_what_names_no_zone_is_none(name: str) -> None:
    """Neither a folder of them, nor a path, nor this machine's own."""
    assert not is_zone(name)
