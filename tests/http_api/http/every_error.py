"""Every class of the error tree that a caller may be told of, and one error of each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from cobot_meter.domain import errors
from cobot_meter.domain import task_faults as of_tasks
from cobot_meter.domain.api_key import faults as of_keys
from cobot_meter.domain.budgets import faults as of_budgets
from cobot_meter.domain.budgets.budget import budget_of, window_of
from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.privacy import faults as of_privacy
from tests.http_api.samples import ESCROW

# The one stops the start, so no caller is there to read it; whoever meets the other decides.
NEVER_REACHES_HTTP = {errors.SettingInvalid, errors.SealBroken}
_BUDGET = window_of("c_one", budget_of("caller - day 10 msat UTC"), lambda _: 0, 0)
# Spent, and no more than reserved: the one is refused for good, the other until those have ended.
EXHAUSTED, RESERVED = (
    of_budgets.BudgetShortfall(
        standing=BudgetSpending(window=_BUDGET, spent=spent, reserved=9 - spent),
        asked=5,
        fits_max_tokens=0,
    )
    for spent in (9, 0)
)
FURTHER: dict[type[errors.CobotMeterError], dict[str, Any]] = {
    errors.ExposureExceeded: {"guard": "caller", "open_amount": 210, "limit": 200, "asked": 40},
    errors.AlreadyPaid: {"escrow_id": ESCROW},
    errors.InvoiceUnpaid: {"escrow_id": ESCROW},
    errors.UpstreamRefused: {"status": 400},
    errors.TopupsOpen: {"retry_after_s": 60},
    errors.Quarantined: {"why": "cost_known: it is out of range"},
    errors.BodyKeysUnusable: {"why": "the directory is read-only"},
    of_tasks.TaskCeilingReached: {"left_msat": 5, "needed_msat": 9, "fits_max_tokens": 3},
    of_keys.KeyLimitReached: {"guard": "key", "open_amount": 9, "limit": 10, "asked": 5},
    of_budgets.BudgetExhausted: {"shortfall": EXHAUSTED},
    of_keys.CreditShort: {
        "shortfall": of_keys.Shortfall(available_msat=1, reserved_msat=0, needed_msat=9)
    },
}


def concrete() -> Iterator[type[errors.CobotMeterError]]:
    """Every class of the tree that is raised and not only caught."""
    named = dict(inspect.getmembers(errors, inspect.isclass))
    named |= dict(inspect.getmembers(of_keys, inspect.isclass))
    named |= dict(inspect.getmembers(of_tasks, inspect.isclass))
    named["PrivacyUnroutable"] = of_privacy.PrivacyUnroutable  # its kinds differ in words alone
    named |= dict(inspect.getmembers(of_budgets, inspect.isclass))
    for kind in named.values():
        abstract = kind in {errors.CobotMeterError, errors.CallerFault}
        if issubclass(kind, errors.CobotMeterError) and not abstract:
            yield kind


def made(kind: type[errors.CobotMeterError]) -> errors.CobotMeterError:
    """One error of the class."""
    return kind("A sentence.", **FURTHER.get(kind, {}))


REACHING = [kind for kind in concrete() if kind not in NEVER_REACHES_HTTP]
