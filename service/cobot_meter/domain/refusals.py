"""What a refused guard tells the caller: the figures in one unit, then what to do and when.

The only place where these sentences are made. Guards return figures, whoever answers the caller
knows whether anything of its own can be paid. Nothing is advised that cannot be done here.
"""

from __future__ import annotations

from cobot_meter.domain.api_key.faults import (
    CreditShort,
    KeyLimitReached,
    KeyLossesReached,
    Shortfall,
)
from cobot_meter.domain.budgets.budget import BudgetWindow, Scope
from cobot_meter.domain.budgets.faults import BudgetExhausted, BudgetShortfall
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.errors import ExposureExceeded
from cobot_meter.domain.money import sat_text, usd_text

DAY_MS = 86_400_000
SECOND_MS = 1_000
# A run that is under way has its price, and with it less reserved, some seconds later.
RUNNING_RETRY_S = 5
TAKEN_RETRY_S = 1
# Guards that count a UTC day in pico-USD; the others count msat.
OF_A_DAY = frozenset({"address", "budget"})

_OPEN = {
    "caller": "This caller has {open} open and unpaid of at most {limit}",
    "address": (
        "Unpaid runs of new callers behind this network address have taken {open} of the {limit} "
        "that they may take a day"
    ),
    "budget": (
        "Unpaid runs of callers like this one have taken {open} of the {limit} that they may take "
        "a day"
    ),
}
_OF_KEY = {
    "key": "This API key has spent or reserved {open} of the {limit} that it may spend in all",
    "key_day": "This API key has spent or reserved {open} of the {limit} that it may spend a day",
}
_MOST = {
    "caller": "this caller may have at most {limit} open and unpaid",
    "address": (
        "unpaid runs of new callers behind one network address may take at most {limit} a day"
    ),
    "budget": "unpaid runs of callers like this one may take at most {limit} a day",
}
_AVAILABLE = "Other requests of this caller have just used the credit that was to pay for this one"
_RAISE = "a larger budget would let it through"
_LESS = "ask for less with a lower max_tokens or a cheaper model"


def exposure_exceeded(guard: str, *, open_amount: int, limit: int, asked: int) -> ExposureExceeded:
    """The error of a guard; amounts in its own unit."""
    refused = ExposureExceeded("", guard=guard, open_amount=open_amount, limit=limit, asked=asked)
    refused.message = sentence(refused, to_pay=False)
    refused.args = (refused.message,)
    return refused


def key_limit_reached(refused: ExposureExceeded, *, at_a_price: bool = False) -> KeyLimitReached:
    """The error of a guard that is a key's limit; what is `at_a_price` cannot cost less."""
    guard, asked = refused.guard, sat_text(refused.asked)
    stands = _OF_KEY[guard].format(
        open=f"{sat_text(max(refused.open_amount, 0))} sat", limit=f"{sat_text(refused.limit)} sat"
    )
    advice = [] if at_a_price or refused.open_amount >= refused.limit else [_LESS]
    advice += ["ask again after midnight UTC"] if guard == "key_day" else []
    advice += ["let its owner raise the limit (PATCH /v1/keys/{id})"]
    message = f"{stands}, and this request may cost up to {asked} sat: {_either(advice)}."
    return KeyLimitReached(
        message,
        guard=guard,
        open_amount=refused.open_amount,
        limit=refused.limit,
        asked=refused.asked,
    )


def budget_exhausted(shortfall: BudgetShortfall) -> BudgetExhausted:
    """The error of a guard that is a budget, with its figures where they are the caller's own."""
    standing = shortfall.standing
    window, show = standing.window, standing.window.budget.text
    fits = _fits_in_budget(shortfall)
    reset = f"it begins anew at {window.resets_at} ({window.budget.zone})"
    if window.is_of_others:
        later = _either([one for one in (fits, "ask again later") if one])
        message = f"The operator of this service lets no more be spent {_where(window)}: {later}; "
        message += f"{reset}."
        return BudgetExhausted(message, shortfall=shortfall)
    others = (
        f" ({show(standing.reserved)} more are reserved by requests under way)"
        if standing.reserved > 0
        else ""
    )
    message = (
        f"The budget of {_whose(window)} of {show(window.budget.amount)} a "
        f"{window.budget.period.value} has {show(standing.left)} left{others}, and this request "
        f"may cost up to {show(shortfall.asked)}: {fits or _RAISE}; {reset}."
    )
    return BudgetExhausted(message, shortfall=shortfall)


def _whose(window: BudgetWindow) -> str:
    match window.budget.scope:
        case Scope.KEY:
            return "this API key"
        case Scope.MODEL:
            return f"the model {window.budget.subject}"
        case Scope.TASK:
            return f"the task {window.budget.subject}"
        case _:
            return "this caller"


def _where(window: BudgetWindow) -> str:
    budget = window.budget
    named = budget.scope in {Scope.MODEL, Scope.TASK}
    on = f"on the {budget.scope.value} {budget.subject} " if named else ""
    return f"{on}in this {budget.period.value}"


def _fits_in_budget(shortfall: BudgetShortfall) -> str:
    fits = shortfall.fits_max_tokens
    if shortfall.waits:
        soon = "ask again when those have ended"
        return f"{soon}, or with max_tokens {fits}" if fits else soon
    if fits is None:
        return shortfall.advice
    return f"max_tokens {fits} would fit" if fits else "not even one token of an answer would fit"


def key_losses_reached(lost_pusd: int, *, limit_pusd: int) -> KeyLossesReached:
    """The error of an ask by a key to which too much of a day was answered for nothing."""
    return KeyLossesReached(
        f"Answers to this API key that broke off at the model's provider, and that nobody pays, "
        f"have cost {usd_text(lost_pusd)} USD today, or may have, and {usd_text(limit_pusd)} USD "
        "are the most: ask again after midnight UTC, with a model or provider that does not break "
        "off."
    )


def credit_short(shortfall: Shortfall) -> CreditShort:
    """The error of an ask by key that its caller's credit does not cover."""
    reserved_msat, needed = shortfall.reserved_msat, sat_text(shortfall.needed_msat)
    others = (
        f" ({sat_text(reserved_msat)} sat more are reserved by requests under way)"
        if reserved_msat > 0
        else ""
    )
    message = (
        f"Not enough credit: {sat_text(max(shortfall.available_msat, 0))} sat are left{others}, "
        f"and this request may cost up to {needed} sat; {_what_fits(shortfall)}."
    )
    return CreditShort(message, shortfall=shortfall)


def edition_credit_short(standing: CallerStanding, *, needed_msat: int) -> CreditShort:
    """The error of whoever buys a day's benchmarks with too little credit."""
    left_msat = standing.available_msat
    shortfall = Shortfall(
        available_msat=left_msat,
        reserved_msat=standing.credited_msat - standing.spent_credit_msat - left_msat,
        needed_msat=needed_msat,
    )
    message = (
        f"Not enough credit: {sat_text(max(left_msat, 0))} sat are left, and today's benchmarks "
        f"cost {sat_text(needed_msat)} sat."
    )
    return CreditShort(message, shortfall=shortfall)


def credit_taken(standing: CallerStanding, *, needed_msat: int) -> CreditShort:
    """The error of an ask by key whose credit was there, and went to others while it was opened."""
    left_msat = standing.available_msat
    reserved_msat = standing.credited_msat - standing.spent_credit_msat - left_msat
    message = (
        "Not enough credit just now: other requests took it while this one was being opened "
        f"({sat_text(max(left_msat, 0))} sat are left, {sat_text(max(reserved_msat, 0))} sat are "
        f"reserved by requests under way), and this one may cost up to {sat_text(needed_msat)} "
        "sat; ask again when they have ended."
    )
    shortfall = Shortfall(
        available_msat=left_msat, reserved_msat=reserved_msat, needed_msat=needed_msat
    )
    return CreditShort(message, shortfall=shortfall)


def _what_fits(shortfall: Shortfall) -> str:
    if shortfall.cheaper_model is not None:
        return f"as it is, the model {shortfall.cheaper_model} would fit"
    if shortfall.fits_max_tokens:
        return f"max_tokens {shortfall.fits_max_tokens} would fit"
    return "not even one token of an answer would fit"


def sentence(refused: ExposureExceeded, *, to_pay: bool) -> str:
    """One sentence; `to_pay` says that the caller is shown open invoices of its own."""
    if refused.guard == "available":
        return f"{_AVAILABLE}: ask again."
    figures = {
        name: _shown(refused.guard, amount)
        for name, amount in (
            ("open", refused.open_amount),
            ("limit", refused.limit),
            ("asked", refused.asked),
        )
    }
    if _never_fits(refused):
        most = _MOST.get(refused.guard, _MOST["caller"]).format(**figures)
        return f"This request may cost up to {figures['asked']}, and {most}: {_LESS}."
    stands = _OPEN.get(refused.guard, _OPEN["caller"]).format(**figures)
    advice = _either(_advice(refused, to_pay=to_pay))
    return f"{stands}, and this request may cost up to {figures['asked']} more: {advice}."


def retry_after_s(refused: ExposureExceeded, *, now_ms: int, to_pay: bool) -> int | None:
    """When the same request can help by itself; None where time alone changes nothing."""
    if refused.guard == "available":
        return TAKEN_RETRY_S
    if _never_fits(refused):
        return None
    if refused.guard in OF_A_DAY:
        return -(-(DAY_MS - now_ms % DAY_MS) // SECOND_MS)
    return None if to_pay else RUNNING_RETRY_S


def _never_fits(refused: ExposureExceeded) -> bool:
    return refused.asked > refused.limit


def _advice(refused: ExposureExceeded, *, to_pay: bool) -> list[str]:
    advice = ["pay what is open (see metadata.to_pay)"] if to_pay else []
    if refused.open_amount < refused.limit:
        advice.append(_LESS)
    if refused.guard in OF_A_DAY:
        advice.append("ask again after midnight UTC")
    elif not to_pay:
        advice.append("ask again when what is running has ended")
    return advice


def _either(parts: list[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)}, or {last}" if first else last


def _shown(guard: str, amount: int) -> str:
    amount = max(amount, 0)
    return f"{usd_text(amount)} USD" if guard in OF_A_DAY else f"{sat_text(amount)} sat"
