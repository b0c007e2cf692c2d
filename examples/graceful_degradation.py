"""3. A chain of models: the first that can answers, and only its answer is paid for."""

from __future__ import annotations

from examples.caller import Caller, cobot_of, run

CHAIN = (
    "anthropic/claude-opus-5.5",
    "google/gemini-2.5-flash",
    "meta-llama/llama-3.3-70b-instruct",
)


def graceful_degradation(caller: Caller) -> None:
    """Claude, then Gemini, then Llama. `README.md` says how to break the first two."""
    caller.say("chain", " → ".join(CHAIN))
    answer = caller.sdk.chat.completions.create(
        model=CHAIN[0],
        max_tokens=80,
        messages=[{"role": "user", "content": "One sentence on harbours."}],
        extra_body={"models": CHAIN[1:]},
    )
    cobot = cobot_of(answer)
    for one in cobot["attempts"]:
        caller.say("attempt", f"{one['model']}: {one['status']}")
    in_vain = sum(not one["billed"] for one in cobot["attempts"])
    caller.say(
        "decided", f"{cobot['model']} is paid for; tried in vain and not paid for: {in_vain}"
    )
    caller.keep(cobot)


if __name__ == "__main__":
    run(graceful_degradation)
