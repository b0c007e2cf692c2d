"""What follows a fault: nobody stays with a model that wants to be left alone."""

from __future__ import annotations

import pytest
from cobot_meter.domain.errors import DependencyFault, UpstreamRefused, UpstreamUnreachable
from cobot_meter.domain.errors import UpstreamFaultKind as K
from cobot_meter.domain.upstream.fallback import Step, step_after


def refused(kind: K, wait_s: int | None) -> UpstreamRefused:
    """Certainly not run."""
    return UpstreamRefused("no", status=503, retry_after_s=wait_s, kind=kind)


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
