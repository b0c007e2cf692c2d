"""Opens what a cobot buys with, and settles what a killed one left behind. Must not know: cobot."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cobot_pay import wall_clock
from cobot_pay.cli.settings import BadSettings
from cobot_pay.cli.wallets import NoWallet, open_wallet
from cobot_pay.cobot.key_spending import KeySpending
from cobot_pay.cobot.settings import OF_THE_COBOT, MeterSettings
from cobot_pay.cobot.wallet_of_cobot import PaysForPreimage, WalletOfCobot
from cobot_pay.spending.cobot_limits import CobotLimits, keep_limits
from cobot_pay.spending.settling import settle_unknown
from cobot_pay.spending.stored_budget import StoredBudget
from cobot_pay.wallet import Wallet

if TYPE_CHECKING:
    from cobot_pay.cobot.calls import Calls

_SETTLE_S = 20.0


class Purse:
    """The budget on disk, and what buys within it."""

    def __init__(self, settings: MeterSettings, *, wallet: Wallet) -> None:
        """Opens the file of the budget; nothing is bought yet."""
        self._settings = settings
        self._wallet = wallet
        self.budget = StoredBudget(settings.book, limits=settings.limits)
        self._keys = KeySpending(
            self.budget,
            origin=settings.seller.origin,
            limits=settings.limits.all_hosts,
            patience_s=settings.timeout_s,
        )
        self._one_opens = threading.Lock()
        self._calls: Calls | None = None

    @property
    def is_open(self) -> bool:
        """Whether `calls` was asked before, so that it loads nothing now."""
        return self._calls is not None

    def calls(self) -> Calls:
        """What buys; the first time this loads an HTTP library, which takes a tenth of a second."""
        from cobot_pay.cobot.calls import Calls

        with self._one_opens:
            if self._calls is None:
                self._calls = Calls(
                    self._settings,
                    budget=self.budget,
                    key_budget=self._keys,
                    wallet=self._wallet,
                )
            return self._calls

    async def limit_key(self, tell: Callable[[str], None]) -> None:
        """Have the service keep the daily limit for the key, where the owner wants that.

        Raises BadSettings with what is in the way; a service that is away is told of, since the
        limit holds here in any case.
        """
        if not self._settings.key_budget_zone:
            return
        from cobot_pay.cobot.key_budget import ServiceAway, put_key_budget

        proof = self.budget.tokens.get(self._settings.seller.origin, "")
        try:
            await asyncio.to_thread(put_key_budget, self._settings, proof=proof)
        except ServiceAway as away:
            tell(f"the daily limit is not a budget of the key yet, and holds here alone: {away}")

    async def settle(self, tell: Callable[[str], None]) -> None:
        """Find out what became of what was being paid when the program before this one ended."""
        self._keys.count_lost()
        try:
            async with asyncio.timeout(_SETTLE_S):
                for told in await settle_unknown(self.budget, self._wallet):
                    tell(told)
        except TimeoutError:
            tell("the wallet does not say what became of earlier payments; they stay reserved")

    def close(self) -> None:
        """Give payments under way a moment to be booked."""
        if self._calls is not None:
            self._calls.close()


def open_purse(settings: MeterSettings, *, folder: Path, wallet_plugins: Sequence[object]) -> Purse:
    """Raises BadSettings where nothing could be paid with, before anything is asked.

    The cobot's limits are left in the file of the budget, under the folder that it runs in.
    """
    purse = Purse(settings, wallet=_wallet(settings, wallet_plugins))
    kept = CobotLimits(
        folder=str(folder),
        origin=settings.seller.origin,
        limits=settings.limits.all_hosts,
        started_at_s=wall_clock.now_s(),
    )
    keep_limits(purse.budget.book, kept)
    return purse


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
