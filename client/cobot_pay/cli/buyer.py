"""What every command works with: the budget, the wallet, and an auth for one seller."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from cobot_pay.account.service_account import ServiceAccount
from cobot_pay.cli.hand_wallet import PATIENCE_S, HandWallet, typed_line
from cobot_pay.cli.sellers import Seller
from cobot_pay.cli.settings import ClientSettings
from cobot_pay.cli.wallets import open_wallet
from cobot_pay.l402_auth import L402Auth
from cobot_pay.spending.stored_budget import StoredBudget
from cobot_pay.wallet import Wallet

# A model may think for long before its first word; connecting has no reason to.
TIMES = httpx.Timeout(600.0, connect=15.0)
PAYMENT_TIMEOUT_S = 60.0


class Buyer:
    """The budget that one command spends from, and what it pays with."""

    def __init__(self, settings: ClientSettings, *, say: Callable[[str], None]) -> None:
        """`say` is told what goes beside the answer."""
        self.settings = settings
        self.say = say
        self.budget = self._opened(for_key=False)
        self._hand: HandWallet | None = None

    def pay_by_hand(self, *, draw: bool) -> None:
        """Show what is to be paid from now on, with `draw` as a QR code too, and ask for proof."""
        self._hand = HandWallet(say=self.say, told=typed_line, draw=draw)

    def wallet(self) -> Wallet:
        """The wallet that the settings name, or whoever pays by hand. Raises BadSettings."""
        return self._hand or open_wallet(self.settings.wallet)

    def auth(self, seller: Seller, *, as_key: bool) -> L402Auth:
        """What pays this seller: with `as_key` a kept key speaks for us, else the newest token."""
        keyed = as_key and bool(self.key_at(seller))
        budget = self._opened(for_key=True) if keyed else self.budget
        timeout_s = PATIENCE_S if self._hand else PAYMENT_TIMEOUT_S
        return L402Auth(wallet=self.wallet(), budget=budget, payment_timeout_s=timeout_s)

    def _opened(self, *, for_key: bool) -> StoredBudget:
        return StoredBudget(self.settings.book, limits=self.settings.limits, for_key=for_key)

    def key_at(self, seller: Seller) -> str:
        """The key that is kept for this seller, empty for none."""
        return self.budget.key_at(seller.origin)

    def account(
        self, http: httpx.AsyncClient, seller: Seller, *, as_key: bool = True
    ) -> ServiceAccount:
        """Our account there, asked with the key that is kept, or else with the newest token."""
        return ServiceAccount(
            http,
            upstream=seller.url,
            auth=self.auth(seller, as_key=as_key),
            key=self.key_at(seller) if as_key else "",
        )


def http_client() -> httpx.AsyncClient:
    """A fresh HTTP client for one command, which has to close it."""
    return httpx.AsyncClient(timeout=TIMES, limits=httpx.Limits(max_connections=256))
