"""Choose again from what a stored decision was made of, and hold that against what was asked.

Must not know: the table or the prices of then; the decision holds what it took from them.
"""

from __future__ import annotations

from cobot_meter.domain.errors import CallerFault
from cobot_meter.domain.routing.decide import choose
from cobot_meter.domain.routing.stored import read_stored


def route_fault(route: str, *, asked_model: str, of_chain: bool = False) -> str:
    """What is wrong with it in words; empty where nothing is.

    With `of_chain` any model of its chain may be the one that was asked: of a run of a task the one
    that could be asked at that moment is.
    """
    try:
        decision = read_stored(route).decision
        chosen = choose(decision.considered, decision.bounds)
    except (ValueError, KeyError, TypeError, CallerFault) as fault:
        return f"the decision that is stored cannot be made again: {fault!r}"
    if chosen != decision.choice:
        return (
            f"the decision that is stored asks {', '.join(decision.choice.chain)}, and what it was "
            f"made of makes {', '.join(chosen.chain)}"
        )
    allowed = decision.choice.chain if of_chain else (decision.model,)
    if asked_model not in allowed:
        return f"the decision asks {decision.model}, and the sale asked {asked_model}"
    return ""
