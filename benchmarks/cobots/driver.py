"""Makes calls as a cobot makes them, in a cobot's own environment: bare, or through the plugin.

`python driver.py '{"side": …}'` prints the CPU milliseconds that a call took of this
process, after a few that are not counted. Bare is the least that gets the same: one HTTP client,
the key or the proof of each payment, no budget, and nothing is kept. The wallet is the same on
both sides. Must not know: anything of ours but the client, which is all that a cobot has.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from cobot_pay import DevWallet
from cobot_pay.cobot.plugin import create_plugin

WARM_UP = 5
PAYMENT_REQUIRED = 402
MAX_TOKENS = 2_048
WORDS = "What is a macaroon? " * 140  # about as long as what a cobot sends of its own


def main() -> None:
    """Carry out one plan."""
    plan = json.loads(sys.argv[1])
    side = {"bare": bare, "plugin": plugin}[plan["side"]]
    print(json.dumps({"cpu_ms": side(plan)}))


def bare(plan: Mapping[str, Any]) -> float:
    """CPU of a call that HTTP, JSON and the wallet take."""
    url, wallet = f"{plan['url']}/v1/chat/completions", DevWallet(plan["node"])
    with httpx.Client(trust_env=False, timeout=60) as http:

        def call(number: int) -> None:
            asked = {"messages": messages(number), "tools": plan["tools"]}
            body = {"model": plan["model"], "max_tokens": MAX_TOKENS, **asked}
            worn = {"Authorization": f"Bearer {plan['key']}"} if plan["key"] else {}
            answer = http.post(url, json=body, headers=worn)
            if answer.status_code == PAYMENT_REQUIRED and not plan["key"]:
                told = answer.json()
                paid = asyncio.run(wallet.pay(told["invoice"], max_fee_msat=0))
                proof = {"Authorization": f"L402 {told['macaroon']}:{paid.preimage}"}
                answer = http.post(url, json=body, headers=proof)
            assert answer.json()["choices"], answer.text

        return cpu_ms(call, plan["count"])


def plugin(plan: Mapping[str, Any]) -> float:
    """CPU of the same, bought by the plugin as cobot's loop has it bought."""
    paid = {"api_key": plan["key"]} if plan["key"] else {"wallet": "development"}
    block = {"url": plan["url"], "model": plan["model"], "node": plan["node"], **paid}
    limits = {"budget_sat_hour": 10**9, "budget_sat_day": 10**9, "home": plan["home"]}
    meter = create_plugin()
    meter.configure({"cobot-meter": {**block, **limits}})
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        loop.run_until_complete(meter.start())

        def call(number: int) -> None:
            asked = {"messages": messages(number), "tools": plan["tools"]}
            ctx = loop.run_until_complete(meter.before_llm(dict(asked)))
            assert not ctx.get("abort"), ctx
            assert meter.chat(**asked).content

        try:
            return cpu_ms(call, plan["count"])
        finally:
            loop.run_until_complete(meter.stop())


def messages(number: int) -> list[dict[str, str]]:
    """A conversation that no other call has."""
    return [{"role": "system", "content": WORDS}, {"role": "user", "content": f"Call {number}."}]


def cpu_ms(call: Callable[[int], None], count: int) -> float:
    """What one of so many calls takes of all threads of this process."""
    for number in range(WARM_UP):
        call(-number)
    began_s = time.process_time()
    for number in range(1, count + 1):
        call(number)
    return (time.process_time() - began_s) * 1_000 / count


if __name__ == "__main__":
    main()
