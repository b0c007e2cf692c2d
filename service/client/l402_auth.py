"""Authentication that pays: give it to an HTTP client, and 402 answers are bought within a budget.

    http = httpx.Client(auth=L402Auth(wallet=DevWallet(), budget=Budget(total_msat=5_000_000)))
    OpenAI(base_url="http://127.0.0.1:8402/v1", api_key="none", http_client=http)

Must not know: what is bought, or which wallet pays.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Generic

import httpx

from service.client.budget import Budget
from service.client.errors import PaymentFailed, PaymentUnknown
from service.client.proofs import Proofs
from service.client.purchase import (
    READ_STATUSES,
    Pay,
    PaymentOutcome,
    Purchase,
    PurchaseTerms,
    RequestT,
    ResponseT,
    Send,
    Wait,
    settle,
)
from service.client.wallet import Payment, Wallet


class L402Flow(Generic[RequestT, ResponseT]):
    """The flow itself, for any library whose authentication is shaped like httpx's.

    `L402Auth` is it for httpx. For httpx2, which is httpx's successor in the OpenAI SDK:
    `class Auth(L402Flow[httpx2.Request, httpx2.Response], httpx2.Auth): ...`.

    Raises every L402Error out of the request that could not be bought. One instance is shared by
    threads and tasks; it keeps the newest proof of each origin, which says who we are there.
    """

    requires_request_body = True

    def __init__(
        self,
        *,
        wallet: Wallet,
        budget: Budget,
        terms: PurchaseTerms | None = None,
        payment_timeout_s: float = 60.0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """A payment that takes longer than `payment_timeout_s` counts as unknown."""
        self._wallet = wallet
        self._budget = budget
        self._terms = terms or PurchaseTerms()
        self._payment_timeout_s = payment_timeout_s
        self._now_s = now_s
        self._proofs = Proofs()

    def resolve(self, payment_hash: str, payment: Payment | None) -> bool:
        """Say what became of an unknown payment, None when certainly nothing was paid.

        False when no such payment is unknown, or the preimage is not its own.
        """
        attempt = self._proofs.unknown_attempt(payment_hash)
        if attempt is None:
            return False
        outcome = payment or PaymentFailed("the payer says that it was not paid")
        settled = settle(attempt, outcome, budget=self._budget, proofs=self._proofs)
        return not isinstance(settled, PaymentUnknown)

    def sync_auth_flow(self, request: RequestT) -> Generator[RequestT, ResponseT, None]:
        """For synchronous clients; the wallet is awaited in a thread and loop of its own."""
        request.read()
        with closing(self._purchase(request).steps()) as steps:
            answer: Any = None
            while True:
                try:
                    step = steps.send(answer)
                except StopIteration:
                    return
                match step:
                    case Send():
                        answer = yield step.request
                        if answer.status_code in READ_STATUSES:
                            answer.read()
                    case Pay():
                        with ThreadPoolExecutor(max_workers=1) as apart:
                            answer = apart.submit(asyncio.run, self._paid(step)).result()
                    case Wait():
                        time.sleep(step.seconds)

    async def async_auth_flow(self, request: RequestT) -> AsyncGenerator[RequestT, ResponseT]:
        """For clients on asyncio."""
        await request.aread()
        with closing(self._purchase(request).steps()) as steps:
            answer: Any = None
            while True:
                try:
                    step = steps.send(answer)
                except StopIteration:
                    return
                match step:
                    case Send():
                        answer = yield step.request
                        if answer.status_code in READ_STATUSES:
                            await answer.aread()
                    case Pay():
                        answer = await self._paid(step)
                    case Wait():
                        await asyncio.sleep(step.seconds)

    def _purchase(self, request: RequestT) -> Purchase[RequestT, ResponseT]:
        return Purchase(
            request,
            budget=self._budget,
            proofs=self._proofs,
            terms=self._terms,
            now_s=self._now_s,
        )

    async def _paid(self, step: Pay) -> PaymentOutcome:
        try:
            async with asyncio.timeout(self._payment_timeout_s):
                return await self._wallet.pay(step.payment_request, max_fee_msat=step.max_fee_msat)
        except (PaymentFailed, PaymentUnknown) as fault:
            return fault
        except TimeoutError:
            return PaymentUnknown("the wallet did not answer in time; the amount stays reserved")


class L402Auth(L402Flow[httpx.Request, httpx.Response], httpx.Auth):
    """`httpx.Client(auth=L402Auth(...))`, `httpx.AsyncClient(auth=L402Auth(...))`."""
