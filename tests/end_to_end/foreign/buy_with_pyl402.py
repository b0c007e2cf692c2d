"""Buy completions with `pyl402` as it comes from its registry; prints one JSON line.

Arguments: the paid route's URL, the wallet's URL, how often to try, then one body per purchase.
"""

from __future__ import annotations

import json
import sys

import httpx
from pyl402.client.l402 import L402Client
from pyl402.token_store.token_store import MemoryTokenStore
from pyl402.wallet.wallet import PaymentResult, Wallet


class PayWallet(Wallet):
    """A wallet over `POST /pay`."""

    def __init__(self, url: str) -> None:
        """`url` is the wallet's base address."""
        self._url = url
        self.paid: list[str] = []

    def pay_invoice(self, invoice: str) -> PaymentResult:
        """Pay and give the preimage."""
        answer = httpx.post(f"{self._url}/pay", json={"payment_request": invoice})
        answer.raise_for_status()
        self.paid.append(invoice)
        return PaymentResult(answer.json()["payment_preimage"], success=True)


def main() -> None:
    """Buy each body, trying again after a time-out as users do."""
    url, wallet_url, tries, *bodies = sys.argv[1:]
    wallet = PayWallet(wallet_url)
    timeouts = 0
    answers = []
    with L402Client(wallet, MemoryTokenStore()) as client:
        for body in bodies:
            for _ in range(int(tries)):
                try:
                    answer = client.post(url, json=json.loads(body))
                except httpx.TimeoutException:
                    timeouts += 1
                    continue
                answers.append({"status": answer.status_code, "body": answer.json()})
                break
    print(json.dumps({"timeouts": timeouts, "payments": len(wallet.paid), "answers": answers}))


main()
