"""What follows a failed attempt: nothing, the same model once more, the next one, another upstream.

One table over kinds of faults. A request that may have been received is never sent to the same
model again: every repeat is a charge. What nobody could answer better is returned as it is, and a
moderated prompt is not carried to a model that may be less careful. Must not know: who is asked.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from service.domain.completions import Model
from service.domain.errors import (
    DependencyFault,
    OutcomeUnknown,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from service.domain.upstream_faults import UpstreamFaultKind

K = UpstreamFaultKind
# A longer wait than this is no reason to stay with a model.
WAIT_MAX_S = 2
BACKOFF_MAX_MS = 400


class Step(enum.StrEnum):
    """`again` only ever follows what was certainly not run."""

    RETURN = "return"
    AGAIN = "again"
    NEXT = "next"
    ELSEWHERE = "elsewhere"


_REFUSED: Mapping[UpstreamFaultKind, Step] = {
    K.BAD_REQUEST: Step.RETURN,
    K.CONTEXT_LENGTH: Step.NEXT,
    K.AUTH: Step.ELSEWHERE,
    K.PAYMENT: Step.ELSEWHERE,
    K.MODERATION: Step.RETURN,
    K.RATE_LIMITED: Step.NEXT,
    K.OVERLOADED: Step.AGAIN,
    K.TIMEOUT: Step.NEXT,
    K.SERVER: Step.AGAIN,
    K.NOT_FOUND: Step.NEXT,
}
_BY_STATUS: Mapping[int, UpstreamFaultKind] = {
    400: K.BAD_REQUEST,
    401: K.AUTH,
    402: K.PAYMENT,
    403: K.AUTH,
    404: K.NOT_FOUND,
    408: K.TIMEOUT,
    413: K.BAD_REQUEST,
    422: K.BAD_REQUEST,
    429: K.RATE_LIMITED,
}


def kind_of(fault: DependencyFault) -> UpstreamFaultKind:
    """The kind that was said, or the one that the status stands for."""
    kind = getattr(fault, "kind", K.UNCLASSIFIED)
    if kind is not K.UNCLASSIFIED:
        return UpstreamFaultKind(kind)
    if isinstance(fault, UpstreamRefused):
        return _BY_STATUS.get(fault.status, K.SERVER)
    return K.SERVER


def step_after(fault: DependencyFault) -> Step:
    """What follows this fault, were there anybody else to ask."""
    match fault:
        case UpstreamUnreachable():
            return Step.NEXT if _asks_to_wait(fault) else Step.AGAIN
        case UpstreamFailed() | OutcomeUnknown():
            return Step.RETURN if kind_of(fault) is K.MODERATION else Step.NEXT
        case UpstreamRefused():
            step = _REFUSED[kind_of(fault)]
            if step is Step.AGAIN and _asks_to_wait(fault):
                return Step.NEXT
            short = fault.retry_after_s is not None and not _asks_to_wait(fault)
            return Step.AGAIN if step is Step.NEXT and short else step
        case _:
            return Step.RETURN


def _asks_to_wait(fault: DependencyFault) -> bool:
    """Whether the upstream wants to be left alone for longer than anybody waits here."""
    return fault.retry_after_s is not None and fault.retry_after_s >= WAIT_MAX_S


def chain_after(fault: DependencyFault, chain: tuple[Model, ...]) -> tuple[Model, ...]:
    """Who may be asked after the first of the chain failed so; nobody when it is to be returned."""
    step = step_after(fault)
    if not chain or step is Step.RETURN:
        return ()
    failed, *later = chain
    return tuple(
        model for model in later if step is not Step.ELSEWHERE or model.upstream != failed.upstream
    )


def is_models_own(fault: DependencyFault) -> bool:
    """Whether the fault says something of the model's health, and not of the request or our key."""
    if isinstance(fault, UpstreamRefused):
        return kind_of(fault) in {K.RATE_LIMITED, K.OVERLOADED, K.TIMEOUT, K.SERVER, K.NOT_FOUND}
    return isinstance(fault, UpstreamUnreachable | UpstreamFailed | OutcomeUnknown)
