"""Buy completions with `l402-requests` as it comes from its registry; prints one JSON line.

Arguments: the paid route's URL, the wallet's URL, how often to try, then one body per purchase.
"""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request

import httpx
from l402_requests import L402Client, WalletBase


class PayWallet(WalletBase):
    """A wallet over `POST /pay`."""

    supports_preimage = True

    def __init__(self, url: str) -> None:
        """`url` is the wallet's base address."""
        self._url = url
        self.paid: list[str] = []

    async def pay_invoice(self, bolt11: str) -> str:
        """Pay and give the preimage."""
        preimage = await asyncio.to_thread(self._pay, bolt11)
        self.paid.append(bolt11)
        return preimage

    def _pay(self, bolt11: str) -> str:
        request = urllib.request.Request(  # noqa: S310 - a loopback address of the test
            f"{self._url}/pay",
            data=json.dumps({"payment_request": bolt11}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
            return str(json.load(answer)["payment_preimage"])


def main() -> None:
    """Buy each body, trying again after a time-out as users do."""
    url, wallet_url, tries, *bodies = sys.argv[1:]
    wallet = PayWallet(wallet_url)
    client = L402Client(wallet=wallet)
    timeouts = 0
    answers = []
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
