"""4. Three models review the same change: what all say, what one alone has seen, one invoice."""

from __future__ import annotations

from typing import Any

from examples.caller import Caller, cobot_of, run

PANEL = ("anthropic/claude-sonnet-5", "openai/gpt-5-mini", "deepseek/deepseek-chat")
CHANGE = """\
Review this change.
--- a/app/limit.py
+++ b/app/limit.py
@@ -1,2 +1,5 @@
 def allow(caller):
+    count = store.get(caller)
+    if count < limit:
+        store.set(caller, count + 1)
     return True
"""


def multi_model_consensus(caller: Caller) -> None:
    """Nothing is voted away: what one model alone has found is in the report too."""
    answer = caller.sdk.chat.completions.create(
        model="cobot/consensus:review",
        max_tokens=400,
        messages=[{"role": "user", "content": CHANGE}],
        extra_body={"cobot": {"panel": PANEL}},
    )
    cobot = cobot_of(answer)
    for one in cobot["attempts"]:
        caller.say("asked", f"{one['model']}: {one['status']}, {one['cost_usd']} USD")
    for part in ("agreed", "disputed", "unique"):
        for point in cobot["consensus"][part]:
            caller.say(part, _shown(point))
    caller.keep(cobot)


def _shown(point: dict[str, Any]) -> str:
    finding = point["findings"][0]
    said_by = ", ".join(model.partition("/")[2] for model in point["said_by"])
    return f"{point['severity']}, line {finding['line_start']}: {finding['claim']} ({said_by})"


if __name__ == "__main__":
    run(multi_model_consensus)
