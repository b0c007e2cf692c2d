"""`cobot-pay receipts`, `balance`, `topup`, `keys`: what was paid, what is left, what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cobot_pay.account.service_account import AccountRefused
from cobot_pay.cli.buyer import Buyer, http_client
from cobot_pay.cli.sellers import Seller
from cobot_pay.cli.settings import BadSettings
from cobot_pay.errors import Committed, L402Error
from cobot_pay.spending.cobot_limits import kept_limits
from cobot_pay.spending.limits import BudgetLimits
from cobot_pay.spending.settling import settle_unknown
from cobot_pay.spending.stored_budget import Receipt, StoredBudget
from cobot_pay.wallet import TellsBalance

Write = Callable[[str], None]


async def receipts(buyer: Buyer, *, settle: bool, unknown_only: bool, write: Write) -> None:
    """What was paid, the newest first; with `settle` the wallet is asked what is unknown."""
    if settle:
        for told in await settle_unknown(buyer.budget, buyer.wallet()):
            buyer.say(told)
    found = buyer.budget.receipts(unknown_only=unknown_only)
    for receipt in found:
        write(_receipt(receipt))
    if not found:
        buyer.say("nothing here")


def declare_unpaid(buyer: Buyer, payment_hash: str) -> None:
    """The owner's word that a payment of unknown outcome was not made. Raises BadSettings."""
    if not buyer.budget.settle(payment_hash, None):
        raise BadSettings(f"no payment {payment_hash} is unknown: `cobot-pay receipts --unknown`")
    buyer.say(f"{payment_hash}: released, at your word")


async def balance(buyer: Buyer, seller: Seller | None, *, write: Write) -> None:
    """How the limits stand; what the wallet holds; and the credit at a seller.

    First the limits of `config.toml`, which hold for this command and the proxy; then those of
    every cobot that spends from the same file.
    """
    hosts = ["", *([seller.url.partition("://")[2]] if seller else [])]
    for host in hosts:
        for one in buyer.budget.stands(host):
            write(_standing(one, f" for {host}" if host else ""))
    for cobot in kept_limits(buyer.budget.book):
        limits = BudgetLimits(all_hosts=cobot.limits)
        for one in StoredBudget(buyer.settings.book, limits=limits).stands_at(cobot.origin):
            write(_standing(one, f" of the cobot in {cobot.folder}"))
        since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(cobot.started_at_s))
        buyer.say(f"the cobot in {cobot.folder} has the limits that it started with at {since}")
    try:
        wallet = buyer.wallet()
        if isinstance(wallet, TellsBalance):
            write(f"wallet: {await wallet.balance_msat():,} msat")
    except (BadSettings, L402Error) as fault:
        buyer.say(str(fault))
    if seller is not None:
        async with http_client() as http:
            credit = await buyer.account(http, seller).credit()
        write(f"credit at {seller.url}: {credit.available_msat:,} msat")


async def topup(
    buyer: Buyer,
    seller: Seller,
    amount_sat: int,
    *,
    key: Mapping[str, object] | None,
    write: Write,
) -> None:
    """Buy credit, and with `key` a key for it, which is kept and shown once."""
    async with http_client() as http:
        account = buyer.account(http, seller, as_key=key is None)
        bought = await account.topup(amount_sat, key=key)
    buyer.say(f"credit at {seller.url}: {bought.available_msat:,} msat")
    if bought.key:
        buyer.budget.keep_key(seller.origin, bought.key)
        write(bought.key)
    elif key is not None:
        raise AccountRefused("the credit is there and no key was made: `cobot-pay keys URL create`")


async def keys(
    buyer: Buyer,
    seller: Seller,
    action: tuple[str, str],
    *,
    limits: Mapping[str, object],
    write: Write,
) -> None:
    """`list`, `create`, `rotate ID`, `revoke ID`, and `forget`, which forgets ours alone.

    What is kept of ours follows: a new text when it is rotated, nothing when it is revoked.

    Keys are managed with the proof of a payment, never with a key.
    """
    what, key_id = action
    if what == "forget":
        buyer.budget.keep_key(seller.origin, "")
        return
    async with http_client() as http:
        account = buyer.account(http, seller, as_key=False)
        match what:
            case "list":
                for one in await account.keys():
                    write(
                        "  ".join(str(one.get(name)) for name in ("id", "state", "label", "name"))
                    )
            case "create":
                made = await account.create_key(limits)
                buyer.budget.keep_key(seller.origin, made)
                write(made)
            case "rotate":
                ours = _is_kept(buyer, seller, await account.keys(), key_id)
                made = await account.rotate_key(key_id)
                if ours:
                    buyer.budget.keep_key(seller.origin, made)
                write(made)
            case _:
                ours = _is_kept(buyer, seller, await account.keys(), key_id)
                await account.revoke_key(key_id)
                if ours:
                    buyer.budget.keep_key(seller.origin, "")


def _is_kept(
    buyer: Buyer, seller: Seller, listed: Sequence[Mapping[str, Any]], key_id: str
) -> bool:
    """Whether it is the key that this file spends with: others were given to somebody else.

    The seller tells a key by how its text begins, with an ellipsis behind.
    """
    kept = buyer.budget.key_at(seller.origin)
    begins = (str(one.get("label")).removesuffix("…") for one in listed if one.get("id") == key_id)
    return bool(kept) and any(kept.startswith(begin) for begin in begins)


def _standing(one: Committed, whose: str) -> str:
    return (
        f"{one.limit}{whose}: {max(one.left_msat, 0):,} of {one.limit_msat:,} msat left "
        f"({one.spent_msat:,} spent, {one.in_flight_msat:,} in flight)"
    )


def _receipt(receipt: Receipt) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(receipt.reserved_at_s))
    preimage = receipt.preimage or "-"
    return (
        f"{when}  {receipt.state:<8}  {receipt.amount_msat:>12,} msat  "
        f"{receipt.origin.rstrip(':')}  {receipt.payment_hash}  {preimage}"
    )
