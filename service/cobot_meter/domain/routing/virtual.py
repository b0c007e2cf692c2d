"""Names of models that are none: whoever asks for one leaves the choice to this service.

Must not know: how a model is chosen.
"""

from __future__ import annotations

from cobot_meter.domain.consensus.panel import CONSENSUS, CONSENSUS_NAMES
from cobot_meter.domain.errors import ModelNotOffered, RequestInvalid
from cobot_meter.domain.routing.hints import Hints, Task

AUTO = "cobot/auto"
OURS = "cobot/"
# Names of privacy tiers: each stands for one model of the operator's.
PRIVATE, ZDR = "cobot/private", "cobot/zdr"
# Asked in turn until an answer passes its checks: the same choice of models, another sale.
VERIFY = "cobot/auto:verify"
AUTO_NAMES = (AUTO, *(f"{AUTO}:{task}" for task in Task))


def is_virtual(model: str) -> bool:
    """Whether the name leaves the choice among models to this service."""
    return model.startswith(OURS) and model not in {PRIVATE, ZDR}


def is_consensus(model: str) -> bool:
    """Whether a panel of models is asked under this name; also under one that is not offered."""
    return model.partition(":")[0] == CONSENSUS


def declared_task(model_id: str, hints: Hints) -> Task | None:
    """The task that the caller declares, behind the name or as a hint; None for neither.

    Raises ModelNotOffered for a name of ours that is not offered, and RequestInvalid where the
    two contradict each other.
    """
    if model_id == VERIFY:
        return hints.task
    if model_id not in AUTO_NAMES:
        message = (
            f"The model {model_id[:80]!r} is not offered here; of this service's own names there "
            f"are {', '.join((*AUTO_NAMES, VERIFY, *CONSENSUS_NAMES))}."
        )
        raise ModelNotOffered(message)
    named = Task(model_id.removeprefix(f"{AUTO}:")) if model_id != AUTO else None
    if named is not None and hints.task not in {None, named}:
        message = (
            f"The model says {named} and the hint says {hints.task}; send only one of them, or "
            "the same."
        )
        raise RequestInvalid(message, param="model")
    return named or hints.task
