"""The chart of accounts. Must not know: amounts, events or how balances are stored.

An account holds one commodity. *Exact* accounts carry a balance row that guards read under
its lock; operator accounts are append-only and rolled up once per commit, so no row is hot.
*Memo* accounts measure exposure and standing; they move against `exposure/contra` only.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass


class Commodity(enum.StrEnum):
    """What an account counts: millisatoshi, or pico-USD (1e-12 USD)."""

    MSAT = "msat"
    PUSD = "pusd"


class Nature(enum.StrEnum):
    """Which side an account normally stands on, and where a trial balance lists it."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"
    MEMO = "memo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account, named by its code; `exact` when guards may stand on its balance."""

    code: str
    commodity: Commodity
    nature: Nature
    exact: bool = False


UNEARNED = Account(code="escrow/unearned", commodity=Commodity.MSAT, nature=Nature.LIABILITY)
REVENUE = Account(code="revenue/completions", commodity=Commodity.MSAT, nature=Nature.INCOME)
REVENUE_EDITIONS = Account(
    code="revenue/benchmarks", commodity=Commodity.MSAT, nature=Nature.INCOME
)
REVENUES = (REVENUE, REVENUE_EDITIONS)
EXPOSURE_MSAT = Account(code="exposure/contra/msat", commodity=Commodity.MSAT, nature=Nature.MEMO)
EXPOSURE_PUSD = Account(code="exposure/contra/pusd", commodity=Commodity.PUSD, nature=Nature.MEMO)
COST_UPSTREAM = Account(code="cost/upstream", commodity=Commodity.PUSD, nature=Nature.EXPENSE)
COST_UNPAID = Account(code="cost/unpaid", commodity=Commodity.PUSD, nature=Nature.EXPENSE)
COST_FAILED = Account(code="cost/failed", commodity=Commodity.PUSD, nature=Nature.EXPENSE)
COST_UNATTRIBUTED = Account(
    code="cost/unattributed", commodity=Commodity.PUSD, nature=Nature.EXPENSE
)
COST_ACCOUNTS = (COST_UPSTREAM, COST_UNPAID, COST_FAILED, COST_UNATTRIBUTED)

# A sale names its accounts thirty times, and they are eight: the last few hundred are at hand.
_at_hand = functools.lru_cache(maxsize=512)


@_at_hand
def available(caller_id: str) -> Account:
    """What we owe a caller in credit; never below zero, pending debits included."""
    return _exact(f"caller/{caller_id}/available", Commodity.MSAT, Nature.LIABILITY)


@_at_hand
def receivable(caller_id: str) -> Account:
    """What a caller has open and unpaid; capped when new exposure opens."""
    return _exact(f"caller/{caller_id}/receivable", Commodity.MSAT, Nature.ASSET)


@_at_hand
def settled(caller_id: str) -> Account:
    """Memo: what a caller has paid for completions over Lightning; raises the cap."""
    return _exact(f"caller/{caller_id}/settled", Commodity.MSAT, Nature.MEMO)


@_at_hand
def lapsed(caller_id: str) -> Account:
    """Memo: what a caller asked for and let lapse; lowers the cap."""
    return _exact(f"caller/{caller_id}/lapsed", Commodity.MSAT, Nature.MEMO)


@_at_hand
def address_budget(address: str, day: str) -> Account:
    """Memo: unpaid upstream spend of the newcomers behind one network address on one UTC day."""
    return _exact(f"exposure/network/{address}/{day}", Commodity.PUSD, Nature.MEMO)


@_at_hand
def old_address_exposure(address: str, day: str) -> Account:
    """Memo: msat that newcomers behind an address had open; of escrows before revision 0009."""
    return _exact(f"exposure/address/{address}/{day}", Commodity.MSAT, Nature.MEMO)


@_at_hand
def day_budget(day: str, *, newcomer: bool) -> Account:
    """Memo: unpaid upstream spend of one UTC day, newcomers and proven callers apart."""
    group = "newcomers" if newcomer else "proven"
    return _exact(f"exposure/unpaid/{group}/{day}", Commodity.PUSD, Nature.MEMO)


@_at_hand
def overrun(day: str) -> Account:
    """Memo: what sales of one UTC day cost us beyond reservations that grow, at our price."""
    return _exact(f"exposure/overrun/{day}", Commodity.PUSD, Nature.MEMO)


@_at_hand
def key_spent(key_id: str) -> Account:
    """Memo: what an API key has spent in all; its limit bounds it."""
    return _exact(f"key/{key_id}/spent", Commodity.MSAT, Nature.MEMO)


@_at_hand
def key_day(key_id: str, day: str) -> Account:
    """Memo: what an API key has spent of one UTC day's asks."""
    return _exact(f"key/{key_id}/day/{day}", Commodity.MSAT, Nature.MEMO)


@_at_hand
def key_losses(key_id: str, day: str) -> Account:
    """Memo: what runs of one UTC day's asks of an API key cost us and nobody pays."""
    return _exact(f"exposure/key/{key_id}/{day}", Commodity.PUSD, Nature.MEMO)


def budget_stem(commodity: Commodity, owner: str, name: str) -> str:
    """What the codes of a budget's accounts have in common: all but where the window begins."""
    return f"budget/{commodity.value}/{owner}/{name}"


@_at_hand
def budget_window(commodity: Commodity, owner: str, name: str, start: str) -> Account:
    """Memo: what counts against a budget in the window that begins at `start`."""
    return _exact(f"{budget_stem(commodity, owner, name)}/{start}", commodity, Nature.MEMO)


def is_budget(guard: str) -> bool:
    """Whether a guard of this name is a budget: it has the name of its account."""
    return guard.startswith("budget/")


def budget_model(code: str) -> str | None:
    """The model that a budget's account is of; None for every other account."""
    match code.split("/"):
        case ["budget", _, _, "model", _, _, first, *rest, _]:
            return "/".join((first, *rest))
        case _:
            return None


def exposure_contra(commodity: Commodity) -> Account:
    """What memo accounts of this commodity are moved against."""
    return EXPOSURE_MSAT if commodity is Commodity.MSAT else EXPOSURE_PUSD


@_at_hand
def upstream_credits(name: str) -> Account:
    """What we have at the upstream of this name; it only falls, for nobody books what we pay in."""
    return Account(code=f"upstream/{name}/credits", commodity=Commodity.PUSD, nature=Nature.ASSET)


@_at_hand
def node_balance(alias: str) -> Account:
    """What the Lightning node has received for us."""
    return Account(code=f"ln/node/{alias}", commodity=Commodity.MSAT, nature=Nature.ASSET)


def caller_accounts(caller_id: str) -> tuple[Account, ...]:
    """Every account of a caller: opened together, before the first guard reads one."""
    return (
        available(caller_id),
        receivable(caller_id),
        settled(caller_id),
        lapsed(caller_id),
    )


def upstream_of(code: str) -> str | None:
    """Whose credits the account of this code holds; None when it holds no upstream's."""
    match code.split("/"):
        case ["upstream", name, "credits"] if name:
            return name
        case _:
            return None


def account_of(code: str) -> Account | None:
    """The account that the chart knows under this code; None when it knows none."""
    match code.split("/"):
        case ["caller", caller_id, kind] if kind in _CALLER_KINDS:
            return _CALLER_KINDS[kind](caller_id)
        case ["exposure", *_] if code not in _FIXED:
            return _exposure_of(code)
        case ["key" | "budget", *_]:
            return _limited_of(code)
        case ["ln", "node", first, *rest]:
            return node_balance("/".join((first, *rest)))
        case _:
            upstream = upstream_of(code)
            return _FIXED.get(code) if upstream is None else upstream_credits(upstream)


def _limited_of(code: str) -> Account | None:
    match code.split("/"):
        case ["key", key_id, "spent"]:
            return key_spent(key_id)
        case ["key", key_id, "day", day]:
            return key_day(key_id, day)
        case ["budget", ("msat" | "pusd") as counted, owner, first, *rest, start]:
            return budget_window(Commodity(counted), owner, "/".join((first, *rest)), start)
        case _:
            return None


def _exposure_of(code: str) -> Account | None:
    match code.split("/"):
        case [_, "address", first, *rest, day]:
            return old_address_exposure("/".join((first, *rest)), day)
        case [_, "network", first, *rest, day]:
            return address_budget("/".join((first, *rest)), day)
        case [_, "key", key_id, day]:
            return key_losses(key_id, day)
        case [_, "overrun", day]:
            return overrun(day)
        case [_, "unpaid", ("newcomers" | "proven") as group, day]:
            return day_budget(day, newcomer=group == "newcomers")
        case _:
            return None


def _exact(code: str, commodity: Commodity, nature: Nature) -> Account:
    return Account(code=code, commodity=commodity, nature=nature, exact=True)


_CALLER_KINDS: Mapping[str, Callable[[str], Account]] = {
    "available": available,
    "receivable": receivable,
    "settled": settled,
    "lapsed": lapsed,
}
_FIXED: Mapping[str, Account] = {
    account.code: account
    for account in (
        UNEARNED,
        *REVENUES,
        EXPOSURE_MSAT,
        EXPOSURE_PUSD,
        *COST_ACCOUNTS,
    )
}
