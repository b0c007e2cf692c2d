"""A wallet that somebody else runs, over Nostr Wallet Connect (NIP-47): needs the extra `nwc`.

The wallet service is asked over a relay, and neither is believed: what was paid is proved by the
preimage alone, and nothing but a refusal that comes before paying, or the service's own word after
a look-up, means that nothing was paid. Everything else is unknown. NIP-47 lets nobody bound the fee
of a payment: the service's own budget does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from cobot_pay.errors import ChallengeRefused, PaymentFailed, PaymentUnknown
from cobot_pay.invoice_terms import InvoiceTerms, plain_invoice, read_invoice
from cobot_pay.nostr.connection_uri import read_connection_uri
from cobot_pay.nostr.keys import NostrKey
from cobot_pay.nostr.relay import RelayLost, connected
from cobot_pay.nostr.wallet_service import (
    Capabilities,
    ServiceRefused,
    ServiceUnfit,
    WalletService,
)
from cobot_pay.wallet import Payment, proves

# Refused before anything was tried. PAYMENT_FAILED is not among them: a timeout is called so too.
_NOT_TRIED = frozenset(
    {
        "INSUFFICIENT_BALANCE",
        "NOT_IMPLEMENTED",
        "QUOTA_EXCEEDED",
        "RATE_LIMITED",
        "RESTRICTED",
        "UNAUTHORIZED",
        "UNSUPPORTED_ENCRYPTION",
    }
)
_FAILED = "PAYMENT_FAILED"
_NOT_FOUND = "NOT_FOUND"
_LOOKUP, _LIST = "lookup_invoice", "list_transactions"
_LISTED = 50


class NwcWallet:
    """Pays through one connection of a wallet service.

    Nothing is kept between two payments, so that it may be used from any event loop.
    """

    def __init__(
        self,
        uri: str,
        *,
        payment_s: float = 30.0,
        reach_s: float = 8.0,
        look_up_s: float = 10.0,
        ask_again_s: float = 1.0,
    ) -> None:
        """`uri` is what the wallet shows as its connection; it spends, so keep it secret.

        A payment is waited for `payment_s`, then looked up for `look_up_s`, each `ask_again_s`;
        relays and services that say nothing of themselves within `reach_s` are not asked.
        ValueError for a bad URI.
        """
        self._connection = read_connection_uri(uri)
        self._key = NostrKey(self._connection.secret)
        self._payment_s = payment_s
        self._reach_s = reach_s
        self._look_up_s = look_up_s
        self._ask_again_s = ask_again_s

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:
        """Pay once. Raises PaymentFailed when certainly nothing was paid, else PaymentUnknown.

        `max_fee_msat` is what counts as the fee where the service names none.
        """
        payment_request = plain_invoice(payment_request)
        try:
            terms = read_invoice(payment_request)
            async with self._service() as (service, able):
                if "pay_invoice" not in able.methods:
                    raise PaymentFailed("this connection of the wallet does not allow paying")
                result = await self._paid(service, able, payment_request)
        except (ChallengeRefused, RelayLost, ServiceUnfit) as fault:
            raise PaymentFailed(str(fault)) from fault
        if isinstance(result, str):
            looked_up = await self._looked_up(terms.payment_hash, told=result)
            if looked_up is None:
                raise PaymentFailed("the wallet service could not pay")
            result = looked_up
        return _payment(result, terms, fee_msat=max_fee_msat)

    async def outcome(self, payment_hash: str) -> Payment | None:
        """What became of a payment: None when the service says that it failed.

        Raises PaymentUnknown while it is under way, and where the service has not heard of it: a
        request may still lie at the relay. For `L402Auth.resolve`.
        """
        found = await self._looked_up(payment_hash, told="")
        if found is None:
            return None
        amount_msat = found.get("amount")
        if type(amount_msat) is not int:
            raise _unknown(payment_hash, "the wallet service names no amount for it")
        terms = InvoiceTerms(amount_msat=amount_msat, payment_hash=payment_hash)
        return _payment(found, terms, fee_msat=0)

    async def balance_msat(self) -> int:
        """What the connection can spend. Raises PaymentFailed: nothing was paid for asking."""
        try:
            async with asyncio.timeout(self._reach_s), self._service() as (service, able):
                result = await self._asked(service, able, "get_balance", {})
        except (RelayLost, ServiceUnfit, ServiceRefused, TimeoutError) as fault:
            message = f"the wallet service does not tell its balance: {fault}"
            raise PaymentFailed(message) from fault
        balance_msat = result.get("balance")
        if type(balance_msat) is not int:
            raise PaymentFailed("the wallet service tells a balance that is no number")
        return balance_msat

    async def _paid(
        self, service: WalletService, able: Capabilities, payment_request: str
    ) -> Mapping[str, Any] | str:
        """The result of paying; as a text, why it is not known. Raises PaymentFailed."""
        try:
            async with asyncio.timeout(self._payment_s):
                return await self._asked(service, able, "pay_invoice", {"invoice": payment_request})
        except RelayLost as fault:
            return str(fault)
        except TimeoutError:
            return "the wallet service did not answer in time"
        except ServiceRefused as fault:
            if fault.code in _NOT_TRIED:
                raise PaymentFailed(f"the wallet service refuses to pay: {fault}") from fault
            return fault.code if fault.code == _FAILED else str(fault)

    async def _looked_up(self, payment_hash: str, *, told: str) -> Mapping[str, Any] | None:
        """The payment once it is settled, None once it has failed. Raises PaymentUnknown.

        `told` is what is known so far: after its own PAYMENT_FAILED a service that knows of no such
        payment has not made it.
        """
        why = told or "the wallet service has not heard of it"
        try:
            async with asyncio.timeout(self._look_up_s):
                while True:
                    try:
                        found = await self._transaction(payment_hash)
                    except (RelayLost, ServiceUnfit, ServiceRefused) as fault:
                        why = str(fault)
                    else:
                        if _is_settled(found):
                            return found
                        if _is_failed(found) or (told == _FAILED and not found):
                            return None
                    await asyncio.sleep(self._ask_again_s)
        except TimeoutError as fault:
            raise _unknown(payment_hash, why) from fault

    async def _transaction(self, payment_hash: str) -> Mapping[str, Any]:
        """What the service has of this payment; empty when it has not heard of it."""
        async with self._service() as (service, able):
            if _LOOKUP in able.methods:
                try:
                    params = {"payment_hash": payment_hash}
                    return await self._asked(service, able, _LOOKUP, params)
                except ServiceRefused as fault:
                    if fault.code != _NOT_FOUND:
                        raise
                    return {}
            if _LIST in able.methods:
                wanted = {"type": "outgoing", "unpaid": True, "limit": _LISTED}
                listed = await self._asked(service, able, _LIST, wanted)
                return _listed(listed.get("transactions"), payment_hash)
        raise ServiceUnfit("the wallet service cannot be asked what became of a payment")

    async def _asked(
        self,
        service: WalletService,
        able: Capabilities,
        method: str,
        params: Mapping[str, object],
    ) -> Mapping[str, Any]:
        return await service.ask(method, params, cipher=able.cipher, for_s=int(self._payment_s) + 1)

    @asynccontextmanager
    async def _service(self) -> AsyncIterator[tuple[WalletService, Capabilities]]:
        """The service and what it says of itself. Raises RelayLost, ServiceUnfit."""
        async with connected(self._connection.relays, within_s=self._reach_s) as relay:
            service = WalletService(relay, key=self._key, service=self._connection.service)
            try:
                async with asyncio.timeout(self._reach_s):
                    able = await service.capabilities()
            except TimeoutError as fault:
                raise RelayLost("the relay does not answer") from fault
            yield service, able


def _payment(found: Mapping[str, Any], terms: InvoiceTerms, *, fee_msat: int) -> Payment:
    """What was paid, if the preimage proves it. Raises PaymentUnknown."""
    preimage = str(found.get("preimage", "")).lower()
    if not proves(preimage, terms.payment_hash):
        raise _unknown(terms.payment_hash, "the wallet service shows no preimage of it")
    fees_paid = found.get("fees_paid")
    told = type(fees_paid) is int and fees_paid >= 0
    return Payment(
        preimage=preimage,
        amount_msat=terms.amount_msat,
        fee_msat=int(fees_paid or 0) if told else fee_msat,
    )


def _is_settled(found: Mapping[str, Any]) -> bool:
    return bool(found.get("preimage")) and (
        found.get("state") == "settled" or type(found.get("settled_at")) is int
    )


def _is_failed(found: Mapping[str, Any]) -> bool:
    return found.get("state") == "failed"


def _listed(transactions: object, payment_hash: str) -> Mapping[str, Any]:
    rows = transactions if isinstance(transactions, list) else []
    return next(
        (row for row in rows if isinstance(row, dict) and row.get("payment_hash") == payment_hash),
        {},
    )


def _unknown(payment_hash: str, why: str) -> PaymentUnknown:
    message = f"it is not known whether {payment_hash} was paid: {why}"
    return PaymentUnknown(message, payment_hash=payment_hash)
