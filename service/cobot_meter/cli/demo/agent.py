"""Agent A of the demonstration: an HTTP client that pays, watched from outside.

It buys with what every buying agent can install (`cobot_pay`) and nothing else. Must not
know: the service's insides, or how the story is told.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from cobot_meter.cli.terminal import CommandFailed
from cobot_pay.budget import Budget
from cobot_pay.errors import PaymentFailed
from cobot_pay.l402_auth import L402Auth
from cobot_pay.wallet import Payment, Wallet, charges_fees

TIMEOUT_S = 30.0
BUDGET_MSAT = 1_000_000
NS_PER_MS = 1_000_000
WAIT_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the agent asks for."""

    title: str
    model: str
    prompt: str
    max_tokens: int


@dataclass(slots=True, kw_only=True)
class Purchase:
    """What happened, step by step; every `_ms` is how long that step took."""

    order: Order
    challenge: dict[str, Any] = field(default_factory=dict)
    challenge_ms: int = 0
    payment: Payment | None = None
    payment_ms: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    release_ms: int = 0

    @property
    def escrow(self) -> dict[str, Any]:
        """The escrow as the 402 showed it."""
        escrow: dict[str, Any] = self.challenge["escrow"]
        return escrow

    @property
    def text(self) -> str:
        """What the model wrote."""
        return str(self.answer["choices"][0]["message"]["content"])


class WatchedWallet:
    """A wallet, timed; `willing` off makes it refuse to pay."""

    def __init__(self, wallet: Wallet) -> None:
        self.willing = True
        self.payment: Payment | None = None
        self.took_ms = 0
        self.charges_fees = charges_fees(wallet)
        self._wallet = wallet

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:
        """Pay, or say that nothing was paid."""
        if not self.willing:
            raise PaymentFailed("the agent has changed its mind")
        began = time.perf_counter_ns()
        self.payment = await self._wallet.pay(payment_request, max_fee_msat=max_fee_msat)
        self.took_ms = _ms_since(began)
        return self.payment


class Agent:
    """Asks and pays; remembers when each answer came."""

    def __init__(self, *, service_url: str, wallet: Wallet) -> None:
        """Nothing is asked yet; `budget` counts what is spent, fees included."""
        self.budget = Budget(total_msat=BUDGET_MSAT)
        self._wallet = WatchedWallet(wallet)
        self._auth = L402Auth(wallet=self._wallet, budget=self.budget)
        self._http = httpx.AsyncClient(
            base_url=service_url,
            auth=self._auth,
            timeout=TIMEOUT_S,
            trust_env=False,
            event_hooks={"response": [self._saw]},
        )
        self._began = 0
        self._challenge: dict[str, Any] = {}
        self._challenge_ms = 0

    async def aclose(self) -> None:
        """Hang up."""
        await self._http.aclose()

    async def buy(self, order: Order) -> Purchase:
        """Ask, pay the 402, and read the completion. Raises CommandFailed."""
        self._wallet.willing = True
        response = await self._ask(order)
        if response.status_code != httpx.codes.OK:
            message = f"the service answered {response.status_code}: {response.text[:200]}"
            raise CommandFailed(message)
        total_ms = _ms_since(self._began)
        took_ms = self._wallet.took_ms
        return Purchase(
            order=order,
            challenge=self._challenge,
            challenge_ms=self._challenge_ms,
            payment=self._wallet.payment,
            payment_ms=took_ms,
            answer=response.json(),
            release_ms=total_ms - self._challenge_ms - took_ms,
        )

    async def only_ask(self, order: Order) -> Purchase:
        """Ask, and leave the invoice unpaid. Raises CommandFailed when there was none."""
        self._wallet.willing = False
        try:
            await self._ask(order)
        except PaymentFailed:
            return Purchase(order=order, challenge=self._challenge, challenge_ms=self._challenge_ms)
        message = "the service wanted no payment"
        raise CommandFailed(message)

    async def state_of(self, escrow_id: str) -> str:
        """Where an escrow stands, once that has changed or some seconds have passed."""
        response = await self._http.get(f"/v1/escrows/{escrow_id}", params={"wait": WAIT_S})
        return str(response.json()["state"])

    async def caller_id(self) -> str:
        """Who the service says we are."""
        response = await self._http.get("/v1/credits")
        return str(response.json()["cobot"]["caller_id"])

    async def _ask(self, order: Order) -> httpx.Response:
        self._began = time.perf_counter_ns()
        self._challenge, self._challenge_ms = {}, 0
        return await self._http.post(
            "/v1/chat/completions",
            json={
                "model": order.model,
                "messages": [{"role": "user", "content": order.prompt}],
                "max_tokens": order.max_tokens,
            },
        )

    async def _saw(self, response: httpx.Response) -> None:
        if response.status_code == httpx.codes.PAYMENT_REQUIRED and not self._challenge:
            await response.aread()
            self._challenge, self._challenge_ms = response.json(), _ms_since(self._began)


def _ms_since(began_ns: int) -> int:
    return (time.perf_counter_ns() - began_ns) // NS_PER_MS
