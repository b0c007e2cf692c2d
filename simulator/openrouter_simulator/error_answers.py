"""OpenRouter's error answers: the body, the headers, and every refusal that can be asked for.

Must not know: runs or money. The bodies follow recorded answers and the published list of 27
error types and 11 availability codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

_SETTINGS = "https://openrouter.ai/settings"
_PROVIDER_SAID = "Provider returned error"
_MS_PER_DAY = 86_400_000
_FREE_PER_DAY = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """An HTTP error: OpenRouter repeats the status as `error.code`."""

    status: int
    message: str
    metadata: Mapping[str, object] = field(default_factory=dict)
    availability: Mapping[str, object] = field(default_factory=dict)
    retry_after_s: int | None = None
    generation_id: str = ""
    rate_limit: Mapping[str, str] = field(default_factory=dict)
    of_account: bool = False

    def document(self) -> dict[str, object]:
        """The body."""
        error: dict[str, object] = {"message": self.message, "code": self.status}
        if self.metadata or self.rate_limit:
            error["metadata"] = dict(self.metadata)
            if self.rate_limit:
                error["metadata"] = {**self.metadata, "headers": dict(self.rate_limit)}
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
        for name, value in self.rate_limit.items():
            headers[name.lower().encode()] = value.encode()
        return headers


class OrderRefused(Exception):
    """The request is refused; `answer` says why."""

    def __init__(self, answer: ErrorAnswer) -> None:
        """`answer` is sent as it is."""
        super().__init__(answer.message)
        self.answer = answer


def refused(status: int, message: str, **metadata: object) -> OrderRefused:
    """A refusal in OpenRouter's words."""
    return OrderRefused(ErrorAnswer(status=status, message=message, metadata=metadata))


def refusal_named(name: str, *, now_ms: int) -> ErrorAnswer:
    """The refusal of this fault; those that count by the day say when the next one begins."""
    answer = STATUS_FAULTS[name]
    return free_cap(_FREE_PER_DAY, now_ms=now_ms) if name == "status_429_daily" else answer


def free_cap(per_day: int, *, now_ms: int) -> ErrorAnswer:
    """The answer once the day's free asks are used up: its reset is in milliseconds."""
    reset_ms = (now_ms // _MS_PER_DAY + 1) * _MS_PER_DAY
    return replace(
        STATUS_FAULTS["status_429_daily"],
        rate_limit={
            "X-RateLimit-Limit": str(per_day),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(reset_ms),
        },
    )


def key_limit(period: str) -> ErrorAnswer:
    """The answer of a key that has used its limit; `period` is `total`, `daily`, ..."""
    return ErrorAnswer(
        status=403,
        message=f"Key limit exceeded ({period} limit). Manage it using {_SETTINGS}/keys",
        of_account=True,
    )


# ApiErrorType: its HTTP status and what a client reads
_TYPES: Mapping[str, tuple[int, str]] = {
    "authentication": (401, "User not found."),
    "content_policy_violation": (400, "The request was rejected by the content policy"),
    "context_length_exceeded": (
        400,
        "This endpoint's maximum context length is 131072 tokens. You requested about 140000.",
    ),
    "image_download_failed": (400, "The image could not be downloaded"),
    "image_not_found": (404, "The image was not found"),
    "image_too_large": (400, "The image is too large"),
    "image_too_small": (400, "The image is too small"),
    "invalid_image": (400, "The image could not be read"),
    "invalid_prompt": (400, "Invalid prompt"),
    "invalid_request": (400, "Input validation error"),
    "max_tokens_exceeded": (400, "max_tokens is over what the model can give"),
    "not_found": (404, "Resource not found"),
    "payload_too_large": (413, "Request entity too large"),
    "payment_required": (402, f"Insufficient credits. Add more using {_SETTINGS}/credits"),
    "permission_denied": (403, "This key may not do that"),
    "precondition_failed": (412, "Precondition failed"),
    "provider_overloaded": (503, "Provider is overloaded"),
    "provider_unavailable": (502, _PROVIDER_SAID),
    "rate_limit_exceeded": (429, "Rate limit exceeded"),
    "refusal": (400, "The model refused to answer"),
    "server": (500, "Internal Server Error"),
    "string_too_long": (400, "A string of the request is too long"),
    "timeout": (504, "Gateway Timeout"),
    "token_limit_exceeded": (400, "Token limit reached"),
    "unmapped": (500, "Internal Server Error"),
    "unprocessable": (422, "Unprocessable"),
    "unsupported_image_format": (400, "This image format is not supported"),
}
_OF_ACCOUNT = frozenset({"authentication", "payment_required", "permission_denied"})

# error.availability.code: HTTP status, whether to retry, and what a client reads
_AVAILABILITY: Mapping[str, tuple[int, bool, str]] = {
    "capacity_exhausted": (429, True, "The model has no capacity left at the moment"),
    "constraint_filtered": (404, False, "No endpoints found that satisfy the constraint."),
    "free_variant_ended": (404, False, "The free variant of this model has ended"),
    "model_deprecated": (404, False, "This model is no longer offered"),
    "model_not_found": (400, False, "acme/fake-1.0 is not a valid model ID"),
    "model_unavailable_upstream": (404, False, "The provider no longer has this model"),
    "no_endpoints": (404, False, "No endpoints found for this model."),
    "privacy_restricted": (
        404,
        False,
        "No endpoints found matching your data policy (Zero data retention)",
    ),
    "region_restricted": (403, False, "This model is not offered in your region"),
    "temporarily_unavailable": (503, True, "The model is temporarily unavailable"),
    "wrong_endpoint": (400, False, "This model does not answer chat completions"),
}
_RETRY_AFTER_S = 5


def _of_type(name: str) -> ErrorAnswer:
    status, message = _TYPES[name]
    return ErrorAnswer(
        status=status,
        message=message,
        metadata={"error_type": name},
        of_account=name in _OF_ACCOUNT,
    )


def _of_availability(code: str) -> ErrorAnswer:
    status, retryable, message = _AVAILABILITY[code]
    wait = {"retry_after": _RETRY_AFTER_S} if retryable else {}
    return ErrorAnswer(
        status=status,
        message=message,
        availability={"code": code, "retryable": retryable, **wait},
        retry_after_s=_RETRY_AFTER_S if retryable else None,
    )


_STATUSES: Mapping[str, ErrorAnswer] = {
    "status_400": ErrorAnswer(status=400, message="Input validation error"),
    "status_401": ErrorAnswer(status=401, message="User not found.", of_account=True),
    "status_402": ErrorAnswer(
        status=402,
        message=f"Insufficient credits. Add more using {_SETTINGS}/credits",
        metadata={"limit_source": "openrouter_credits"},
        of_account=True,
    ),
    "status_403": key_limit("daily"),
    "status_403_budget": ErrorAnswer(
        status=403, message="Workspace monthly budget of $500.00 exceeded", of_account=True
    ),
    "status_403_guardrail": ErrorAnswer(
        status=403,
        message="The request was blocked by a guardrail",
        metadata={"patterns": ["credit card"]},
        of_account=True,
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
        of_account=True,
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
ERROR_TYPES = tuple(_TYPES)
AVAILABILITY_CODES = tuple(_AVAILABILITY)
STATUS_FAULTS: Mapping[str, ErrorAnswer] = {
    **_STATUSES,
    **{name: _of_type(name) for name in _TYPES},
    **{f"availability_{code}": _of_availability(code) for code in _AVAILABILITY},
}
