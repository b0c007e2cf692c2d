"""5. A budget for the day: dear models while there is plenty, cheap ones when there is not."""

from __future__ import annotations

import openai

from examples.caller import Caller, cobot_of, run

DAY_SAT = 55
# How long an answer may be, ask by ask; the last is a book, which the rest of the day cannot pay.
TOKENS = (400, 400, 400, 3_000, 3_000, 3_000, 100_000)


def budget_aware(caller: Caller) -> None:
    """The owner bounds a key with the proof of its payment; whoever has the key only spends."""
    key, key_id = caller.buy_key("day", sat=200)
    day = {"scope": "key", "key": key_id, "period": "day", "zone": "Europe/Berlin"}
    budget = {"budgets": [{**day, "amount_sat": DAY_SAT}]}
    caller.http.put("/v1/budgets", json=budget).raise_for_status()
    caller.say("budget", f"{DAY_SAT} sat a day in Europe/Berlin")
    with openai.OpenAI(base_url=f"{caller.url}/v1", api_key=key, max_retries=0) as sdk:
        for tokens in TOKENS:
            try:
                _ask(caller, sdk, tokens)
            except openai.APIStatusError as refused:
                if refused.code != "budget_exhausted":
                    raise
                said = refused.response.json()["error"]["message"]
                caller.say("refused", f"{refused.status_code}: {said}")
                break


def _ask(caller: Caller, sdk: openai.OpenAI, tokens: int) -> None:
    question = f"Write {tokens} words on why tides come twice a day, step by step."
    answer = sdk.chat.completions.create(
        model="cobot/auto:reasoning",
        max_tokens=tokens,
        messages=[{"role": "user", "content": question}],
    )
    cobot = cobot_of(answer)
    (now,) = cobot["budget"]
    caller.say(
        "decided",
        f"{cobot['route']['tier']}: {cobot['model']}; {now['left_msat']:,} msat left "
        f"({now['used_percent']} % used)",
    )
    caller.keep(cobot)


if __name__ == "__main__":
    run(budget_aware)
