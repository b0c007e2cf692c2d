"""Circuits learn from what a model did: every error that is known, by who brought it about."""

from __future__ import annotations

import pytest

from cobot_meter.adapters.upstreams.http_errors import fault_of_run
from cobot_meter.adapters.upstreams.openrouter.taxonomy import ERRORS, KIND_BY_TYPE
from cobot_meter.domain.errors import (
    DependencyFault,
    OutcomeUnknown,
    RateStale,
    UpstreamCreditLow,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.errors import UpstreamFaultKind as K
from cobot_meter.domain.upstream.fallback import SILENCE_MS, Circumstances, is_models_own
from tests.adapters.upstreams.test_error_taxonomy import (
    AVAILABILITY,
    RECORDED,
    STATUS_OF_TYPE,
    answer_of,
)

# Who brings about what OpenRouter names; whatever is in neither is the caller's or our own doing.
BY_THE_MODEL = frozenset(
    [
        "rate_limit_exceeded",
        "server",
        "unmapped",
        "provider_unavailable",
        "provider_overloaded",
        "timeout",
    ]
)
BY_ITS_PROVIDERS = frozenset({"capacity_exhausted", "temporarily_unavailable"})
OWN_TERMS = Circumstances(own_terms=True)


@pytest.mark.parametrize("name", sorted(STATUS_OF_TYPE))
def test_every_type_before_and_after_the_start(name: str) -> None:
    """Moderation, images, lengths, keys and credit say nothing of a model, wherever they come."""
    error: dict[str, object] = {"message": "no", "metadata": {"error_type": name}}
    refused = fault_of_run(ERRORS, answer_of(STATUS_OF_TYPE[name], error))
    failed = UpstreamFailed("it failed", kind=ERRORS.kind(error))
    for fault in (refused, failed):
        assert is_models_own(fault) is (name in BY_THE_MODEL)
        assert not is_models_own(fault, OWN_TERMS)


@pytest.mark.parametrize("code", sorted(AVAILABILITY))
def test_every_availability(code: str) -> None:
    """That nobody serves it on these terms is no fault of the model; that it is full is."""
    fault = fault_of_run(ERRORS, answer_of(AVAILABILITY[code][0], {"availability": {"code": code}}))
    assert is_models_own(fault) is (code in BY_ITS_PROVIDERS)
    assert not is_models_own(fault, OWN_TERMS)


@pytest.mark.parametrize(("status", "error", "kind"), RECORDED)
def test_every_recorded_body(status: int, error: dict[str, object], kind: K) -> None:
    """Of all that was seen in traffic before a start only a provider's own 429 counts."""
    fault = fault_of_run(ERRORS, answer_of(status, {"code": status, **error}))
    assert is_models_own(fault) is (kind is K.RATE_LIMITED)


@pytest.mark.parametrize(
    "error",
    [
        {"metadata": {"limit_source": "openrouter_account"}},
        {"metadata": {"headers": {"x-ratelimit-limit": "20"}}},
        {"message": "Rate limit exceeded: free-models-per-min. "},
    ],
)
def test_a_429_to_our_own_account_is_not_the_models(error: dict[str, object]) -> None:
    """The next model is asked all the same, and no circuit opens for everybody."""
    fault = fault_of_run(ERRORS, answer_of(429, error))
    assert fault.kind is K.ACCOUNT_LIMITED
    assert not is_models_own(fault)


@pytest.mark.parametrize(
    ("fault", "own"),
    [
        (UpstreamUnreachable("no byte got through"), True),
        (OutcomeUnknown("the stream broke"), True),
        (UpstreamFailed("it failed"), True),
        (UpstreamRefused("no", status=404), False),
        (UpstreamRefused("no", status=429), True),
        (UpstreamCreditLow("our credit"), False),
        (RateStale("no rate"), False),
    ],
)
def test_faults_without_a_kind(fault: DependencyFault, own: object) -> None:
    """Their class or status decides."""
    assert is_models_own(fault) is own


@pytest.mark.parametrize(
    ("under", "own"),
    [
        (Circumstances(waited_ms=300_000, limit_ms=300_000), True),
        (Circumstances(waited_ms=SILENCE_MS, limit_ms=SILENCE_MS), True),
        (Circumstances(waited_ms=SILENCE_MS - 1, limit_ms=SILENCE_MS - 1), False),
        (Circumstances(waited_ms=1_000, limit_ms=1_000), False),
        (Circumstances(waited_ms=300_000, limit_ms=300_000, started=True), False),
        (Circumstances(waited_ms=299_999, limit_ms=300_000, started=True), True),
        (Circumstances(waited_ms=500, limit_ms=1_000), True),
        (Circumstances(waited_ms=500), True),
    ],
)
def test_our_own_deadline(under: Circumstances, own: object) -> None:
    """A short share of the time, or a long answer cut, is ours; a minute of silence is not."""
    assert is_models_own(OutcomeUnknown("cut", kind=K.TIMEOUT), under) is own


def test_every_kind_is_somebodys() -> None:
    """A kind that is added has to be decided here."""
    assert {kind for kind in K if is_models_own(UpstreamFailed("x", kind=kind))} == {
        K.RATE_LIMITED,
        K.OVERLOADED,
        K.TIMEOUT,
        K.SERVER,
        K.UNCLASSIFIED,
    }
    assert set(KIND_BY_TYPE.values()) < set(K)
