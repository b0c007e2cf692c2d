"""One budget as its owner says it, in named fields: read, or refused with a sentence.

Must not know: where the fields come from, or whose budgets they are.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from cobot_meter.domain import outside
from cobot_meter.domain.budgets.budget import Budget, Scope
from cobot_meter.domain.budgets.depletion import USUAL_PLAN, DepletionPlan
from cobot_meter.domain.budgets.periods import Period
from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.ledger.accounts import Commodity
from cobot_meter.domain.money import AMOUNT_MAX, MSAT_PER_SAT, PUSD_PER_USD, pusd_from_decimal
from cobot_meter.domain.routing.hints import Task
from cobot_meter.flows.budget.zones import is_zone

_SUBJECTS = {
    Scope.KEY: "key",
    Scope.CALLER: "caller",
    Scope.MODEL: "model",
    Scope.TASK: "task",
}
_MSAT_OF = {"amount_sat": MSAT_PER_SAT, "amount_msat": 1}
_AMOUNTS = (*_MSAT_OF, "amount_usd")
BUDGET_FIELDS = frozenset({"scope", "period", "zone", *_SUBJECTS.values(), *_AMOUNTS})
UTC = "UTC"
PLAN_OFF = "off"
PLAN_FIELDS = ("premium_above", "middle_above")
_PLAN_WANTED = (
    'must be "off", or two whole shares from 0 to 100 of which the second is not above the first: '
    '{"premium_above": 60, "middle_above": 25}'
)
_SHOWN_MAX = 40
Choice = TypeVar("Choice", bound=enum.StrEnum)


def budget_said(said: object, *, by_operator: bool = False) -> Budget:
    """The budget that an object says. Raises RequestInvalid with what is wrong, and what to do.

    A caller's own budget of all that it spends names no caller; the operator's names whose it is.
    """
    if not isinstance(said, dict):
        raise _wrong("budgets", "must be a list of objects, one for each budget")
    unknown = next((name for name in said if name not in BUDGET_FIELDS), None)
    if unknown is not None:
        known = ", ".join(sorted(BUDGET_FIELDS))
        raise _wrong("budgets", f"have no field {_shown(unknown)}; there are {known}")
    scope = _choice(said, "scope", Scope)
    commodity, amount = _amount(said)
    return Budget(
        scope=scope,
        subject=_subject(said, scope, named=by_operator or scope is not Scope.CALLER),
        period=_choice(said, "period", Period),
        amount=amount,
        commodity=commodity,
        zone=_zone(said),
    )


def plan_said(said: object) -> DepletionPlan | None:
    """The plan that an owner says: two shares, `off`, or the usual one where nothing is said.

    Raises RequestInvalid.
    """
    if said is None:
        return USUAL_PLAN
    if said == PLAN_OFF:
        return None
    if not isinstance(said, dict) or said.keys() != set(PLAN_FIELDS):
        raise _wrong("plan", _PLAN_WANTED)
    shares = [said[name] for name in PLAN_FIELDS]
    if any(isinstance(one, bool) or not isinstance(one, int) for one in shares):
        raise _wrong("plan", _PLAN_WANTED)
    premium, middle = shares
    try:
        return DepletionPlan(premium_above=premium, middle_above=middle)
    except ValueError:
        raise _wrong("plan", _PLAN_WANTED) from None


def plan_document(plan: DepletionPlan | None) -> object:
    """A plan as it is said."""
    if plan is None:
        return PLAN_OFF
    return {name: getattr(plan, name) for name in PLAN_FIELDS}


def _choice(said: Mapping[str, object], name: str, choices: type[Choice]) -> Choice:
    value = said.get(name)
    known = {member.value: member for member in choices}
    if not isinstance(value, str) or value not in known:
        found = "" if value is None else f", and not {_shown(value)}"
        raise _wrong(name, f"must be one of {', '.join(known)}{found}")
    return known[value]


def _subject(said: Mapping[str, object], scope: Scope, *, named: bool) -> str:
    """Whose spending it bounds, by an id."""
    field = _SUBJECTS.get(scope) if named else None
    for other in _SUBJECTS.values():
        if other != field and said.get(other) is not None:
            raise _wrong(other, f"belongs to no budget of the scope {scope.value}: leave it out")
    if field is None:
        return ""
    if scope is Scope.TASK:
        return _choice(said, field, Task).value
    subject = outside.identifier(said.get(field))
    if subject is None:
        raise _wrong(field, f"must be an id: a budget of the scope {scope.value} says whose it is")
    return subject


def _amount(said: Mapping[str, object]) -> tuple[Commodity, int]:
    given = [name for name in _AMOUNTS if said.get(name) is not None]
    if len(given) != 1:
        raise _wrong("amount", f"is said once, as one of {', '.join(_AMOUNTS)}")
    (name,) = given
    value = said[name]
    if name in _MSAT_OF:
        return Commodity.MSAT, _whole(name, value) * _MSAT_OF[name]
    return Commodity.PUSD, _pusd(name, value)


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, 'must be a number, written as one (1000 and not "1000")')
    _refuse_bounds(name, Decimal(repr(value)), most=AMOUNT_MAX // _MSAT_OF[name])
    if value != int(value):
        raise _wrong(name, "must be whole: say a smaller part in amount_msat")
    return int(value)


def _pusd(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _wrong(name, "must be a number of USD, such as 1.5")
    try:
        usd = Decimal(value if isinstance(value, str) else repr(value))
    except InvalidOperation:
        raise _wrong(name, f"must be a number of USD, and not {_shown(value)}") from None
    _refuse_bounds(name, usd, most=AMOUNT_MAX // PUSD_PER_USD)
    return pusd_from_decimal(usd)


def _refuse_bounds(name: str, value: Decimal, *, most: int) -> None:
    if not value.is_finite() or value <= 0:
        raise _wrong(name, "must be above zero: to spend nothing, end the key or block the caller")
    if value > most:
        raise _wrong(name, f"is more than can be spent here: at most {most}")


def _zone(said: Mapping[str, object]) -> str:
    zone = said.get("zone", UTC)
    if not isinstance(zone, str) or not is_zone(zone):
        message = (
            f"There is no time zone {_shown(zone)}: say one by its IANA name, such as "
            "Europe/Berlin or UTC."
        )
        raise RequestInvalid(message, param="zone")
    return zone


def _shown(value: object) -> str:
    return repr(outside.shown(str(value), most=_SHOWN_MAX))


def _wrong(name: str, what: str) -> RequestInvalid:
    return RequestInvalid(f"{name} {what}.", param=name)
