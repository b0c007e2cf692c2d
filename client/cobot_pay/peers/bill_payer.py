"""Pays a bill that came in a message, within the budget, once; and fetches what it was for.

Everything in a bill is a stranger's word: it is held against its own invoice and against what was
allowed before anything is set aside. Must not know: messages or channels.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection

import httpx

from cobot_pay.budget import Purpose
from cobot_pay.errors import BudgetExceeded, ChallengeRefused, PaymentFailed, PaymentUnknown
from cobot_pay.http_shapes import origin_of
from cobot_pay.invoice_terms import read_invoice
from cobot_pay.peers.blocks import Bill
from cobot_pay.proofs import Attempt, Proof, Proofs, Standing
from cobot_pay.purchase import PaymentOutcome, PurchaseTerms, settle
from cobot_pay.spending.settling import settle_unknown
from cobot_pay.spending.stored_budget import StoredBudget
from cobot_pay.wallet import Payment, Wallet, charges_fees

_MSAT_PER_SAT = 1_000
_TIMEOUT_S = 30.0
_ANSWER_BYTES_MAX = 4_000_000


class BillPayer:
    """One agent's wallet and budget, for bills of other agents."""

    def __init__(
        self,
        *,
        wallet: Wallet,
        budget: StoredBudget,
        services: Collection[str] = (),
        terms: PurchaseTerms | None = None,
        payment_timeout_s: float = 60.0,
    ) -> None:
        """`budget` is opened `for_key`: a macaroon of a task says nothing of who pays.

        `services` are the origins from which a paid answer may be fetched: a bill names an address
        of its writer's choice, and nothing is sent to any other.
        """
        self._wallet = wallet
        self._budget = budget
        self._services = {origin for url in services if (origin := _origin(url))}
        self._terms = terms or PurchaseTerms()
        self._payment_timeout_s = payment_timeout_s
        self._proofs = Proofs(recall=budget.recall)

    def why_not(self, max_msat: int) -> str:
        """Why so much may not be spent now, as the budget says it; empty when it may."""
        for one in self._budget.stands():
            if one.left_msat < max_msat:
                return str(BudgetExceeded(one, invoice_msat=max_msat, fee_msat=0))
        return ""

    async def pay(self, bill: Bill, *, max_msat: int) -> str:
        """The authorization that the payment earned; of a bill that is paid already, found again.

        Raises every L402Error but ProofRefused.
        """
        self._check(bill, max_msat)
        if self._proofs.look(bill.payment_hash) is Standing.UNKNOWN:
            await settle_unknown(self._budget, self._wallet)
            self._proofs.unpaid(bill.payment_hash)  # from here on it is what the file says
        found = self._proofs.claim(bill.payment_hash)
        if isinstance(found, Proof):
            return found.authorization
        if found is not Standing.NEW:
            message = f"whether the invoice {bill.payment_hash} was paid is not known yet"
            raise PaymentUnknown(message, payment_hash=bill.payment_hash)
        return await self._paid(bill)

    async def answer_of(self, bill: Bill, authorization: str) -> str:
        """The sealed answer, from the service; empty where it is not asked or does not say it."""
        if _origin(bill.url) not in self._services:
            return ""
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as http:
                answer = await http.get(
                    f"{bill.url}/completion", headers={"Authorization": authorization}
                )
        except (httpx.HTTPError, httpx.InvalidURL):
            return ""
        if answer.status_code != httpx.codes.OK or len(answer.content) > _ANSWER_BYTES_MAX:
            return ""
        return _text_in(answer.content)

    def _check(self, bill: Bill, max_msat: int) -> None:
        terms = read_invoice(bill.invoice)
        if terms.payment_hash != bill.payment_hash:
            raise ChallengeRefused("the bill names another payment hash than its invoice")
        if terms.amount_msat != bill.amount_msat:
            raise ChallengeRefused("the bill names another price than its invoice")
        if terms.amount_msat > max_msat:
            message = (
                f"the bill is {_sat(terms.amount_msat)} sat, and at most {_sat(max_msat)} sat were "
                "allowed for this task"
            )
            raise ChallengeRefused(message)

    async def _paid(self, bill: Bill) -> str:
        attempt: Attempt | None = None
        fees = charges_fees(self._wallet)
        try:
            origin = _origin(bill.url)
            reservation = self._budget.reserve(
                bill.amount_msat,
                fee_msat=self._terms.fee_msat(bill.amount_msat) if fees else 0,
                fee_msat_min=0,
                purpose=Purpose(
                    payment_hash=bill.payment_hash,
                    origin=origin,
                    macaroon=bill.macaroon,
                    micro_usd_per_btc=bill.micro_usd_per_btc or None,
                ),
            )
            attempt = Attempt(
                payment_hash=bill.payment_hash,
                origin=origin,
                macaroon=bill.macaroon,
                reservation=reservation,
            )
        finally:
            if attempt is None:
                self._proofs.unpaid(bill.payment_hash)
        outcome: PaymentOutcome = PaymentUnknown("it was interrupted while being paid")
        try:
            outcome = await self._sent(bill, reservation.fee_msat)
        finally:
            outcome = settle(attempt, outcome, budget=self._budget, proofs=self._proofs)
        if not isinstance(outcome, Payment):
            raise outcome
        return attempt.authorization(outcome.preimage)

    async def _sent(self, bill: Bill, max_fee_msat: int) -> PaymentOutcome:
        try:
            async with asyncio.timeout(self._payment_timeout_s):
                return await self._wallet.pay(bill.invoice, max_fee_msat=max_fee_msat)
        except (PaymentFailed, PaymentUnknown) as fault:
            return fault
        except TimeoutError:
            return PaymentUnknown("the wallet did not answer in time; the amount stays reserved")


def _origin(url: str) -> str:
    """Scheme, host and port; empty for what is no address of the web."""
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        return ""
    return origin_of(read) if read.scheme in ("http", "https") and read.host else ""


def _text_in(content: bytes) -> str:
    try:
        text = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    return text if isinstance(text, str) else ""


def _sat(msat: int) -> str:
    whole, rest = divmod(msat, _MSAT_PER_SAT)
    return f"{whole:,}.{rest:03d}" if rest else f"{whole:,}"
