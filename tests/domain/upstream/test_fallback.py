"""What follows a fault: nobody stays with a model that wants to be left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.errors import (
    DependencyFault,
    OutcomeUnknown,
    UpstreamCreditLow,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.errors import UpstreamFaultKind as K
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.domain.upstream.fallback import (
    BACKOFF_MAX_MS,
    SILENCE_MS,
    WAIT_MAX_S,
    Circumstances,
    Step,
    chain_after,
    is_models_own,
    step_after,
)
from tests.fakes.upstream_outcomes import fake_model


def refused(kind: K, wait_s: int | None) -> UpstreamRefused:
    """Certainly not run."""
    return UpstreamRefused("no", status=503, retry_after_s=wait_s, kind=kind)


def model(name: str, *, upstream: str = "openrouter") -> Model:
    """One that could be asked."""
    return replace(
        fake_model(name, price=ModelPrice(prompt_pusd=1, completion_pusd=1)), upstream=upstream
    )


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        (refused(K.OVERLOADED, None), Step.AGAIN),
        (refused(K.OVERLOADED, 1), Step.AGAIN),
        (refused(K.OVERLOADED, 90), Step.NEXT),
        (refused(K.SERVER, 86_400), Step.NEXT),
        (refused(K.RATE_LIMITED, 1), Step.AGAIN),
        (refused(K.RATE_LIMITED, 90), Step.NEXT),
        (refused(K.AUTH, 90), Step.ELSEWHERE),
        (UpstreamUnreachable("away"), Step.AGAIN),
        (UpstreamUnreachable("away", retry_after_s=90), Step.NEXT),
    ],
)
def test_a_long_wait_is_no_reason_to_stay(fault: DependencyFault, step: Step) -> None:
    """A run that slept as long as an upstream likes would hold its caller and its place."""
    assert step_after(fault) is step


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        (UpstreamRefused("no", status=400), Step.RETURN),
        (UpstreamRefused("no", status=401), Step.ELSEWHERE),
        (UpstreamRefused("no", status=402), Step.ELSEWHERE),
        (UpstreamRefused("no", status=403), Step.ELSEWHERE),
        (UpstreamRefused("no", status=404), Step.NEXT),
        (UpstreamRefused("no", status=408), Step.NEXT),
        (UpstreamRefused("no", status=413), Step.RETURN),
        (UpstreamRefused("no", status=422), Step.RETURN),
        (UpstreamRefused("no", status=429), Step.NEXT),
        (UpstreamRefused("no", status=503), Step.AGAIN),
        (refused(K.OVERLOADED, 1), Step.AGAIN),
        (refused(K.OVERLOADED, 2), Step.NEXT),
        (refused(K.RATE_LIMITED, 1), Step.AGAIN),
        (refused(K.RATE_LIMITED, 2), Step.NEXT),
        (refused(K.MODERATION, 1), Step.RETURN),
        (refused(K.AUTH, 1), Step.ELSEWHERE),
        (UpstreamUnreachable("away", retry_after_s=1), Step.AGAIN),
        (UpstreamFailed("cut"), Step.NEXT),
        (UpstreamFailed("cut", kind=K.MODERATION), Step.RETURN),
        (OutcomeUnknown("cut"), Step.NEXT),
        (OutcomeUnknown("cut", kind=K.MODERATION), Step.RETURN),
        (UpstreamCreditLow("empty"), Step.RETURN),
    ],
    ids=str,
)
def test_what_follows_each_kind_of_fault(fault: DependencyFault, step: Step) -> None:
    """What is wrong everywhere is returned, what is wrong with us is asked elsewhere."""
    assert step_after(fault) is step


def test_how_long_anybody_is_waited_for() -> None:
    """Under two seconds when asked to, under half a second else, and a minute of silence."""
    assert (WAIT_MAX_S, BACKOFF_MAX_MS, SILENCE_MS) == (2, 400, 60_000)


OURS, OTHERS = model("first"), model("second", upstream="another")
SAME = model("third")


@pytest.mark.parametrize(
    ("fault", "chain", "left"),
    [
        (UpstreamFailed("cut"), (OURS, SAME, OTHERS), (SAME, OTHERS)),
        (refused(K.AUTH, None), (OURS, SAME, OTHERS), (OTHERS,)),
        (refused(K.AUTH, None), (OURS, SAME), ()),
        (refused(K.BAD_REQUEST, None), (OURS, SAME, OTHERS), ()),
        (UpstreamFailed("cut"), (OURS,), ()),
        (UpstreamFailed("cut"), (), ()),
    ],
)
def test_who_is_left_to_be_asked(
    fault: DependencyFault, chain: tuple[Model, ...], left: tuple[Model, ...]
) -> None:
    """Those behind the one that failed; of another upstream only where our account is at fault."""
    assert chain_after(fault, chain) == left


@pytest.mark.parametrize(
    ("under", "cut"),
    [
        (Circumstances(), False),
        (Circumstances(waited_ms=10**9), False),
        (Circumstances(waited_ms=9_999, limit_ms=10_000), False),
        (Circumstances(waited_ms=10_000, limit_ms=10_000), True),
        (Circumstances(waited_ms=SILENCE_MS, limit_ms=SILENCE_MS), False),
        (Circumstances(waited_ms=SILENCE_MS - 1, limit_ms=SILENCE_MS - 1), True),
        (Circumstances(waited_ms=SILENCE_MS, limit_ms=SILENCE_MS, started=True), True),
        (Circumstances(waited_ms=9_999, limit_ms=10_000, started=True), False),
    ],
)
def test_what_our_own_deadline_cut(under: Circumstances, *, cut: bool) -> None:
    """A minute of silence is the model's fault; less time, or an answer that was coming, is not."""
    assert under.cut_by_us is cut
    assert is_models_own(OutcomeUnknown("cut"), under) is not cut


@pytest.mark.parametrize(
    ("fault", "own"),
    [
        (UpstreamUnreachable("away"), True),
        (refused(K.RATE_LIMITED, None), True),
        (refused(K.AUTH, None), False),
        (UpstreamFailed("cut"), True),
        (UpstreamFailed("cut", kind=K.MODERATION), False),
        (OutcomeUnknown("cut"), True),
        (UpstreamCreditLow("empty"), False),
    ],
    ids=str,
)
def test_what_says_something_of_the_models_health(fault: DependencyFault, *, own: bool) -> None:
    """Never what the caller's own terms or our account brought about."""
    assert is_models_own(fault) is own
    assert not is_models_own(fault, Circumstances(own_terms=True))
