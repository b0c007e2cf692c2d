"""What follows a failed attempt, and which models are worth an attempt at all.

One table over kinds of faults says what comes next: nothing, the same model once more, the next
model, another upstream. A request that may have been received is never sent to the same model
again: every repeat is a charge. A moderated prompt is not carried to a model that may be less
careful. A circuit counts how the last attempts at one model went: five failures in a row, or half
of the last twenty, open it for thirty seconds; then one attempt may probe.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cobot_meter.domain.errors import (
    DependencyFault,
    OutcomeUnknown,
    UpstreamFailed,
    UpstreamFaultKind,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.upstream.completions import Model

K = UpstreamFaultKind
# A longer wait than this is no reason to stay with a model.
WAIT_MAX_S = 2
BACKOFF_MAX_MS = 400
# A model that says nothing for so long has failed, whatever else was to be done.
SILENCE_MS = 60_000


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
    K.ACCOUNT_LIMITED: Step.NEXT,
    K.OVERLOADED: Step.AGAIN,
    K.TIMEOUT: Step.NEXT,
    K.SERVER: Step.AGAIN,
    K.NOT_FOUND: Step.NEXT,
}
_OF_THE_MODEL = frozenset({K.RATE_LIMITED, K.OVERLOADED, K.TIMEOUT, K.SERVER})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What an attempt ran under, as far as it decides who brought its failure about.

    `own_terms` says that the caller chose providers or their prices. `started` that the upstream
    had begun to answer. It took `waited_ms`, of at most `limit_ms`.
    """

    own_terms: bool = False
    started: bool = False
    waited_ms: int = 0
    limit_ms: int | None = None

    @property
    def cut_by_us(self) -> bool:
        """Whether our own deadline ended it, and not a silence that is the model's.

        What was answering was only longer than the time we gave it, and what got little time
        because others had used it up was given no chance.
        """
        if self.limit_ms is None or self.waited_ms < self.limit_ms:
            return False
        return self.started or self.limit_ms < SILENCE_MS


_ANY = Circumstances()


def is_models_own(fault: DependencyFault, under: Circumstances = _ANY) -> bool:
    """Whether a failure says something of the model's health.

    It does not where the request, the caller's own terms, our account, or our deadline is what
    failed. That nobody serves the model is no word on its health either: it is said as well of
    parameters, prices and policies that no provider meets.
    """
    if under.own_terms or under.cut_by_us:
        return False
    if isinstance(fault, UpstreamUnreachable):
        return True
    known = isinstance(fault, UpstreamRefused | UpstreamFailed | OutcomeUnknown)
    return known and kind_of(fault) in _OF_THE_MODEL


IN_A_ROW = 5
WINDOW = 20
OPEN_MS = 30_000
_ALL = (1 << WINDOW) - 1
_ROW = _ALL >> (WINDOW - IN_A_ROW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """`failures` holds the last attempts as bits, newest lowest; `opened_at_ms` None: closed.

    `probed_at_ms` is when an open circuit was last tried.
    """

    failures: int = 0
    attempts: int = 0
    opened_at_ms: int | None = None
    probed_at_ms: int | None = None

    def allows(self, now_ms: int) -> bool:
        """Whether an attempt may be made; of an open one whose time is over, one at a time."""
        if self.opened_at_ms is None:
            return True
        since_ms = self.opened_at_ms if self.probed_at_ms is None else self.probed_at_ms
        return now_ms - since_ms >= OPEN_MS

    def tried(self, now_ms: int) -> Circuit:
        """An attempt begins; of an open circuit it is the probe."""
        return self if self.opened_at_ms is None else replace(self, probed_at_ms=now_ms)

    def succeeded(self) -> Circuit:
        """An attempt went well: an open circuit closes and forgets, a closed one remembers."""
        if self.opened_at_ms is not None:
            return Circuit()
        return self._with(failed=False)

    def failed(self, now_ms: int) -> Circuit:
        """An attempt failed; the probe of an open circuit keeps it open for as long again."""
        if self.opened_at_ms is not None:
            return replace(self, opened_at_ms=now_ms, probed_at_ms=None)
        after = self._with(failed=True)
        broken = after.failures & _ROW == _ROW
        often = after.attempts >= WINDOW and 2 * after.failures.bit_count() >= WINDOW
        return replace(after, opened_at_ms=now_ms) if broken or often else after

    def _with(self, *, failed: bool) -> Circuit:
        return replace(
            self,
            failures=(self.failures << 1 | failed) & _ALL,
            attempts=min(self.attempts + 1, WINDOW),
        )
