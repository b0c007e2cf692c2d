"""6. What is private stays on the service's own machine, or is not answered at all."""

from __future__ import annotations

import openai

from examples.caller import Caller, cobot_of, run

# What is asked, and the tier that the caller declares; unsaid it is what the detector makes of it.
ASKS = (
    ("A sentence on tides.", None),
    ("Why was my card 4111 1111 1111 1111 refused?", None),
    ("Summarise what my doctor wrote about me.", "local"),
)


def private_requests(caller: Caller) -> None:
    """One question for anybody, one that is found to be private, and one that is said to be."""
    for question, tier in ASKS:
        caller.say("asked", question)
        try:
            answer = caller.sdk.chat.completions.create(
                model="cobot/auto:factual",
                max_tokens=60,
                messages=[{"role": "user", "content": question}],
                extra_body={"cobot": {"privacy": tier}} if tier else None,
            )
        except openai.UnprocessableEntityError as refused:
            caller.say("refused", f"{refused.status_code} {refused.code}: nobody was asked")
            continue
        cobot = cobot_of(answer)
        seen = cobot.get("privacy", {"tier": "public", "declared": False, "signals": []})
        why = "declared" if seen["declared"] else ", ".join(seen["signals"]) or "nothing private"
        caller.say("decided", f"{seen['tier']} ({why}): {cobot['model']} answered")
        caller.keep(cobot)


if __name__ == "__main__":
    run(private_requests)
