"""What the seven examples share: who asks, whose wallet pays, and how a receipt is read.

`python -m examples.NAME [URL [WALLET]]`; left out they are those of `make serve`. `WALLET` is the
address of a development wallet; for real sats put `cobot_pay.lnd_wallet.LndWallet` in its place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import openai
from openai.types.chat import ChatCompletion

from cobot_pay import Budget, DevWallet, L402Auth, L402Error

URL, WALLET = "http://127.0.0.1:8402", "http://127.0.0.1:8404"
TIMEOUT_S = 60.0
BUDGET_MSAT = 1_000_000
SHOWN = 18
Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What one answer cost its caller, and the upstream's generations that it is the price of."""

    generation_ids: tuple[str, ...]
    price_msat: int


class Caller:
    """An agent with a wallet; `say` is told of every step in a word and a line."""

    def __init__(self, url: str = URL, *, wallet: str = WALLET, say: Say) -> None:
        """Nothing is asked yet."""
        self.url, self.say = url, say
        self.receipts: list[Receipt] = []
        auth = L402Auth(wallet=DevWallet(wallet), budget=Budget(total_msat=BUDGET_MSAT))
        self.http = httpx.Client(base_url=url, auth=auth, timeout=TIMEOUT_S, trust_env=False)
        self.sdk = openai.OpenAI(
            base_url=f"{url}/v1",
            api_key="none",
            http_client=self.http,  # type: ignore[arg-type] # it takes clients of httpx too
            max_retries=0,
        )

    def close(self) -> None:
        """Hang up."""
        self.http.close()

    def buy_key(self, name: str, sat: int) -> tuple[str, str]:
        """A prepaid API key with so much credit, paid by the wallet, and the key's id."""
        bought = self.http.post("/v1/topups", json={"amount_sat": sat, "key": {"name": name}})
        key = bought.raise_for_status().json()["key"]
        self.say("key", f"{key['data']['label']} for {sat:,} sat")
        return key["key"], key["data"]["id"]

    def keep(self, cobot: Mapping[str, Any]) -> None:
        """Keep an answer's receipt, and tell it: the upstream's bill, the fee, and the price."""
        cost = cobot["cost"]
        several = [one["generation_id"] for one in cobot.get("attempts", ()) if one["billed"]]
        ids = several or [cost["generation_id"]]
        self.receipts.append(Receipt(generation_ids=tuple(ids), price_msat=cost["price_msat"]))
        self.say(
            "receipt",
            f"{ids[-1][-SHOWN:]}: {cost['upstream_usd']} + {cost['fee_usd']} fee = "
            f"{cost['price_usd']} USD = {cost['price_msat']:,} msat",
        )


def cobot_of(answer: ChatCompletion) -> Any:  # noqa: ANN401 - any JSON
    """What a service of ours says beside an answer: what was decided, and what it cost."""
    return answer.to_dict()["cobot"]


def run(scenario: Callable[[Caller], None]) -> None:
    """The scenario at the service of the command line, or one sentence why it could not be."""
    words = sys.argv[1:3]
    url, wallet = (*words, *(URL, WALLET)[len(words) :])
    caller = Caller(url, wallet=wallet, say=_line)
    try:
        scenario(caller)
    except (openai.APIConnectionError, httpx.TransportError):
        sys.exit(f"Nobody answers at {caller.url}; `make serve` starts a service with play money.")
    except openai.APIStatusError as refused:
        sys.exit(f"{refused.status_code}: {refused.message}")
    except L402Error as unpaid:
        sys.exit(str(unpaid))
    spent_msat = sum(one.price_msat for one in caller.receipts)
    _line("in all", f"{spent_msat:,} msat, receipts: {len(caller.receipts)}")


def _line(step: str, words: str) -> None:
    print(f"{step:<9}  {words}")
