"""What the owner of a cobot, or whoever talks to it, reads when a call cannot be bought.

Each is one sentence that says what to do. Must not know: cobot, or how anything is bought.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from cobot_pay.errors import Committed

_WORDS_MAX = 400
_PAYMENT_REQUIRED = 402
_SPANS = {"hour": "this hour's", "day": "today's"}


class CallRefused(Exception):
    """A call that was not answered; the text is the sentence."""


def spent_sentence(limit: Committed) -> str:
    """That a limit is spent, and when it resets."""
    span = _SPANS.get(limit.limit.removesuffix("_usd"), f"the {limit.limit}")
    unit = " in USD" if limit.limit.endswith("_usd") else ""
    resets = ""
    if limit.resets_at_s is not None:
        resets = time.strftime("; it resets at %Y-%m-%d %H:%M UTC", time.gmtime(limit.resets_at_s))
    return (
        f"My budget is spent: of {span} limit{unit} of {limit.limit_msat // 1_000:,} sat "
        f"{max(limit.left_msat, 0):,} msat are left{resets}. Ask me again then, or let my owner "
        "raise the limit in cobot.yml."
    )


def refusal(status: int, said: Mapping[str, Any], url: str) -> str:
    """What a service's refusal means, in its own words."""
    error = said.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    words = str(message)[:_WORDS_MAX] if message else f"it answered {status}"
    if code == "ceiling_over_cap":
        return (
            f"The call was not made, for it could cost more than is allowed here. {url} says: "
            f"{words} Raise max_cost_sat or the budget in cobot.yml, or choose a cheaper model."
        )
    if code == "budget_exhausted":
        return f"The call was not made, for a budget at the service is spent. {url} says: {words}"
    if status == _PAYMENT_REQUIRED:
        return (
            f"The credit of this key is too low, and nothing was spent. {url} says: {words} Top it "
            "up: cobot-pay topup URL SAT."
        )
    return f"{url} did not answer this call and says: {words}"
