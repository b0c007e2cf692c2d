"""A seller, a wallet, a budget and the auth that joins them, without a network."""

from __future__ import annotations

import httpx

from cobot_pay import Budget, L402Auth, PurchaseTerms
from tests.client.seller import Seller, SellersWallet

URL = "https://b.example/v1/chat/completions"
AT_ONCE = PurchaseTerms(
    max_fee_msat=0, wait_s_min=0.0, in_flight_wait_s=0.001, proof_waits_s=(0.0, 0.0)
)


class Shop:
    """A seller, a wallet, a budget and the auth that joins them."""

    def __init__(self, *, total_msat: int = 100_000, terms: PurchaseTerms = AT_ONCE) -> None:
        self.seller = Seller()
        self.wallet = SellersWallet(self.seller)
        self.budget = Budget(total_msat=total_msat)
        self.auth = L402Auth(wallet=self.wallet, budget=self.budget, terms=terms)

    def http(self, **more: str) -> httpx.Client:
        """A synchronous client of this shop, with further headers."""
        transport = self.seller.transport()
        return httpx.Client(transport=transport, auth=self.auth, headers=more)

    def ask(self, text: str = "hello") -> httpx.Response:
        """One ask."""
        with self.http() as http:
            return http.post(URL, json=body(text))

    @property
    def asks(self) -> int:
        """How many requests the seller has seen."""
        return len(self.seller.authorizations)


def body(text: str = "hello") -> dict[str, object]:
    """An ask's JSON."""
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def said(response: httpx.Response) -> str:
    """What the completion says."""
    content: str = response.json()["choices"][0]["message"]["content"]
    return content
