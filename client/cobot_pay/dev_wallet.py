"""A wallet over the development node's `POST /pay`: play money, for demos and tests.

The HTTP library is loaded when it pays: whoever only opens a wallet may never do so.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cobot_pay.errors import PaymentFailed, PaymentUnknown
from cobot_pay.invoice_terms import plain_invoice
from cobot_pay.wallet import Payment

if TYPE_CHECKING:
    import httpx

_REFUSED = range(400, 500)
_UNKNOWN_HASH = 404


class DevWallet:
    """Pays invoices of the development node, which charges no routing fee and none twice."""

    charges_fees = False

    def __init__(self, url: str = "http://127.0.0.1:8404", *, timeout_s: float = 30.0) -> None:
        """`url` is the node's own HTTP face; `timeout_s` bounds each step of one payment."""
        self._url = url.rstrip("/") + "/pay"
        self._timeout_s = timeout_s

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:  # noqa: ARG002 - no fee
        """Pay with play money, at no fee.

        Raises PaymentFailed when the node refused, PaymentUnknown when its answer is missing.
        """
        import httpx

        request = {"payment_request": plain_invoice(payment_request)}
        try:
            async with self._http() as http:
                answer = await http.post(self._url, json=request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as fault:
            raise PaymentFailed(f"no development node answers at {self._url}") from fault
        except httpx.TransportError as fault:
            raise PaymentUnknown("the development node's answer did not arrive") from fault
        if answer.status_code in _REFUSED:
            raise PaymentFailed(f"the development node refused to pay: {_why(answer)}")
        return _read_payment(answer)

    async def outcome(self, payment_hash: str) -> Payment | None:
        """What became of a payment: None when nothing was paid. For `L402Auth.resolve`.

        Raises PaymentUnknown while the node cannot say.
        """
        import httpx

        url = f"{self._url.removesuffix('/pay')}/payments/{payment_hash}"
        try:
            async with self._http() as http:
                answer = await http.get(url)
        except httpx.TransportError as fault:
            message = f"the development node does not say what became of {payment_hash}"
            raise PaymentUnknown(message, payment_hash=payment_hash) from fault
        if answer.status_code == _UNKNOWN_HASH:
            return None
        return _read_payment(answer)

    def _http(self) -> httpx.AsyncClient:
        """A client for one payment. Over plain HTTP it reads no certificates: they take 20 ms."""
        import httpx

        is_secure = self._url.startswith("https:")
        return httpx.AsyncClient(timeout=self._timeout_s, trust_env=False, verify=is_secure)


def _why(answer: httpx.Response) -> str:
    """Its own words, out of its JSON."""
    try:
        return str(json.loads(answer.content)["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return f"it answered {answer.status_code}"


def _read_payment(answer: httpx.Response) -> Payment:
    try:
        said = json.loads(answer.content)
        preimage, amount, fee = (
            said[name] for name in ("payment_preimage", "amount_msat", "fee_msat")
        )
    except (ValueError, KeyError, TypeError) as fault:
        message = f"the development node answered {answer.status_code} without a payment"
        raise PaymentUnknown(message) from fault
    if not isinstance(preimage, str) or not type(amount) is type(fee) is int:
        raise PaymentUnknown("the development node's payment has members of wrong types")
    return Payment(preimage=preimage, amount_msat=amount, fee_msat=fee)
