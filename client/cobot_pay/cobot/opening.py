"""Opens what a cobot buys with, and settles what a killed one left behind. Must not know: cobot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cobot_pay.cli.settings import BadSettings
from cobot_pay.cli.wallets import NoWallet, open_wallet
from cobot_pay.cobot.calls import Calls
from cobot_pay.cobot.key_spending import KeySpending
from cobot_pay.cobot.settings import OF_THE_COBOT, MeterSettings
from cobot_pay.cobot.wallet_of_cobot import PaysForPreimage, WalletOfCobot
from cobot_pay.spending.settling import settle_unknown
from cobot_pay.spending.stored_budget import StoredBudget
from cobot_pay.wallet import Wallet

_SETTLE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """The budget on disk, and what buys within it."""

    budget: StoredBudget
    calls: Calls
    wallet: Wallet
    keys: KeySpending

    async def settle(self, tell: Callable[[str], None]) -> None:
        """Find out what became of what was being paid when the program before this one ended."""
        self.keys.count_lost()
        try:
            async with asyncio.timeout(_SETTLE_S):
                for told in await settle_unknown(self.budget, self.wallet):
                    tell(told)
        except TimeoutError:
            tell("the wallet does not say what became of earlier payments; they stay reserved")


def open_purse(settings: MeterSettings, *, wallet_plugins: Sequence[object]) -> Purse:
    """Raises BadSettings where nothing could be paid with, before anything is asked."""
    wallet = _wallet(settings, wallet_plugins)
    budget = StoredBudget(settings.book, limits=settings.limits)
    keys = KeySpending(
        budget,
        origin=settings.seller.origin,
        limits=settings.limits.all_hosts,
        patience_s=settings.timeout_s,
    )
    calls = Calls(settings, budget=budget, key_budget=keys, wallet=wallet)
    return Purse(budget=budget, calls=calls, wallet=wallet, keys=keys)


def _wallet(settings: MeterSettings, plugins: Sequence[object]) -> Wallet:
    if settings.wallet != OF_THE_COBOT:
        wallet = open_wallet(settings.wallet)
        if isinstance(wallet, NoWallet) and not settings.api_key:
            raise BadSettings(
                "cobot-meter has nothing to pay with: write `wallet: development`, `lnd`, `nwc` or "
                "`cobot`, or an `api_key`, into its block of cobot.yml"
            )
        return wallet
    for plugin in plugins:
        if isinstance(plugin, PaysForPreimage):
            return WalletOfCobot(plugin)
    raise BadSettings(
        "this cobot's wallet hands back no preimage, and without one nothing that was paid can be "
        "proved: write `wallet: lnd` or `nwc`, or load cobot_pay.cobot_wallet"
    )
