"""Faults on demand: their names, who gets the next one, and the error bodies of OpenRouter.

Must not know: runs or money. The bodies follow recorded answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

NO_FAULT = ""
_QUEUE_MAX = 10_000
_MODELS_MAX = 1_000

# What a run can come to besides an error status; `event_stream` and `runs` say how each looks.
RUN_FAULTS = frozenset(
    {
        "byok",  # cost 0: the money went over our own key at the provider
        "cached_prompt",  # most of the prompt was cached, and cheaper
        "charged_502",  # ran, was charged, and answered 502
        "charged_502_named",  # the same, with the generation's id in the headers
        "choices_null",
        "cut_stream",  # ends in the middle, politely
        "error_200",  # 200, and an error in the body
        "hang",  # accepted, charged, never answered
        "hang_mid_stream",
        "malformed_frame",
        "mid_stream_error",
        "mid_stream_error_with_usage",
        "missing_usage",
        "never_recorded",  # the look-up stays 404 for ever
        "no_cost",  # usage without `cost`
        "no_generation_header",
        "plain_json",  # a whole JSON answer although a stream was asked for
        "record_of_another",  # the look-up answers with another generation's id
        "reset_after_headers",
        "reset_before_headers",
        "reset_mid_stream",
        "slow_record",  # ten times the lag
        "usage_empty_choices",  # as the documentation has it
        "usage_in_content_chunk",
        "zero_cost",  # says 0, the record knows better
        "zero_cost_confirmed",  # says 0, and the record agrees
        "zero_usage",  # all zeros, the record knows better
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """An HTTP error: OpenRouter repeats the status as `error.code`."""

    status: int
    message: str
    metadata: Mapping[str, object] = field(default_factory=dict)
    availability: Mapping[str, object] = field(default_factory=dict)
    retry_after_s: int | None = None
    generation_id: str = ""

    def document(self) -> dict[str, object]:
        """The body."""
        error: dict[str, object] = {"message": self.message, "code": self.status}
        if self.metadata:
            error["metadata"] = dict(self.metadata)
        if self.availability:
            error["availability"] = dict(self.availability)
        return {"error": error}

    def headers(self) -> dict[bytes, bytes]:
        """Headers beside the usual ones."""
        headers: dict[bytes, bytes] = {}
        if self.retry_after_s is not None:
            headers[b"retry-after"] = str(self.retry_after_s).encode()
        if self.generation_id:
            headers[b"x-generation-id"] = self.generation_id.encode()
        return headers


class FaultPlan:
    """Which run gets which fault: a queue for the next runs, then a standing one per model."""

    def __init__(self) -> None:
        """Begin without any."""
        self._next: deque[str] = deque()
        self._by_model: dict[str, str] = {}

    @property
    def waiting(self) -> tuple[str, ...]:
        """What the next runs get."""
        return tuple(self._next)

    def queue(self, names: Iterable[str]) -> None:
        """Add faults for the next runs, in order; `` for a run without. Raises ValueError."""
        checked = [_checked(name) for name in names]
        if len(self._next) + len(checked) > _QUEUE_MAX:
            raise ValueError(f"at most {_QUEUE_MAX} faults may wait")
        self._next.extend(checked)

    def stand_for(self, model_id: str, name: str) -> None:
        """Give every run of a model this fault, or none with ``. Raises ValueError."""
        if len(self._by_model) >= _MODELS_MAX and model_id not in self._by_model:
            raise ValueError(f"at most {_MODELS_MAX} models may have faults")
        self._by_model[model_id] = _checked(name)

    def clear(self) -> None:
        """Forget all."""
        self._next.clear()
        self._by_model.clear()

    def take(self, model_id: str) -> str:
        """The fault of the run that begins now."""
        if self._next:
            return self._next.popleft()
        return self._by_model.get(model_id, NO_FAULT)


def fault_names() -> tuple[str, ...]:
    """Every name that can be asked for."""
    return tuple(sorted({*RUN_FAULTS, *STATUS_FAULTS}))


def _checked(name: str) -> str:
    if name and name not in RUN_FAULTS and name not in STATUS_FAULTS:
        raise ValueError(f"unknown fault {name!r}")
    return name


_SETTINGS = "https://openrouter.ai/settings"
_PROVIDER_SAID = "Provider returned error"

STATUS_FAULTS: Mapping[str, ErrorAnswer] = {
    "status_400": ErrorAnswer(status=400, message="Input validation error"),
    "status_401": ErrorAnswer(status=401, message="User not found."),
    "status_402": ErrorAnswer(
        status=402,
        message=f"Insufficient credits. Add more using {_SETTINGS}/credits",
        metadata={"limit_source": "openrouter_credits"},
    ),
    "status_403": ErrorAnswer(
        status=403,
        message=f"Key limit exceeded (daily limit). Manage it using {_SETTINGS}/keys",
    ),
    "status_403_moderation": ErrorAnswer(
        status=403,
        message="The model requires moderation and the input was flagged",
        metadata={"reasons": ["violence"], "flagged_input": "...", "provider_name": "OpenAI"},
    ),
    "status_404": ErrorAnswer(
        status=404,
        message="No endpoints found for this model.",
        availability={"code": "no_endpoints", "retryable": False},
    ),
    "status_408": ErrorAnswer(status=408, message="Request timed out"),
    "status_413": ErrorAnswer(status=413, message="Request entity too large"),
    "status_422": ErrorAnswer(status=422, message="Unprocessable"),
    "status_429": ErrorAnswer(
        status=429,
        message=_PROVIDER_SAID,
        metadata={
            "provider_name": "Mistral",
            "raw": "the model is temporarily rate-limited upstream. Please retry shortly.",
            "limit_source": "upstream_provider_shared_pool",
        },
        retry_after_s=7,
    ),
    "status_429_daily": ErrorAnswer(
        status=429,
        message="Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000",
        metadata={"limit_source": "openrouter_free_tier_daily"},
    ),
    "status_500": ErrorAnswer(status=500, message="Internal Server Error"),
    "status_502": ErrorAnswer(
        status=502, message=_PROVIDER_SAID, metadata={"error_type": "provider_unavailable"}
    ),
    "status_503": ErrorAnswer(status=503, message="Service Unavailable"),
    "status_503_retryable": ErrorAnswer(
        status=503,
        message="The model is temporarily unavailable",
        availability={"code": "temporarily_unavailable", "retryable": True, "retry_after": 5},
        retry_after_s=5,
    ),
    "status_504": ErrorAnswer(status=504, message="Gateway Timeout"),
    "status_524": ErrorAnswer(status=524, message="Provider timed out"),
    "status_529": ErrorAnswer(status=529, message="Provider is overloaded"),
}
