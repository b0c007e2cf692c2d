"""2. Nobody names a model: the cheapest that is good enough answers, and it is said why."""

from __future__ import annotations

from examples.caller import Caller, cobot_of, run

# What is asked, and the task that the caller declares; unsaid it is read off the question.
ASKS = (
    ("What is the capital of Portugal?", None),
    ("Write a Rust function that parses ISO dates.", "code"),
    ("Three friends each say that one of the others lies. Who can be believed?", "reasoning"),
)


def smart_routing(caller: Caller) -> None:
    """A short fact, some code, a riddle: three tasks, three models, three prices."""
    for question, task in ASKS:
        answer = caller.sdk.chat.completions.create(
            model="cobot/auto",
            max_tokens=120,
            messages=[{"role": "user", "content": question}],
            extra_body={"cobot": {"task": task}} if task else None,
        )
        cobot = cobot_of(answer)
        route, best = cobot["route"], cobot["baseline"]
        why = ", ".join([f"task {route['task']} ({route['task_source']})", *route["reasons"]])
        caller.say("asked", question)
        caller.say("decided", f"{cobot['model']}, {route['tier']}: {why}")
        if best["model"] != cobot["model"]:
            saved = f"{float(best['saving']):.1%}"
            caller.say("saved", f"{saved} of {best['usd']} USD at {best['model']} (estimated)")
        caller.keep(cobot)


if __name__ == "__main__":
    run(smart_routing)
