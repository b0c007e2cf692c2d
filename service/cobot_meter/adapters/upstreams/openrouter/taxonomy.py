"""OpenRouter's errors in one table.

What is most certain is read first: `availability`, then `error_type`, then what the words and the
metadata tell, then the status. Source: OpenRouter's OpenAPI document (27 values of ApiErrorType)
and recorded bodies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cobot_meter.adapters.upstreams.error_taxonomy import (
    RETRY_AFTER_MAX_S,
    ErrorTaxonomy,
    moment_of,
    object_of,
    text_of,
)
from cobot_meter.domain import outside
from cobot_meter.domain.errors import UpstreamFaultKind

K = UpstreamFaultKind
_MS = 1_000

KIND_BY_TYPE: Mapping[str, UpstreamFaultKind] = {
    "context_length_exceeded": K.CONTEXT_LENGTH,
    "max_tokens_exceeded": K.CONTEXT_LENGTH,
    "token_limit_exceeded": K.CONTEXT_LENGTH,
    "string_too_long": K.CONTEXT_LENGTH,
    "invalid_request": K.BAD_REQUEST,
    "invalid_prompt": K.BAD_REQUEST,
    "content_policy_violation": K.MODERATION,
    "refusal": K.MODERATION,
    "invalid_image": K.BAD_REQUEST,
    "image_too_large": K.BAD_REQUEST,
    "image_too_small": K.BAD_REQUEST,
    "unsupported_image_format": K.BAD_REQUEST,
    "image_download_failed": K.BAD_REQUEST,
    "authentication": K.AUTH,
    "payment_required": K.PAYMENT,
    "permission_denied": K.AUTH,
    "not_found": K.NOT_FOUND,
    "image_not_found": K.BAD_REQUEST,
    "precondition_failed": K.BAD_REQUEST,
    "payload_too_large": K.CONTEXT_LENGTH,
    "unprocessable": K.BAD_REQUEST,
    "rate_limit_exceeded": K.RATE_LIMITED,
    "provider_unavailable": K.OVERLOADED,
    "provider_overloaded": K.OVERLOADED,
    "timeout": K.TIMEOUT,
    "server": K.SERVER,
    "unmapped": K.SERVER,
}
# Said of a request that had gone on to a provider, whatever the status is.
_TYPES_THAT_RAN = frozenset({"provider_unavailable", "provider_overloaded", "timeout", "server"})
_KIND_BY_AVAILABILITY: Mapping[str, UpstreamFaultKind] = {
    "capacity_exhausted": K.RATE_LIMITED,
    "temporarily_unavailable": K.OVERLOADED,
    "model_not_found": K.NOT_FOUND,
    "wrong_endpoint": K.NOT_FOUND,
    "no_endpoints": K.NOT_FOUND,
    "model_deprecated": K.NOT_FOUND,
    "model_unavailable_upstream": K.NOT_FOUND,
    "region_restricted": K.NOT_FOUND,
    "privacy_restricted": K.NOT_FOUND,
    "constraint_filtered": K.NOT_FOUND,
    "free_variant_ended": K.NOT_FOUND,
}
# Only where nothing more exact is said. The first that fits; each was seen in real traffic.
_KIND_BY_WORDS: tuple[tuple[re.Pattern[str], UpstreamFaultKind], ...] = (
    (
        re.compile(
            r"key limit exceeded|budget of \S+ exceeded|insufficient credits", re.IGNORECASE
        ),
        K.PAYMENT,
    ),
    (re.compile(r"requires more credits|prompt tokens limit exceeded", re.IGNORECASE), K.PAYMENT),
    (re.compile(r"is not a valid model id|no endpoints found", re.IGNORECASE), K.NOT_FOUND),
    (
        re.compile(r"context length|context window|token limit reached", re.IGNORECASE),
        K.CONTEXT_LENGTH,
    ),
)


class OpenRouterErrors(ErrorTaxonomy):
    """The shape of OpenAI's, with `availability` and `metadata` beside it."""

    def kind(self, error: Mapping[str, object], status: int | None = None) -> UpstreamFaultKind:
        """See `ErrorTaxonomy`."""
        availability = text_of(object_of(error.get("availability")).get("code"))
        if availability in _KIND_BY_AVAILABILITY:
            return _KIND_BY_AVAILABILITY[availability]
        metadata = object_of(error.get("metadata"))
        if text_of(metadata.get("limit_source")) == "openrouter_credits":
            return K.PAYMENT
        if metadata.get("reasons") or metadata.get("patterns"):
            return K.MODERATION
        kind = super().kind(error, status)
        own = kind is K.RATE_LIMITED and _is_accounts_own(error, metadata)
        return K.ACCOUNT_LIMITED if own else kind

    def may_have_run(self, error: Mapping[str, object], status: int) -> bool:
        """One with `availability` says that no endpoint was there to run it."""
        availability = object_of(error.get("availability"))
        if availability.get("code") or availability.get("retryable"):
            return False
        return super().may_have_run(error, status)

    def retry_told_s(self, error: Mapping[str, object], date: str | None) -> int | None:
        """Of a cap the metadata names the reset; a daily one that names none is a day away."""
        told = outside.count(object_of(error.get("availability")).get("retry_after"))
        return _until_reset_s(object_of(error.get("metadata")), date) if told is None else told


def _is_accounts_own(error: Mapping[str, object], metadata: Mapping[str, object]) -> bool:
    """Whether a 429 is OpenRouter's own to our account, and no word of a provider.

    Its own carry the X-RateLimit headers, or name the source.
    """
    limits = object_of(metadata.get("headers"))
    return (
        text_of(metadata.get("limit_source")).startswith("openrouter")
        or any(name.lower().startswith("x-ratelimit") for name in limits)
        or "free-models-per-" in text_of(error.get("message"))
    )


def _until_reset_s(metadata: Mapping[str, object], date: str | None) -> int | None:
    daily = "daily" in text_of(metadata.get("limit_source"))
    reset_ms = outside.time_ms(object_of(metadata.get("headers")).get("X-RateLimit-Reset"))
    answered = moment_of(date)
    if answered is None or reset_ms is None:
        return RETRY_AFTER_MAX_S if daily else None
    left_s = -(-reset_ms // _MS) - int(answered.timestamp())
    return min(max(left_s, 0), RETRY_AFTER_MAX_S)


ERRORS = OpenRouterErrors(
    by_type=KIND_BY_TYPE,
    by_words=_KIND_BY_WORDS,
    types_that_ran=_TYPES_THAT_RAN,
    account_words=("openrouter.ai/",),
)
