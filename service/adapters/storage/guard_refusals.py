"""What a refusal of the database means: a guard's bound, one transition's own trouble, or worse.

Must not know: how the guard was tested.
"""

from __future__ import annotations

from service.domain.errors import ExposureExceeded, LedgerContradicted, LedgerUnbalanced
from service.domain.money import sat_of, usd_text

_SENTENCES = {
    "caller": (
        "This caller has {open} open and unpaid of at most {limit}, and this request may take "
        "{asked} more: pay or let go of what is open, top up credit, or ask for less."
    ),
    "address": (
        "New callers from this network address have used {open} of today's {limit}, and this "
        "request may take {asked} more: top up credit, or ask again tomorrow."
    ),
    "budget": (
        "Today's budget for unpaid completions stands at {open} of {limit}, and this request may "
        "take {asked} more: top up credit, or ask again tomorrow."
    ),
    "available": (
        "This caller's credit is {available}, and {asked} of it was to be used: ask again, or "
        "top up credit."
    ),
}
# A hold reserved or resolved a second time, and credit spent below zero: no value of one sale
# does that, only books whose rows and transfers tell different stories.
_CONTRADICTIONS = ("transfer.hold_id", "uq_transfer_re", "account_spendable")
_OTHER = "The guard {guard} stands at {open} of {limit}, and {asked} more was asked for."


def refusal(guard: str, *, open_amount: int, limit: int, asked: int) -> ExposureExceeded:
    """The error; amounts are msat, or pico-USD for the day's budget."""
    shown = _usd if guard == "budget" else _sat
    sentence = _SENTENCES.get(guard, _OTHER)
    message = sentence.format(
        guard=guard,
        open=shown(open_amount),
        limit=shown(limit),
        asked=shown(asked),
        available=shown(max(limit - open_amount, 0)),
    )
    return ExposureExceeded(message, guard=guard, open_amount=open_amount, limit=limit, asked=asked)


def unbookable(key: str, says: str) -> LedgerUnbalanced:
    """The error of a transition that a constraint refused, in the database's own words."""
    message = f"{key} cannot be booked: {says}"
    if any(name in says for name in _CONTRADICTIONS):
        return LedgerContradicted(message)
    return LedgerUnbalanced(message)


def _sat(msat: int) -> str:
    return f"{sat_of(msat)} sat"


def _usd(pusd: int) -> str:
    return f"{usd_text(pusd)} USD"
