"""1. One agent pays another: asked, answered 402, paid over Lightning, and handed over."""

from __future__ import annotations

import httpx

from examples.caller import Caller, cobot_of, run

INVOICE_SHOWN, ANSWER_SHOWN = 40, 70


def cobot_pays_cobot(caller: Caller) -> None:
    """The SDK is OpenAI's own; its HTTP client pays. What passes on the way is told here."""

    def saw(response: httpx.Response) -> None:
        if response.status_code == httpx.codes.PAYMENT_REQUIRED:
            response.read()
            challenge = response.json()
            caller.say("402", f"{challenge['escrow']['cost']['price_msat']:,} msat, in escrow")
            caller.say("invoice", f"{challenge['invoice'][:INVOICE_SHOWN]}…")

    caller.http.event_hooks["response"].append(saw)
    answer = caller.sdk.chat.completions.create(
        model="mistralai/mistral-small-2603",
        max_tokens=80,
        messages=[{"role": "user", "content": "Two sentences on preimages and invoices, please."}],
    )
    caller.http.event_hooks["response"].remove(saw)
    cobot = cobot_of(answer)
    caller.say("paid", f"{cobot['paid_msat']:,} msat; {cobot['credited_msat']:,} stay as credit")
    caller.say("answer", f"{str(answer.choices[0].message.content)[:ANSWER_SHOWN]}…")
    caller.keep(cobot)


if __name__ == "__main__":
    run(cobot_pays_cobot)
