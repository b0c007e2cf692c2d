"""`cobot-pay ask`: one question, its answer as it comes, and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from cobot_pay.account.service_account import AccountRefused
from cobot_pay.cli.buyer import Buyer, http_client
from cobot_pay.cli.sellers import Seller
from cobot_pay.offers import read_document
from cobot_pay.purchase import HEADER

_GOOD = 200
_DATA, _DONE = "data:", "[DONE]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and of which model; the first one on offer when none is named."""

    text: str
    model: str = ""
    max_tokens: int = 1_024


async def ask(
    buyer: Buyer, seller: Seller, question: Question, *, write: Callable[[str], None]
) -> None:
    """Ask, and `write` the answer piece by piece; what it cost is said beside it.

    Raises every L402Error, and AccountRefused with the seller's words.
    """
    before_msat = buyer.budget.spent_today_msat
    key = buyer.key_at(seller)
    worn = {HEADER: f"Bearer {key}"} if key else {}
    async with http_client() as http:
        http.auth = buyer.auth(seller, as_key=True)
        body = {
            "model": question.model or await _first_model(http, seller),
            "messages": [{"role": "user", "content": question.text}],
            "max_tokens": question.max_tokens,
            "stream": True,
        }
        url = f"{seller.url}/v1/chat/completions"
        try:
            async with http.stream("POST", url, json=body, headers=worn) as response:
                if response.status_code != _GOOD:
                    await response.aread()
                    raise AccountRefused(_why(response))
                await _written(response, write)
        except httpx.TransportError as fault:
            message = f"{seller.url} does not answer ({type(fault).__name__}); ask again"
            raise AccountRefused(message) from fault
    write("\n")
    paid_msat = buyer.budget.spent_today_msat - before_msat
    buyer.say(f"paid {paid_msat:,} msat" if paid_msat > 0 else "paid from credit")


async def _first_model(http: httpx.AsyncClient, seller: Seller) -> str:
    try:
        listed = read_document((await http.get(f"{seller.url}/v1/models")).content).get("data")
    except httpx.TransportError as fault:
        raise AccountRefused(f"{seller.url} does not answer ({type(fault).__name__})") from fault
    names = [one.get("id") for one in listed if isinstance(one, dict)] if listed else []
    if not names:
        raise AccountRefused(f"{seller.url} lists no models: name one with --model")
    return str(names[0])


async def _written(response: httpx.Response, write: Callable[[str], None]) -> None:
    """Write the answer as it comes. Raises AccountRefused for one that has no good end."""
    async for line in response.aiter_lines():
        said = line.removeprefix(_DATA).strip() if line.startswith(_DATA) else ""
        if said == _DONE:
            return
        event = read_document(said.encode()) if said else {}
        if event.get("error"):
            write("\n")
            raise AccountRefused(f"the answer broke off: {_message(event)}")
        write(_words(event))
    write("\n")
    raise AccountRefused("the answer broke off before its end; ask the same again for the rest")


def _words(event: Mapping[str, Any]) -> str:
    """What an event of the stream adds to the answer."""
    choices = event.get("choices")
    first: Any = choices[0] if isinstance(choices, list) and choices else {}
    delta = first.get("delta") if isinstance(first, dict) else None
    content = delta.get("content") if isinstance(delta, dict) else None
    return content if isinstance(content, str) else ""


def _why(response: httpx.Response) -> str:
    return _message(read_document(response.content)) or f"the seller answers {response.status_code}"


def _message(document: Mapping[str, Any]) -> str:
    error = document.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return str(message or "")
