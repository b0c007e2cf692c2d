"""Authentication that pays: give it to an HTTP client, and 402 answers are bought within a budget.

    http = httpx.Client(auth=L402Auth(wallet=DevWallet(), budget=Budget(total_msat=5_000_000)))
    OpenAI(base_url="http://127.0.0.1:8402/v1", api_key="none", http_client=http)

The same object works in httpx2, which OpenAI's SDK brings, and in the asynchronous clients of both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Generic

from cobot_pay.budget import Spending
from cobot_pay.errors import EventLoopUnsupported, PaymentFailed, PaymentUnknown
from cobot_pay.proofs import Proofs
from cobot_pay.purchase import (
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
from cobot_pay.wallet import Payment, Wallet, charges_fees

if TYPE_CHECKING:
    import httpx
    import httpx2


class L402Flow(Generic[RequestT, ResponseT]):
    """The flow itself, for any library whose authentication is shaped like httpx's.

    `L402Auth` is it for httpx and httpx2.

    Raises every L402Error out of the request that could not be bought. One instance is shared by
    threads and tasks; it keeps the newest proof of each origin, which says who we are there and
    whose credit is used: of several first requests at once, one buys it and the others wait.
    """

    requires_request_body = True

    def __init__(
        self,
        *,
        wallet: Wallet,
        budget: Spending,
        terms: PurchaseTerms | None = None,
        payment_timeout_s: float = 60.0,
        now_s: Callable[[], float] = time.monotonic,
        tokens: Mapping[str, str] | None = None,
    ) -> None:
        """A payment that takes longer than `payment_timeout_s` counts as unknown.

        `tokens` are those of an earlier instance, by origin: whoever comes back with them is the
        same caller and finds its credit. They are secrets; a budget on disk keeps them itself.
        """
        self._wallet = wallet
        self._budget = budget
        self._terms = terms or PurchaseTerms()
        self._payment_timeout_s = payment_timeout_s
        self._now_s = now_s
        self._proofs = Proofs(budget.tokens if tokens is None else tokens, recall=budget.recall)

    @property
    def tokens(self) -> dict[str, str]:
        """Who we are, by origin: to be kept, as a secret, for the next instance."""
        return self._proofs.tokens

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
        """For clients on asyncio. Raises EventLoopUnsupported on anything else."""
        _demand_asyncio()
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
            fees=charges_fees(self._wallet),
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


def _demand_asyncio() -> None:
    """Payments, waits and wallets run on asyncio: better refused here than half-way through one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError as fault:
        message = (
            "L402Auth pays on asyncio, and this asynchronous client runs on something else: run it "
            "with asyncio, or use the synchronous client; nothing was sent or paid"
        )
        raise EventLoopUnsupported(message) from fault


if TYPE_CHECKING:

    class _Auths(httpx.Auth, httpx2.Auth):  # type: ignore[misc]
        """What each library wants an authentication to be; ours replaces all of their methods."""

else:
    # Each library asks `isinstance(auth, Auth)` of its own; httpx2 need not be there.
    _LIBRARIES = [name for name in ("httpx", "httpx2") if find_spec(name)]
    _Auths = type("_Auths", tuple(import_module(name).Auth for name in _LIBRARIES), {})


class L402Auth(L402Flow[Any, Any], _Auths):  # type: ignore[misc]
    """`httpx.Client(auth=L402Auth(...))`, and so for `httpx.AsyncClient` and httpx2's two."""
