"""Use a running service through OpenRouter's own SDK and OpenAI's, both as they come.

Each is given a plain httpx client whose authentication pays what a 402 asks for. Arguments: our
base URL, the wallet's URL, a model. Prints one JSON line of what was read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator

import httpx
import openai
from openrouter import OpenRouter


class PayingAuth(httpx.Auth):
    """Pays a 402 and repeats the request with the proof; shows the last proof first."""

    requires_response_body = True

    def __init__(self, wallet_url: str) -> None:
        """`wallet_url` is the wallet's base address."""
        self._wallet_url = wallet_url
        self._proof = ""
        self.payments = 0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request as it came, once more with the proof when it is to be paid for."""
        if self._proof:
            request.headers["authorization"] = self._proof
        response = yield request
        if response.status_code != httpx.codes.PAYMENT_REQUIRED:
            return
        challenge = response.json()
        paid = httpx.post(
            f"{self._wallet_url}/pay", json={"payment_request": challenge["invoice"]}, timeout=30
        )
        paid.raise_for_status()
        self.payments += 1
        self._proof = f"L402 {challenge['macaroon']}:{paid.json()['payment_preimage']}"
        request.headers["authorization"] = self._proof
        yield request


def by_openrouter(base_url: str, http: httpx.Client, model: str) -> dict[str, object]:
    """Everything that OpenRouter's SDK reads of us."""
    author, slug = model.split("/")
    messages = [{"role": "user", "content": "About bridges."}]
    with OpenRouter(api_key="none", server_url=base_url, client=http) as sdk:
        models = sdk.models.list()
        endpoints = sdk.endpoints.list(author=author, slug=slug)
        one = sdk.models.get(author=author, slug=slug)
        bought = sdk.chat.send(model=model, messages=messages, max_tokens=40)
        generation = sdk.generations.get_generation(id=bought.id)
        messages = [{"role": "user", "content": "About tunnels."}]
        with sdk.chat.send(model=model, messages=messages, max_tokens=40, stream=True) as stream:
            pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        key = sdk.api_keys.get_current_key_metadata()
        credit = sdk.credits.get_credits()
    return {
        "models": [row.id for row in models.result.data],
        "endpoints": [endpoint.pricing.prompt for endpoint in endpoints.data.endpoints],
        "one": [one.data.id, one.data.pricing.prompt],
        "answer": bought.choices[0].message.content,
        "cost": bought.usage.cost,
        "generation": [generation.data.id, generation.data.total_cost],
        "bought": bought.id,
        "streamed": "".join(pieces),
        "usage": [key.data.usage, key.data.usage_daily, credit.data.total_usage],
    }


def by_openai(base_url: str, http: httpx.Client, model: str) -> dict[str, object]:
    """The list, a completion and a stream by OpenAI's SDK."""
    # Its annotations name httpx2 only; at run time it takes clients of either.
    with openai.OpenAI(base_url=base_url, api_key="none", http_client=http) as sdk:  # type: ignore[arg-type]
        models = [row.id for row in sdk.models.list()]
        bought = sdk.chat.completions.create(
            model=model, max_tokens=40, messages=[{"role": "user", "content": "About rivers."}]
        )
        stream = sdk.chat.completions.create(
            model=model,
            max_tokens=40,
            stream=True,
            messages=[{"role": "user", "content": "About lakes."}],
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    return {
        "models": models,
        "answer": bought.choices[0].message.content,
        "streamed": "".join(pieces),
    }


def main() -> None:
    """Both SDKs with one wallet."""
    base_url, wallet_url, model = sys.argv[1:]
    told = {}
    for name, use in (("openrouter", by_openrouter), ("openai", by_openai)):
        auth = PayingAuth(wallet_url)
        with httpx.Client(auth=auth, timeout=60) as http:
            told[name] = {**use(base_url, http, model), "payments": auth.payments}
    print(json.dumps(told))


main()
