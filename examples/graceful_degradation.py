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
    fell = cobot["fallback"]
    why = f"{fell['asked_model']} could not ({fell['reason']})" if fell else "it was the first"
    caller.say("decided", f"{cobot['model']} answered: {why}")
    sold = caller.http.get(f"/v1/escrows/{cobot['escrow_id']}").raise_for_status().json()
    caller.say("sale", f"{sold['id'][:12]}… {sold['state']}: one invoice, one receipt")
    caller.keep(cobot)


if __name__ == "__main__":
    run(graceful_degradation)
