"""A `wallet` plugin of the program cobot over LND, Nostr Wallet Connect or the development node.

It has no tools: a model pays nothing by calling it. What is paid by `pay` is set aside and booked
in the budget of `cobot-meter:`, like everything else that this cobot spends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cobot.plugins.base import Plugin, PluginMeta
from cobot.plugins.interfaces import WalletError, WalletProvider

from cobot_pay.budget import Purpose
from cobot_pay.cli.settings import BadSettings
from cobot_pay.cli.wallets import NoWallet, open_wallet
from cobot_pay.cobot.settings import OF_THE_COBOT, read_meter_settings, wallet_setting
from cobot_pay.errors import L402Error, PaymentFailed, PaymentUnknown
from cobot_pay.invoice_terms import plain_invoice, read_invoice
from cobot_pay.proofs import Attempt, Proofs
from cobot_pay.purchase import PaymentOutcome, PurchaseTerms, settle
from cobot_pay.spending.stored_budget import StoredBudget
from cobot_pay.wallet import Payment, TellsBalance, Wallet, charges_fees

SECTION = "cobot-pay-wallet"
_PAYMENT_S = 60.0


class CobotWalletPlugin(Plugin, WalletProvider):  # type: ignore[misc] # cobot is not here
    """Pays within the budget, and hands back preimages."""

    meta = PluginMeta(
        id=SECTION,
        version="1.0.0",
        capabilities=["wallet"],
        dependencies=["config"],
        priority=24,
    )

    def __init__(self) -> None:
        """Nothing is opened before it is started."""
        self._config: Mapping[str, Any] = {}
        self._wallet: Wallet = NoWallet()
        self._budget: StoredBudget | None = None

    def configure(self, config: dict[str, Any]) -> None:
        """Take the whole of `cobot.yml`."""
        self._config = config

    async def start(self) -> None:
        """Open the wallet; ends the program with one sentence where there is none."""
        try:
            table = self._config.get(SECTION)
            setting = wallet_setting(table if isinstance(table, dict) else {})
            self._wallet = _opened(setting)
            settings = read_meter_settings(self._config)
            self._budget = StoredBudget(settings.book, limits=settings.limits)
        except (BadSettings, OSError) as fault:
            raise SystemExit(f"{SECTION}: {fault}") from fault

    async def stop(self) -> None:
        """Nothing is kept open."""

    def get_balance(self) -> int:
        """What the wallet holds, in whole sat. Raises WalletError."""
        wallet = self._wallet
        if not isinstance(wallet, TellsBalance):
            raise WalletError("this wallet does not tell what it holds")
        with ThreadPoolExecutor(max_workers=1) as apart:
            try:
                held_msat: int = apart.submit(asyncio.run, wallet.balance_msat()).result()
            except L402Error as fault:
                raise WalletError(str(fault)) from fault
        return held_msat // 1_000

    def get_receive_address(self) -> str:
        """Raises WalletError: these wallets are for paying."""
        raise WalletError("this wallet pays; an address to be paid at is your node's own")

    def pay(self, invoice: str) -> dict[str, Any]:
        """Pay within the budget; `preimage` is the proof of it."""
        try:
            payment = self._paid_in_budget(invoice)
        except L402Error as fault:
            return {"success": False, "error": str(fault)}
        paid_msat = payment.amount_msat + payment.fee_msat
        said = f"paid {paid_msat:,} msat, preimage {payment.preimage}"
        return {"success": True, "output": said, "preimage": payment.preimage}

    def pay_for_preimage(self, invoice: str, max_fee_msat: int) -> dict[str, Any]:
        """Pay what the asker has set aside in its own books. Never pays twice of itself."""
        outcome = self._outcome(invoice, max_fee_msat)
        match outcome:
            case Payment(preimage=preimage, amount_msat=amount_msat, fee_msat=fee_msat):
                return {"preimage": preimage, "amount_msat": amount_msat, "fee_msat": fee_msat}
            case PaymentFailed():
                return {"unpaid": True, "error": str(outcome)}
            case _:
                return {"error": str(outcome)}

    async def outcome(self, payment_hash: str) -> Payment | None:
        """What became of a payment. Raises PaymentUnknown while the wallet cannot say."""
        ask = getattr(self._wallet, "outcome", None)
        if ask is None:
            message = "this wallet cannot be asked what became of a payment"
            raise PaymentUnknown(message, payment_hash=payment_hash)
        found: Payment | None = await ask(payment_hash)
        return found

    def _paid_in_budget(self, invoice: str) -> Payment:
        """Raises every L402Error."""
        if self._budget is None:
            raise PaymentFailed("the wallet has not been started")
        terms = read_invoice(plain_invoice(invoice))
        fee_msat = PurchaseTerms().fee_msat(terms.amount_msat) if charges_fees(self._wallet) else 0
        reservation = self._budget.reserve(
            terms.amount_msat,
            fee_msat=fee_msat,
            fee_msat_min=0,
            purpose=Purpose(payment_hash=terms.payment_hash),
        )
        attempt = Attempt(
            payment_hash=terms.payment_hash, origin="", macaroon="", reservation=reservation
        )
        outcome = self._outcome(invoice, reservation.fee_msat)
        booked = settle(attempt, outcome, budget=self._budget, proofs=Proofs())
        if not isinstance(booked, Payment):
            raise booked
        return booked

    def _outcome(self, invoice: str, max_fee_msat: int) -> PaymentOutcome:
        """In a thread and a loop of its own: cobot calls from within its own loop."""
        with ThreadPoolExecutor(max_workers=1) as apart:
            return apart.submit(asyncio.run, self._attempted(invoice, max_fee_msat)).result()

    async def _attempted(self, invoice: str, max_fee_msat: int) -> PaymentOutcome:
        try:
            async with asyncio.timeout(_PAYMENT_S):
                return await self._wallet.pay(plain_invoice(invoice), max_fee_msat=max_fee_msat)
        except (PaymentFailed, PaymentUnknown) as fault:
            return fault
        except TimeoutError:
            return PaymentUnknown("the wallet did not answer in time; the amount stays reserved")


def _opened(setting: str) -> Wallet:
    if setting in {"", OF_THE_COBOT}:
        raise BadSettings(f"write `{SECTION}: {{wallet: development}}`, or lnd, or nwc")
    return open_wallet(setting)


def create_plugin() -> CobotWalletPlugin:
    """What cobot looks for in an installed package."""
    return CobotWalletPlugin()
